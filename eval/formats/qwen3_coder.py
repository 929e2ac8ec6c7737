"""Qwen3-Coder, Qwen3.5, Nemotron 3: a `<tool_call>` block with a function tag and parameter tags in it.

`<function=f>\\n<parameter=x>\\n1\\n</parameter>\\n</function>`.
"""

from collections.abc import Iterable

from eval.formats import tool_call_block
from eval.formats.reading import Reading, Tools
from eval.formats.render import raw_text
from eval.parsed import ToolCall

NAMES = ("qwen3_coder", "qwen3_5", "nemotron3")
MARKERS = (("<tool_call>", "<function=", "<parameter="),)
OPENERS = ("<function=",)


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read Qwen3-Coder blocks: exactly one newline each side of a value is layout, and the schema types it."""
    return tool_call_block.parse(text, tools, "xml")


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the Qwen3.5 chat template does (Qwen3-Coder's writes booleans as Python; both are read)."""
    return "\n".join(f"<tool_call>\n<function={c.name}>\n{_parameters(c)}</function>\n</tool_call>" for c in calls)


def _parameters(call: ToolCall) -> str:
    written = ((key, raw_text(value, "</parameter>")) for key, value in call.arguments.items())
    return "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in written)
