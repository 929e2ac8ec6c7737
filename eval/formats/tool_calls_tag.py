"""Jamba, Apriel (a JSON array) and MiniMax-M1 (one object a line): `<tool_calls>…</tool_calls>`."""

from collections.abc import Iterable

from eval.formats.envelope import json_body, markers, read_blocks
from eval.formats.reading import Reading, Tools
from eval.formats.render import call_objects, json_text
from eval.parsed import ToolCall

NAMES = ("tool_calls_tag", "jamba", "minimax_m1", "apriel")
MARKERS = (("<tool_calls>", "</tool_calls>"),)
OPENERS = ("<tool_calls>",)

_MARKS = markers("<tool_calls>", "</tool_calls>")
_BODY = json_body(want="any", stop="</tool_calls>")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the plural tag: an array, or objects each valid on its own line."""
    return read_blocks(Reading(text), _MARKS, _BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the Jamba chat template does: one array."""
    return f"<tool_calls>{json_text(call_objects(calls))}</tool_calls>"
