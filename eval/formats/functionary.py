"""Functionary v3.2: `f\\n{…}>>>g\\n{…}`; the prompt ends with the first `>>>`, and `all\\n` opens plain text."""

import re
from collections.abc import Sequence

from eval.formats.envelope import LOST, skip_space
from eval.formats.family import Family
from eval.formats.named_json import add_call
from eval.formats.parse_state import ParseState, Tools
from eval.formats.render import json_text
from eval.parsed import ToolCall

_SEPARATOR = ">>>"
_HEAD = re.compile(r"(?:>>>)?\s{0,9}([^\s<>{}\"'`]{1,200})[ \t]{0,9}\r?\n\s{0,9}(?=\{)")
_UNREAD_HEAD = re.compile(r">>>(?!all\b)[^\s<>{}\"'`]{1,200}[ \t]{0,9}(?:\r?\n|\Z)")
_TEXT_HEAD = re.compile(r"(?:>>>)?all\r?\n")


def _parse(text: str, tools: Tools) -> ParseState:
    """Read the segments one after another; a segment that is not a name above an object is text."""
    r, pos = ParseState(text), skip_space(text, 0)
    while 0 <= pos < len(text):
        head = _HEAD.match(text, pos)
        end = add_call(r, head[1], head.end()) if head else LOST
        if head and end >= 0:
            r.cover(pos, end)
            pos = skip_space(text, end)
            if pos < len(text) and not text.startswith(_SEPARATOR, pos):
                pos = text.find(_SEPARATOR, pos)
            continue
        following = text.find(_SEPARATOR, pos + 1)
        if head:
            r.cover(pos, following if following >= 0 else len(text), read=False)
            r.cut |= following < 0
        elif _UNREAD_HEAD.match(text, pos):
            r.broken("no_payload")
            r.cover(pos, following if following >= 0 else len(text), read=False)
        elif spoken := _TEXT_HEAD.match(text, pos):
            r.spans.append((pos, spoken.end()))
        pos = following
    return r


def _render(calls: Sequence[ToolCall]) -> str:
    """Write calls as the Functionary v3.2 chat template does, behind the prompt's own `>>>`."""
    return _SEPARATOR.join(f"{c.name}\n{json_text(c.arguments)}" for c in calls)


FAMILIES = (
    Family(
        names=("functionary_v32", "functionary"),
        markers=((">>>all",), (">>>",)),
        openers=(),
        parse=_parse,
        render=_render,
    ),
)
