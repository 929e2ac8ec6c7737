"""Solar Open: `<|tool_call:begin|>ID<|tool_call:name|>f<|tool_call:args|>{…}<|tool_call:end|>`.

`<|tool_calls|>` opens the turn and `<|calls|>` ends it.
"""

import re
from collections.abc import Iterable

from eval.formats.envelope import markers, read_blocks
from eval.formats.named_json import check_section, named_body
from eval.formats.reading import Reading, Tools
from eval.formats.render import json_text
from eval.parsed import ToolCall

NAMES = ("solar", "solar_open")
MARKERS = (("<|tool_call:begin|>",),)
OPENERS = ("<|tool_call:begin|>",)

_BEGIN, _CALL, _NAME, _ARGUMENTS, _END = (
    "<|tool_calls|>", "<|tool_call:begin|>", "<|tool_call:name|>", "<|tool_call:args|>", "<|tool_call:end|>",
)  # fmt: skip
_MARKS = markers(re.escape(_CALL), _END)
_HEAD = re.compile(
    rf"[^\s<>{{}}]{{0,64}}\s{{0,9}}{re.escape(_NAME)}\s{{0,9}}(?P<name>[^\s<>{{}}]{{1,200}})\s{{0,9}}{re.escape(_ARGUMENTS)}\s{{0,9}}"
)
_BODY = named_body(_HEAD, _END)


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read id, name and arguments of every call; the id is metadata."""
    r = check_section(read_blocks(Reading(text), _MARKS, _BODY), _BEGIN)
    end = text.rfind("<|calls|>")
    if end >= r.end:  # the turn's end token
        r.spans.append((end, end + len("<|calls|>")))
    return r


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the Solar Open chat template does, with ids `call_01`, `call_02`, …"""
    blocks = (
        f"{_CALL}call_{i:02d}{_NAME}{c.name}{_ARGUMENTS}{json_text(c.arguments)}{_END}" for i, c in enumerate(calls, 1)
    )
    return _BEGIN + "".join(blocks) + "<|calls|>"
