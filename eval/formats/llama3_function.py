"""Llama 3.1 custom tools, Functionary v3.1: `<function=f>{…}</function>`."""

from collections.abc import Iterable

from eval.formats.envelope import markers, read_blocks
from eval.formats.reading import Reading, Tools
from eval.formats.render import json_text
from eval.formats.xml_calls import QWEN3_CODER, function_body
from eval.parsed import ToolCall

NAMES = ("llama3_function", "functionary_v31")
MARKERS = (("<function=", "</function>"),)
OPENERS = ("<function=",)

_MARKS = markers("<tool_call>", "</tool_call>", r"<function=(?=[^<>\n]{1,200}>)")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the JSON arguments inside each function tag."""
    r = Reading(text)
    read_blocks(r, _MARKS, function_body(QWEN3_CODER, tools, json_native=True, xml_native=False), native_bare=True)
    if any(
        text.startswith("<tool_call>", start) or text.endswith("</tool_call>", start, end) for start, end in r.spans
    ):
        r.deviates("other_dialect")
    return r


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the Llama 3.1 custom tool prompt asks for."""
    return "".join(f"<function={c.name}>{json_text(c.arguments)}</function>" for c in calls)
