"""The hard check before training and before evaluation: what the template writes, the parser reads back unchanged.

Some chat templates drop tool calls, some keep only the first, some raise on two: a model trained on those learns the
fault, and its score would blame the model.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from data.record import Record, calls_of, tool_call
from data.render import TrainedTurn, answers, render
from data.template import Template, ToolsStyle, apply, begin_text, project_template, way_out
from eval.formats.probe import probe_tool
from eval.parse import detect_family, parse_tool_calls
from eval.words import phrase
from tooltune.errors import InputError
from tooltune.files import dump_json
from tooltune.pretrained import own_template

_TOOL = probe_tool()
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


_ONE_CALL = [{"role": "assistant", "content": "", "tool_calls": [tool_call("look_up", {"name": "1"})]}]
_ASK = {"role": "user", "content": "하나"}
_FORMS = {
    "an answer without a call": [_ASK, {"role": "assistant", "content": "네."}],
    "a system turn in the middle": [
        _ASK,
        {"role": "assistant", "content": "네."},
        _PROBE.messages[0],
        _ASK,
        *_ONE_CALL,
    ],
    "a conversation that no user begins": [_PROBE.messages[0], *_ONE_CALL],
}
"""Forms that rows have and some templates raise on; in none has a parameter a description."""


def choose_template(tokenizer: Any, style: ToolsStyle, *, preference: str = "auto", details: bool = False) -> Template:
    """The tokenizer's own chat template where it survives render → parse on a probe with parallel calls, tool results
    and Hangul, and on the forms that rows have; else, and always for signatures, the project's.

    Args:
        preference: "auto", or "project" to skip the tokenizer's own.
        details: of `project_template`.

    Raises:
        InputError: no token can end a turn.
    """

    def project(reason: str, **values: Any) -> Template:
        return project_template(tokenizer, style, phrase(f"template.{reason}", **values), details=details)

    if style == "signature":
        return project("signature")
    if preference == "project":
        return project("configured")
    if not (source := own_template(tokenizer)):
        return project("none")
    own = Template(source, detect_family(source), "own", phrase("template.own"))
    try:
        own = _with_begin(_without_thinking(own), tokenizer)
        render(_PROBE, tokenizer, own)
        check_roundtrip([_PROBE], tokenizer, own)
    except InputError as e:
        return project("fails", why=f"fails the round trip: {e.what.splitlines()[0]}")
    for form, messages in _FORMS.items():
        try:
            check_roundtrip([Record("template probe", messages, [_TOOL])], tokenizer, own)
        except InputError as e:
            return project("fails", why=f"cannot write {form}: {e.what.splitlines()[0]}")
    return own


def _without_thinking(own: Template) -> Template:
    """The template with its thinking switch set off in itself: llama.cpp and vLLM switch it on unless they are told."""
    off = "{%- set enable_thinking = false -%}" if "enable_thinking" in own.source else ""
    return replace(own, source=off + own.source)


def _with_begin(own: Template, tokenizer: Any) -> Template:
    """The template with the tokenizer's begin token before the text, where it does not write that itself."""
    begin = begin_text(tokenizer)
    text = apply(own, tokenizer, _PROBE.messages, _PROBE.tools, generation_prompt=False, where=_PROBE.id)
    if text.startswith(begin):
        return own
    return replace(own, source="{{- " + dump_json(begin) + " -}}" + own.source)


def check_roundtrip(records: Iterable[Record], tokenizer: Any, template: Template) -> None:
    """Write every answer that is trained, parse it, and compare with the calls of its turn.

    Raises:
        InputError: the template raises, or the calls that come back are not the ones that went in, with the row's id.
    """
    for record in records:
        for turn in answers(record, tokenizer, template):
            check_turn(record, template, turn)


def check_turn(record: Record, template: Template, turn: TrainedTurn) -> None:
    """Parse one answer as it was written, and compare with the calls of its turn.

    Raises:
        InputError: the calls that come back are not the ones that went in, with the row's id.
    """
    parsed = parse_tool_calls(turn.text, family=template.family, tools=record.tools)
    back = [{"name": c.name, "arguments": c.arguments} for c in parsed.calls]
    calls = calls_of(record.messages[turn.index])
    if not calls and parsed.attempted:
        raise InputError(
            f"the text of turn {turn.index} reads as a call or an attempt at one ({template.family}): "
            f"{back or parsed.problems}",
            where=record.id,
            fix="put the call into tool_calls (`python -m data convert` does for <tool_call>), or reword the text",
        )
    if back != calls or not (parsed.json_valid and parsed.format_ok):
        raise InputError(
            f"the chat template ({template.family}) does not reproduce the calls of turn {turn.index}: "
            f"{back or 'no call'} instead of {calls}",
            where=record.id,
            fix=way_out(template),
        )
