"""GigaChat 3: `<|function_call|>{"name": "f", "arguments": {…}}`, one call only.

The 10B model writes `function call<|role_sep|>\\n{…}` as a turn of its own.
"""

from collections.abc import Iterable

from eval.formats.envelope import json_body, markers, read_blocks
from eval.formats.reading import Reading, Tools
from eval.formats.render import call_objects, json_text, single
from eval.parsed import ToolCall

NAMES = ("gigachat", "gigachat3")
MARKERS = (("<|function_call|>",), ("function call", "<|role_sep|>", "<|message_sep|>"))
OPENERS = ("<|function_call|>", "function call<|role_sep|>")

_MARKS = markers(r"<\|function_call\|>|(?:<\|message_sep\|>\s{0,9})?function call<\|role_sep\|>")
_BODY = json_body()


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the object behind the marker; the template has room for one call."""
    r = read_blocks(Reading(text), _MARKS, _BODY)
    if len(r.calls) > 1:
        r.deviates("more_than_one_call")
    return r


def render(calls: Iterable[ToolCall]) -> str:
    """Write the one call that the GigaChat 3 template has room for."""
    return "<|function_call|>" + json_text(call_objects([single(calls, NAMES[0])])[0])
