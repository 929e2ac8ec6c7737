"""Command R7B and Command A: an array of `{"tool_call_id": "0", "tool_name": "f", "parameters": {…}}`.

It stands between `<|START_ACTION|>` and `<|END_ACTION|>`.
"""

from collections.abc import Iterable

from eval.formats.envelope import json_body, markers, read_blocks
from eval.formats.reading import Reading, Shape, Tools
from eval.formats.render import json_text
from eval.parsed import ToolCall

NAMES = ("cohere", "command_r7b")
MARKERS = (("<|START_ACTION|>",),)
OPENERS = ("<|START_ACTION|>",)

_SHAPE = Shape("tool_name", "parameters", frozenset({"tool_call_id"}))
_MARKS = markers(r"<\|START_ACTION\|>", "<|END_ACTION|>")
_BODY = json_body(_SHAPE, "array", "<|END_ACTION|>")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the array of actions."""
    return read_blocks(Reading(text), _MARKS, _BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the Command R7B chat template does, numbered from 0."""
    rows = ",\n".join(
        f'    {{"tool_call_id": "{i}", "tool_name": {json_text(c.name)}, "parameters": {json_text(c.arguments)}}}'
        for i, c in enumerate(calls)
    )
    return f"<|START_ACTION|>[\n{rows}\n]<|END_ACTION|>"
