"""DeepSeek V3.2: DSML tags; the `string` attribute says whether a value is raw text or JSON."""

from collections.abc import Iterable

from eval.formats.envelope import markers, read_blocks
from eval.formats.reading import Reading, Tools
from eval.formats.render import raw_text
from eval.formats.xml_calls import NAME, Grammar, function_body
from eval.parsed import ToolCall

NAMES = ("deepseek_v32",)
MARKERS = (("｜DSML｜",),)
OPENERS = ("<｜DSML｜",)

_GRAMMAR = Grammar(
    rf'<｜DSML｜invoke name="{NAME}">', "</｜DSML｜invoke>",
    rf'<｜DSML｜parameter name="{NAME}"(?: string="(true|false)")?>', "</｜DSML｜parameter>",
    wrapper=("<｜DSML｜function_calls>", "</｜DSML｜function_calls>"),
)  # fmt: skip
_MARKS = markers("<｜DSML｜function_calls>", "</｜DSML｜function_calls>", '<｜DSML｜invoke name="')


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the invocations of each block."""
    return read_blocks(Reading(text), _MARKS, function_body(_GRAMMAR, tools))


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the DeepSeek V3.2 chat template does: all in one block."""
    blocks = (f'<｜DSML｜invoke name="{c.name}">\n{_parameters(c)}\n</｜DSML｜invoke>\n' for c in calls)
    return "<｜DSML｜function_calls>\n" + "".join(blocks) + "</｜DSML｜function_calls>"


def _parameters(call: ToolCall) -> str:
    written = []
    for key, value in call.arguments.items():
        string = "true" if isinstance(value, str) else "false"
        text = raw_text(value, "</｜DSML｜parameter>")
        written.append(f'<｜DSML｜parameter name="{key}" string="{string}">{text}</｜DSML｜parameter>')
    return "\n".join(written)
