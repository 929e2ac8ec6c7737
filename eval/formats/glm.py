"""GLM 4.5 to 5: `<tool_call>f\\n<arg_key>x</arg_key>\\n<arg_value>1</arg_value>\\n</tool_call>`."""

from collections.abc import Iterable

from eval.formats import tool_call_block
from eval.formats.reading import Reading, Tools
from eval.formats.render import raw_text
from eval.parsed import ToolCall

NAMES = ("glm", "glm4_5", "glm4_7")
MARKERS = (("<tool_call>", "<arg_key>", "<arg_value>"),)
OPENERS = ("<arg_key>",)


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read GLM blocks; the schema types the values."""
    return tool_call_block.parse(text, tools, "glm")


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the GLM-4.5 chat template does."""
    return "\n".join(f"<tool_call>{c.name}\n{_pairs(c)}</tool_call>" for c in calls)


def _pairs(call: ToolCall) -> str:
    written = ((key, raw_text(value, "</arg_value>", "</tool_call>")) for key, value in call.arguments.items())
    return "".join(f"<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n" for key, value in written)
