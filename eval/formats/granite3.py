"""Granite 3.0 to 3.3: `<|tool_call|>[{"name": "f", "arguments": {…}}]`; 3.1 writes the marker as `<tool_call>`."""

from collections.abc import Iterable

from eval.formats.envelope import json_body, markers, read_blocks
from eval.formats.reading import Reading, Tools
from eval.formats.render import call_objects, json_text
from eval.parsed import ToolCall

NAMES = ("granite3", "granite")
MARKERS = (("<|tool_call|>", "<|start_of_role|>"), ("<|start_of_role|>", "<|tool_call|>"))
OPENERS = ("<|tool_call|>",)

_MARKS = markers(r"<\|tool_call\|>|<tool_call>")
_BODY = json_body(want="array")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the array behind the marker; there is no close tag."""
    return read_blocks(Reading(text), _MARKS, _BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as Granite 3 writes them."""
    return "<|tool_call|>" + json_text(call_objects(calls))
