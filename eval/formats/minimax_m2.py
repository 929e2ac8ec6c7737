"""MiniMax M2: invocations in one `<minimax:tool_call>` block.

`<invoke name="f">\\n<parameter name="x">1</parameter>\\n</invoke>`.
"""

from collections.abc import Iterable

from eval.formats.envelope import markers, read_blocks
from eval.formats.reading import Reading, Tools
from eval.formats.render import raw_text
from eval.formats.xml_calls import NAME, Grammar, function_body
from eval.parsed import ToolCall

NAMES = ("minimax_m2",)
MARKERS = (("<minimax:tool_call>",),)
OPENERS = ("<minimax:tool_call>",)

_GRAMMAR = Grammar(
    rf'<invoke name="{NAME}">', "</invoke>", rf'<parameter name="{NAME}">', "</parameter>",
    wrapper=("<minimax:tool_call>", "</minimax:tool_call>"),
)  # fmt: skip
_MARKS = markers("<minimax:tool_call>", "</minimax:tool_call>", '<invoke name="')


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the invocations of each block."""
    return read_blocks(Reading(text), _MARKS, function_body(_GRAMMAR, tools))


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the MiniMax M2 chat template does: all in one block."""
    blocks = (f'<invoke name="{c.name}">\n{_parameters(c)}</invoke>\n' for c in calls)
    return "<minimax:tool_call>\n" + "".join(blocks) + "</minimax:tool_call>"


def _parameters(call: ToolCall) -> str:
    written = ((key, raw_text(value, "</parameter>")) for key, value in call.arguments.items())
    return "".join(f'<parameter name="{key}">{value}</parameter>\n' for key, value in written)
