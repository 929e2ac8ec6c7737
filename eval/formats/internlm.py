"""InternLM2 and Intern-S1: `<|action_start|><|plugin|>\\n{"name": "f", "parameters": {…}}<|action_end|>`."""

from collections.abc import Iterable

from eval.formats.envelope import json_body, markers, read_blocks
from eval.formats.reading import Reading, Shape, Tools
from eval.formats.render import json_text
from eval.parsed import ToolCall

NAMES = ("internlm", "internlm2")
MARKERS = (("<|action_start|>", "<|plugin|>"),)
OPENERS = ("<|action_start|>",)

_MARKS = markers(r"<\|action_start\|>\s{0,9}(?:<\|plugin\|>)?", "<|action_end|>")
_BODY = json_body(Shape(arguments="parameters"), stop="<|action_end|>")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the plugin blocks."""
    return read_blocks(Reading(text), _MARKS, _BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as InternLM2 writes them."""
    objects = ({"name": c.name, "parameters": c.arguments} for c in calls)
    return "".join(f"<|action_start|><|plugin|>\n{json_text(obj)}<|action_end|>" for obj in objects)
