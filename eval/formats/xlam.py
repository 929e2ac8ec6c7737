"""xLAM-2, Hammer: a bare array `[{"name": "f", "arguments": {…}}]`; xLAM-1: `{"thought": "", "tool_calls": […]}`."""

from collections.abc import Iterable, Mapping
from typing import Any

from eval.formats.bare_json import read_lines
from eval.formats.reading import PLAIN, Reading, Tools, call_names, decode, read_call
from eval.formats.render import call_objects, json_text
from eval.formats.strict_json import Unreadable
from eval.parsed import ToolCall

NAMES = ("xlam", "hammer")
MARKERS = (('"tool_calls": [',), ("tool_calls", "thought"))
OPENERS = ()


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the array, or the older wrapper; an empty one says that no tool is needed."""
    start = len(text) - len(text.lstrip())
    r = Reading(text)
    if text.startswith("{", start) and '"tool_calls"' in text:
        wrapper = _wrapper(r, start)
        if wrapper is not None:
            return wrapper
    return read_lines(text, tools, PLAIN, "array")


def _wrapper(r: Reading, start: int) -> Reading | None:
    try:
        decoded = decode(r, start)
    except Unreadable:
        return None
    value: Any = decoded.value
    calls = value.get("tool_calls") if isinstance(value, Mapping) else None
    if not isinstance(calls, list) or not (not calls or call_names(calls)):
        return None
    for problem in decoded.problems:
        r.broken(problem)
    if not value.keys() <= {"thought", "tool_calls"}:
        r.deviates("extra_key")
    for call in calls:
        read_call(r, call, PLAIN, decoded.repeated)
    r.cover(start, decoded.end)
    r.attempted = bool(calls)
    return r


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as xLAM-2 does."""
    return json_text(call_objects(calls))
