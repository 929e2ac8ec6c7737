"""DeepSeek V3.1: the name, the separator, the arguments; no type and no fence."""

from collections.abc import Iterable

from eval.formats import deepseek_block
from eval.formats.deepseek_block import BEGIN, CALL, CALL_END, END, SEP
from eval.formats.reading import Reading, Tools
from eval.formats.render import json_text
from eval.parsed import ToolCall

NAMES = ("deepseek_v31",)
MARKERS = ((CALL,),)
OPENERS = (SEP,)


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the calls between DeepSeek's tokens."""
    return deepseek_block.parse(text, "v31")


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the chat template does."""
    blocks = (f"{CALL}{c.name}{SEP}{json_text(c.arguments)}{CALL_END}" for c in calls)
    return BEGIN + "".join(blocks) + END
