"""Nemotron Nano v2: `<TOOLCALL>[{"name": "f", "arguments": {…}}]</TOOLCALL>`."""

from collections.abc import Iterable

from eval.formats.envelope import json_body, markers, read_blocks
from eval.formats.reading import Reading, Tools
from eval.formats.render import call_objects, json_text
from eval.parsed import ToolCall

NAMES = ("nemotron", "nemotron_nano")
MARKERS = (("<TOOLCALL>",),)
OPENERS = ("<TOOLCALL>",)

_MARKS = markers("<TOOLCALL>", "</TOOLCALL>")
_BODY = json_body(want="array", stop="</TOOLCALL>")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the array in the tag."""
    return read_blocks(Reading(text), _MARKS, _BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the Nemotron Nano chat template does."""
    return f"<TOOLCALL>{json_text(call_objects(calls))}</TOOLCALL>"
