"""Seed-OSS: `<seed:tool_call>\\n<function=f>\\n<parameter=x>1</parameter>\\n</function>\\n</seed:tool_call>`."""

from collections.abc import Iterable

from eval.formats.envelope import markers, read_blocks
from eval.formats.reading import Reading, Tools
from eval.formats.render import raw_text
from eval.formats.xml_calls import NAME, Grammar, function_body
from eval.parsed import ToolCall

NAMES = ("seed_oss",)
MARKERS = (("<seed:tool_call>",),)
OPENERS = ("<seed:tool_call>",)

_GRAMMAR = Grammar(
    rf"<function={NAME}>", "</function>", rf"<parameter={NAME}>", "</parameter>",
    python=True, wrapper=("<seed:tool_call>", "</seed:tool_call>"),
)  # fmt: skip
_MARKS = markers("<seed:tool_call>", "</seed:tool_call>", r"<function=(?=[^<>\n]{1,200}>)")


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the blocks; the template writes values that are no strings as Python's `str` does."""
    return read_blocks(Reading(text), _MARKS, function_body(_GRAMMAR, tools))


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the Seed-OSS chat template does."""
    return "\n".join(
        f"<seed:tool_call>\n<function={c.name}>\n{_parameters(c)}</function>\n</seed:tool_call>" for c in calls
    )


def _parameters(call: ToolCall) -> str:
    written = (
        (key, raw_text(value, "</parameter>") if isinstance(value, str) else str(value))
        for key, value in call.arguments.items()
    )
    return "".join(f"<parameter={key}>{value}</parameter>\n" for key, value in written)
