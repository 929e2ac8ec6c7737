"""What a chat template writes when the assistant calls: the evidence by which its family is known."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

from data.template import bounded, raised
from eval.parsed import ToolCall


def probe_tool(**described: str) -> dict[str, Any]:
    """A tool to call in a probe; `described` are its parameters' descriptions, which some templates cannot do without
    and rows do not always have."""
    properties: dict[str, dict[str, str]] = {"name": {"type": "string"}, "depth": {"type": "number"}}
    for name, text in described.items():
        properties[name]["description"] = text
    parameters = {"type": "object", "properties": properties, "required": ["name"]}
    function = {"name": "look_up", "description": "Look a thing up.", "parameters": parameters}
    return {"type": "function", "function": function}


TOOL = probe_tool(name="Its name.", depth="How deep.")
_USER = {"role": "user", "content": "기둥 둘"}
_RICH: list[dict[str, Any]] = [{"name": '기둥 "1"'}, {"name": "2", "depth": -1.5}]
_PLAIN: list[dict[str, Any]] = [{"depth": 1}, {"depth": 2}]  # some templates write text without quotation marks


def written_calls(chat_template: str) -> Iterator[tuple[list[ToolCall], str]]:
    """Calls, and the answer that the template writes for them, in one form of the messages after another.

    Templates differ in what they take: two calls or one, arguments as an object or as JSON text, empty content or none.
    A form that the template refuses or in which it leaves the call out is left out.
    """
    import transformers.utils.chat_template_utils  # noqa: F401 - seconds, which are none of the template's

    seen: set[str] = set()
    for values, count, as_text, content in product((_RICH, _PLAIN), (2, 1), (False, True), ("", None)):
        calls = [ToolCall("look_up", arguments) for arguments in values[:count]]
        wrapped = [_openai(call, i, as_text) for i, call in enumerate(calls)]
        answer = {"role": "assistant", "content": content, "tool_calls": wrapped}
        try:
            with bounded():
                prompt = _render(chat_template, [_USER], generation_prompt=True)
                whole = _render(chat_template, [_USER, answer], generation_prompt=False)
        except TimeoutError:
            return  # in every other form it would take as long
        except raised():
            continue
        pairs = enumerate(zip(prompt, whole, strict=False))
        start = next((i for i, (a, b) in pairs if a != b), len(prompt))
        tag = whole.rfind("<", 0, start)  # both may go on with a tag: "<think>" and "<function …>"
        written = whole[tag if tag > whole.rfind(">", 0, start) else start :]
        if "look_up" in written and written not in seen:
            seen.add(written)
            yield calls, written


def _openai(call: ToolCall, index: int, as_text: bool) -> dict[str, Any]:
    arguments = json.dumps(call.arguments, ensure_ascii=False) if as_text else call.arguments
    return {"id": f"call0000{index}", "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _render(chat_template: str, messages: list[dict[str, Any]], *, generation_prompt: bool) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    rendered, _ = render_jinja_template(
        [messages],
        tools=[TOOL],
        chat_template=chat_template,
        add_generation_prompt=generation_prompt,
        enable_thinking=False,
        bos_token="",
        eos_token="",
    )
    return str(rendered[0])
