"""Mistral Small 3.2, Devstral, Ministral 3: `[TOOL_CALLS]f[ARGS]{…}`, the marker before every call.

A `[CALL_ID]…` may stand between the name and `[ARGS]`; v11 leaves `[ARGS]` out.
"""

from collections.abc import Iterable

from eval.formats import mistral_block
from eval.formats.reading import Reading, Tools
from eval.formats.render import json_text
from eval.parsed import ToolCall

NAMES = ("mistral_args", "devstral", "ministral")
MARKERS = (("[TOOL_CALLS]", "[ARGS]"),)
OPENERS = ("[ARGS]",)


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read name and arguments behind each marker."""
    return mistral_block.parse(text, "args")


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as Devstral's chat template does."""
    return "".join(f"[TOOL_CALLS]{c.name}[ARGS]{json_text(c.arguments)}" for c in calls)
