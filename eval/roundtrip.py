"""The hard check before training and before evaluation: what the template writes, the parser reads back unchanged.

Some chat templates drop tool calls, some keep only the first, some raise on two: a model trained on those learns the
fault, and its score would blame the model.
"""

from collections.abc import Iterable
from typing import Any

from jinja2 import TemplateError

from data.errors import InputError
from data.record import Record, tool_call
from data.render import render
from data.template import Template, ToolsStyle, apply, project_template
from eval.parse import detect_family, parse_tool_calls

_TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a thing up.",
        "parameters": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "depth": {"type": "number"}},
            "required": ["name"],
        },
    },
}
_PROBE = Record(
    "template probe",
    [
        {"role": "system", "content": "Call the tools."},
        {"role": "user", "content": "기둥 둘"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                tool_call("look_up", {"name": '기둥 "1"'}),
                tool_call("look_up", {"name": "2", "depth": -1.5}),
            ],
        },
        {"role": "tool", "name": "look_up", "content": '{"ok": true}'},
        {"role": "tool", "name": "look_up", "content": '{"ok": true}'},
        {"role": "user", "content": "하나 더"},
        {"role": "assistant", "content": "", "tool_calls": [tool_call("look_up", {"name": "3"})]},
    ],
    [_TOOL],
)


def choose_template(tokenizer: Any, style: ToolsStyle, *, wish: str = "auto") -> Template:
    """The tokenizer's own chat template where it survives render → parse on a probe with parallel calls, tool results
    and Hangul; else, and always for signatures, the project's.

    Args:
        wish: "auto", or "project" to skip the tokenizer's own.
    """
    if style == "signature":
        return project_template(tokenizer, style, "signatures are written by the project's template")
    if wish == "project":
        return project_template(tokenizer, style, "as configured")
    if not tokenizer.chat_template:
        return project_template(tokenizer, style, "the tokenizer has no chat template")
    own = Template(tokenizer.chat_template, detect_family(tokenizer.chat_template), "own", "it survives render → parse")
    try:
        render(_PROBE, tokenizer, own)
        check_roundtrip([_PROBE], tokenizer, own)
    except (InputError, TemplateError, TypeError, KeyError) as e:
        return project_template(tokenizer, style, f"the tokenizer's own fails the round trip: {str(e).splitlines()[0]}")
    return own


def check_roundtrip(records: Iterable[Record], tokenizer: Any, template: Template) -> None:
    """Render each record's last answer, parse it, and compare with its calls.

    Raises:
        InputError: the calls that come back are not the ones that went in, with the row's id.
    """
    for record in records:
        prompt = apply(template, tokenizer, record.prompt, record.tools, generation_prompt=True)
        whole = apply(template, tokenizer, record.messages, record.tools, generation_prompt=False)
        parsed = parse_tool_calls(whole[len(prompt) :].rstrip("\n"), family=template.family, tools=record.tools)
        back = [{"name": c.name, "arguments": c.arguments} for c in parsed.calls]
        if back != record.gold or not (parsed.json_valid and parsed.format_ok):
            raise InputError(
                f"the chat template ({template.family}) does not give this row's calls back: "
                f"{back or 'no call'} instead of {record.gold}",
                where=record.id,
                fix="set data.template=project to use this project's template",
            )
