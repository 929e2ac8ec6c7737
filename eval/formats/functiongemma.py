"""FunctionGemma: `<start_function_call>call:f{s:<escape>abc<escape>,x:1}<end_function_call>`."""

from collections.abc import Iterable

from eval.formats.envelope import markers, read_blocks
from eval.formats.gemma_values import gemma_body, write_call
from eval.formats.reading import Reading, Tools
from eval.parsed import ToolCall

NAMES = ("functiongemma",)
MARKERS = (("<start_function_call>",),)
OPENERS = ("<start_function_call>",)

_QUOTE = "<escape>"
_MARKS = markers("<start_function_call>", "<end_function_call>")
_BODY = gemma_body(_QUOTE, "<end_function_call>")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the calls between the tokens."""
    return read_blocks(Reading(text), _MARKS, _BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the FunctionGemma chat template does."""
    return "".join(f"<start_function_call>{write_call(c, _QUOTE)}<end_function_call>" for c in calls)
