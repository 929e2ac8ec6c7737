"""LFM2: `<|tool_call_start|>[f(x=1, s='a')]<|tool_call_end|>`.

Where the system prompt asks for JSON, the same tokens hold one call object or an array of them.
"""

from collections.abc import Iterable

from eval.formats.envelope import NOTHING, json_body, markers, read_blocks
from eval.formats.python_calls import calls_body, write_calls
from eval.formats.reading import Reading, Tools
from eval.parsed import ToolCall

NAMES = ("lfm2",)
MARKERS = (("<|tool_call_start|>",), ("<|im_start|>", "List of tools: "), ("<|tool_list_start|>",))
OPENERS = ("<|tool_call_start|>",)
PYTHON = True

_MARKS = markers(r"<\|tool_call_start\|>", "<|tool_call_end|>")
_PYTHON = calls_body(stop="<|tool_call_end|>")
_JSON = json_body(want="one", stop="<|tool_call_end|>")


def _body(r: Reading, pos: int) -> int:
    end = _PYTHON(r, pos)
    return _JSON(r, pos) if end == NOTHING else end


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the call list, or the JSON, between the tokens."""
    return read_blocks(Reading(text), _MARKS, _body)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as LFM2 writes them."""
    return f"<|tool_call_start|>[{', '.join(write_calls(calls))}]<|tool_call_end|>"
