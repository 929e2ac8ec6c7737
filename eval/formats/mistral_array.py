"""Mistral 7B v0.3, Nemo: `[TOOL_CALLS] [{"name": "f", "arguments": {…}, "id": "…"}]`."""

from collections.abc import Iterable

from eval.formats import mistral_block
from eval.formats.reading import Reading, Tools
from eval.formats.render import call_objects, json_text
from eval.parsed import ToolCall

NAMES = ("mistral_array", "mistral")
MARKERS = (("[TOOL_CALLS]",), ("[TOOL_CALLS] [",))
OPENERS = ("[TOOL_CALLS]",)


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the array behind the marker; the id is metadata."""
    return mistral_block.parse(text, "array")


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as Mistral 7B v0.3 does, with ids of nine characters."""
    rows = [{**obj, "id": f"call{i:05d}"} for i, obj in enumerate(call_objects(calls))]
    return "[TOOL_CALLS] " + json_text(rows)
