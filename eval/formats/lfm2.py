"""LFM2: `<|tool_call_start|>[f(x=1, s='a')]<|tool_call_end|>`."""

from collections.abc import Iterable

from eval.formats.envelope import markers, read_blocks
from eval.formats.python_calls import calls_body, write_calls
from eval.formats.reading import Reading, Tools
from eval.parsed import ToolCall

NAMES = ("lfm2",)
MARKERS = (("<|tool_call_start|>",), ("<|im_start|>", "List of tools: "), ("<|tool_list_start|>",))
OPENERS = ("<|tool_call_start|>",)
PYTHON = True

_MARKS = markers(r"<\|tool_call_start\|>", "<|tool_call_end|>")
_BODY = calls_body(stop="<|tool_call_end|>")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the call list between the tokens."""
    return read_blocks(Reading(text), _MARKS, _BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as LFM2 writes them."""
    return f"<|tool_call_start|>[{', '.join(write_calls(calls))}]<|tool_call_end|>"
