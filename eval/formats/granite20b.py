"""Granite 20B function calling: `<function_call> {"name": "f", "arguments": {…}}`, the marker before every call."""

from collections.abc import Iterable

from eval.formats.envelope import json_body, markers, read_blocks
from eval.formats.reading import Reading, Tools
from eval.formats.render import call_objects, json_text
from eval.parsed import ToolCall

NAMES = ("granite20b",)
MARKERS = (("<function_call>",),)
OPENERS = ("<function_call>",)

_MARKS = markers("<function_call>")
_BODY = json_body()


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the object behind each marker; there is no close tag."""
    return read_blocks(Reading(text), _MARKS, _BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as Granite 20B writes them."""
    return " ".join("<function_call> " + json_text(obj) for obj in call_objects(calls))
