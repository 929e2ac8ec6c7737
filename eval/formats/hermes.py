"""Hermes: `<tool_call>\\n{"name": "f", "arguments": {…}}\\n</tool_call>`, one block a call."""

from collections.abc import Iterable

from eval.formats import tool_call_block
from eval.formats.reading import Reading, Tools
from eval.formats.render import call_objects, json_text
from eval.parsed import ToolCall

NAMES = ("hermes", "qwen2_5", "qwen3", "granite4", "exaone4")
MARKERS = (("<tool_call>", '"name"', '"arguments"'), ("<tool_call>", "</tool_call>"))
OPENERS = ("<tool_call>", "</tool_call>")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read Hermes blocks; blocks in another dialect of the same tag are read and noted."""
    return tool_call_block.parse(text, tools, "json")


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the Qwen2.5 chat template does."""
    return "\n".join(f"<tool_call>\n{json_text(obj)}\n</tool_call>" for obj in call_objects(calls))
