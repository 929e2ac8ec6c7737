"""MiniCPM5: `<function name="f"><param name="x">1</param></function>`; a text value may stand in CDATA."""

from collections.abc import Iterable
from typing import Any

from eval.formats.envelope import markers, read_blocks
from eval.formats.reading import Reading, Tools
from eval.formats.render import raw_text
from eval.formats.xml_calls import NAME, Grammar, function_body
from eval.parsed import ToolCall

NAMES = ("minicpm5",)
MARKERS = (('<function name="', '<param name="'),)
OPENERS = ('<function name="',)

_CDATA_END = "]]>"
_GRAMMAR = Grammar(
    rf'<function name="{NAME}">', "</function>", rf'<param name="{NAME}">', "</param>", cdata=True,
)  # fmt: skip
_MARKS = markers("(?!)", "", '<function name="')


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the functions; there is no envelope around them."""
    return read_blocks(Reading(text), _MARKS, function_body(_GRAMMAR, tools), native_bare=True)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the MiniCPM5 chat template does, CDATA around text with markup in it."""
    return "\n".join(f'<function name="{c.name}">{_parameters(c)}</function>' for c in calls)


def _parameters(call: ToolCall) -> str:
    written = ((key, _text(value)) for key, value in call.arguments.items())
    return "".join(f'<param name="{key}">{value}</param>' for key, value in written)


def _text(value: Any) -> str:
    markup = isinstance(value, str) and any(sign in value for sign in "<&")
    return f"<![CDATA[{raw_text(value, _CDATA_END)}]]>" if markup else raw_text(value)
