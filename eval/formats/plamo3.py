"""PLaMo 3: a section of requests, each with the name in one pair of tags and the arguments in another.

`<|plamo:begin_tool_request:plamo|>`, `…tool_name…`, `…tool_arguments:plamo|><|plamo:constrain|>json<|plamo:msg|>{…}`.
"""

import re
from collections.abc import Iterable

from eval.formats.envelope import markers, read_blocks
from eval.formats.named_json import check_section, named_body
from eval.formats.reading import Reading, Tools
from eval.formats.render import json_text
from eval.parsed import ToolCall


def _tag(word: str) -> str:
    return f"<|plamo:{word}:plamo|>"


NAMES = ("plamo3", "plamo")
_BEGIN, _END = _tag("begin_tool_requests"), _tag("end_tool_requests")
_CALL, _NAME, _NAME_END = _tag("begin_tool_request"), _tag("begin_tool_name"), _tag("end_tool_name")
_ARGUMENTS = _tag("begin_tool_arguments") + "<|plamo:constrain|>json<|plamo:msg|>"
_CALL_END = _tag("end_tool_arguments") + _tag("end_tool_request")
MARKERS = ((_CALL,), ("tool_request", "<|plamo:"))
OPENERS = (_CALL,)

_MARKS = markers(re.escape(_CALL), _CALL_END)
_BODY = named_body(
    re.compile(
        rf"{re.escape(_NAME)}\s{{0,9}}(?P<name>[^\s<>{{}}]{{1,200}})\s{{0,9}}{re.escape(_NAME_END)}\s{{0,9}}"
        rf"(?:{re.escape(_ARGUMENTS)}|(?P<drift>{re.escape(_tag('begin_tool_arguments'))}(?:<\|plamo:msg\|>)?))\s{{0,9}}"
    ),
    _CALL_END,
)


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read name and arguments of every request."""
    return check_section(read_blocks(Reading(text), _MARKS, _BODY), _BEGIN, _END)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls in one section."""
    blocks = (f"{_CALL}{_NAME}{c.name}{_NAME_END}{_ARGUMENTS}{json_text(c.arguments)}{_CALL_END}" for c in calls)
    return _BEGIN + "".join(blocks) + _END
