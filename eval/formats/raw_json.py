"""No template of its own: the answer is one call object or an array of them, bare or in a fence."""

from collections.abc import Iterable

from eval.formats.bare_json import read_lines, read_whole
from eval.formats.reading import PLAIN, Reading, Tools
from eval.formats.render import call_objects, json_text
from eval.parsed import ToolCall

NAMES = ("raw_json", "json")
MARKERS = ()
OPENERS = ()


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read a text that is JSON from end to end, where JSON that is no call is a failed attempt; else calls in prose."""
    r = read_whole(text, want="one", all_json=True)
    return r if r.attempted else read_lines(text, tools, PLAIN, "one")


def render(calls: Iterable[ToolCall]) -> str:
    """Write one call as an object, several as an array."""
    objects = call_objects(calls)
    return json_text(objects[0] if len(objects) == 1 else objects)
