"""Phi-4-mini: `functools[{"name": "f", "arguments": {…}}]`, or the array in `<|tool_call|>…<|/tool_call|>`."""

from collections.abc import Iterable

from eval.formats.envelope import json_body, markers, read_blocks
from eval.formats.reading import Reading, Tools
from eval.formats.render import call_objects, json_text
from eval.parsed import ToolCall

NAMES = ("phi4", "phi4_mini")
MARKERS = (("<|tool_call|>", "<|/tool_call|>"), ("functools[",), ("<|/tool|>",))
OPENERS = ("functools[", "<|/tool_call|>")

_TAGGED = markers(r"<\|tool_call\|>", "<|/tool_call|>")
_TAGGED_BODY = json_body(want="array", stop="<|/tool_call|>")
_PREFIXED = markers(r"functools(?=\s{0,9}\[)")
_PREFIXED_BODY = json_body(want="array")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the array behind the word or inside the tokens."""
    if "<|tool_call|>" in text or "<|/tool_call|>" in text:
        return read_blocks(Reading(text), _TAGGED, _TAGGED_BODY)
    return read_blocks(Reading(text), _PREFIXED, _PREFIXED_BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls with Phi-4-mini's tokens."""
    return f"<|tool_call|>{json_text(call_objects(calls))}<|/tool_call|>"
