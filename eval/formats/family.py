"""What a tool-call format is. Each file here that holds a shape lists the families that write it, as `FAMILIES`.

A new family of a known shape is one more entry in that shape's file; a new shape is one more file.
"""

import pkgutil
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from eval.formats.envelope import Body, read_blocks
from eval.formats.parse_state import ParseState, Tools
from eval.parsed import ToolCall

Parse = Callable[[str, Tools], ParseState]
Render = Callable[[Sequence[ToolCall]], str]


@dataclass(frozen=True, eq=False)
class Family:
    """One tool-call format.

    Attributes:
        names: the API's name first, then aliases.
        markers: sets of strings; a chat template that holds every string of one set may be of this family.
        openers: strings in an output that only this format writes.
        parse: reads the calls of a text, given the tools that were offered.
        render: writes calls as the family's chat template does; raises InputError for calls that it cannot carry.
        python: the payload is Python syntax.
    """

    names: tuple[str, ...]
    markers: tuple[tuple[str, ...], ...]
    openers: tuple[str, ...]
    parse: Parse
    render: Render
    python: bool = False


def blocks(marks: re.Pattern[str], body: Body) -> Parse:
    """The parser of a family whose calls stand in blocks that need no tools to be read."""
    return lambda text, tools: read_blocks(ParseState(text), marks, body)


@cache
def families() -> dict[str, Family]:
    """Every family by each of its names, in the order of their first names."""
    here = pkgutil.iter_modules([str(Path(__file__).parent)])
    modules = (import_module(f"eval.formats.{info.name}") for info in here)
    listed = [family for module in modules for family in vars(module).get("FAMILIES", ())]
    return {name: family for family in sorted(listed, key=lambda family: str(family.names[0])) for name in family.names}
