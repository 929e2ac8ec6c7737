"""Gemma 4: `<|tool_call>call:f{s:<|"|>abc<|"|>,x:1}<tool_call|>`."""

from collections.abc import Iterable

from eval.formats.envelope import markers, read_blocks
from eval.formats.gemma_values import gemma_body, write_call
from eval.formats.reading import Reading, Tools
from eval.parsed import ToolCall

NAMES = ("gemma4",)
MARKERS = (("<|tool_call>", "<tool_call|>"), ('<|"|>',))
OPENERS = ("<|tool_call>",)

_QUOTE = '<|"|>'
_MARKS = markers(r"<\|tool_call>", "<tool_call|>")
_BODY = gemma_body(_QUOTE, "<tool_call|>")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the calls between the tokens."""
    return read_blocks(Reading(text), _MARKS, _BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the Gemma 4 chat template does."""
    return "".join(f"<|tool_call>{write_call(c, _QUOTE)}<tool_call|>" for c in calls)
