"""HyperCLOVA X SEED Think: ` -> tool/function_call\\n[{"name": "f", "arguments": {…}}]`, the end of the role header."""

from collections.abc import Iterable

from eval.formats.envelope import json_body, markers, read_blocks
from eval.formats.reading import Reading, Tools
from eval.formats.render import call_objects, json_text
from eval.parsed import ToolCall

NAMES = ("hyperclovax",)
MARKERS = (("-> tool/function_call",),)
OPENERS = ("-> tool/function_call",)

_MARKS = markers(r"(?:<\|im_start\|>assistant)? ?-> tool/function_call")
_BODY = json_body(want="array")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the array behind the role header."""
    return read_blocks(Reading(text), _MARKS, _BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the HyperCLOVA X template does."""
    return " -> tool/function_call\n" + json_text(call_objects(calls))
