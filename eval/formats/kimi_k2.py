"""Kimi K2: a section of `<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`."""

import re
from collections.abc import Iterable

from eval.formats.envelope import NOTHING, markers, read_blocks
from eval.formats.named_json import add_call, check_section
from eval.formats.reading import Reading, Tools
from eval.formats.render import json_text
from eval.parsed import ToolCall

NAMES = ("kimi_k2", "kimi")
MARKERS = (("<|tool_call_begin|>", "<|tool_call_argument_begin|>"), ("<|tool_calls_section_begin|>",))
OPENERS = ("<|tool_call_begin|>",)

_BEGIN, _END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
_CALL, _ARGUMENTS, _CALL_END = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
_MARKS = markers(re.escape(_CALL), _CALL_END)
_HEAD = re.compile(rf"([^\s<>{{}}]{{1,200}})\s{{0,9}}{re.escape(_ARGUMENTS)}\s{{0,9}}")
_ID = re.compile(r"(functions\.)?(.+?)(:[0-9]+)?")


def _body(r: Reading, pos: int) -> int:
    """Only the `functions.` prefix and the `:N` suffix come off the id; an id without them is kept as it is written."""
    head = _HEAD.match(r.text, pos)
    if not head:
        return NOTHING
    parts = _ID.fullmatch(head[1])
    if not parts or not (parts[1] and parts[3]):
        r.deviates("call_id")
    return add_call(r, parts[2] if parts else head[1], head.end(), _CALL_END)


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the calls of the section; names may hold dots and hyphens."""
    return check_section(read_blocks(Reading(text), _MARKS, _body), _BEGIN, _END)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the Kimi K2 chat template does, numbered from 0."""
    blocks = (
        f"{_CALL}functions.{c.name}:{i}{_ARGUMENTS}{json_text(c.arguments)}{_CALL_END}" for i, c in enumerate(calls)
    )
    return _BEGIN + "".join(blocks) + _END
