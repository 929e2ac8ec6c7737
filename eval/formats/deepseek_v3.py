"""DeepSeek V3 and R1: the name behind the type `function`, the arguments in a JSON fence."""

from collections.abc import Iterable

from eval.formats import deepseek_block
from eval.formats.deepseek_block import BEGIN, CALL, CALL_END, END, SEP
from eval.formats.reading import Reading, Tools
from eval.formats.render import json_text
from eval.parsed import ToolCall

NAMES = ("deepseek_v3", "deepseek_r1")
MARKERS = ((CALL, "```json"),)
OPENERS = (CALL,)


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the calls between DeepSeek's tokens."""
    return deepseek_block.parse(text, "v3")


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the chat template does."""
    blocks = (f"{CALL}function{SEP}{c.name}\n```json\n{json_text(c.arguments)}\n```{CALL_END}" for c in calls)
    return BEGIN + "\n".join(blocks) + END
