"""Olmo 3: `<function_calls>\\nf(x=1)\\ng()\\n</function_calls>`, one call a line; JSON's null/true/false allowed."""

from collections.abc import Iterable

from eval.formats.envelope import markers, read_blocks
from eval.formats.python_calls import calls_body, write_calls
from eval.formats.reading import Reading, Tools
from eval.parsed import ToolCall

NAMES = ("olmo3",)
MARKERS = (("<function_calls>",),)
OPENERS = ("<function_calls>",)
PYTHON = True

_MARKS = markers("<function_calls>", "</function_calls>")
_BODY = calls_body("lines", "</function_calls>")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the calls of the block."""
    return read_blocks(Reading(text), _MARKS, _BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as Olmo 3 writes them."""
    return "<function_calls>\n" + "\n".join(write_calls(calls)) + "\n</function_calls>"
