"""Calls in Python syntax: `[f(x=1, s="a"), g()]`, keyword arguments with literal values only.

Names that Python would not accept (`from=`, a hyphen) are read all the same. An argument without a name cannot be
placed and makes no call.
"""

import re
from collections.abc import Iterable
from typing import Any

from eval.formats.envelope import LOST, NOTHING, Body, skip_space
from eval.formats.literals import Literals
from eval.formats.parse_state import ParseState
from eval.formats.strict_json import Unreadable
from eval.parsed import ToolCall
from tooltune.errors import InputError

NAME = r"[^\W\d]\w{0,199}(?:[.\-]\w{1,200}){0,9}"
_CALL = re.compile(rf"({NAME})[ \t]{{0,9}}\(")
_KEYWORD = re.compile(r"([^\W\d]\w{0,199})\s{0,9}=(?!=)")
_NEXT_CALL = re.compile(rf"[,;\n]\s{{0,20}}(?={NAME}[ \t]{{0,9}}\()")
LIST_START = re.compile(rf"\[\s{{0,20}}(?={NAME}[ \t]{{0,9}}\()")


def calls_body(want: str = "list", stop: str = "") -> Body:
    """The body reader.

    Args:
        want: "list" for `[f(…), g(…)]`, "lines" for one call a line, "any" for both.
        stop: the close marker, before which a missing `]` is supplied (and noted).
    """

    def body(r: ParseState, pos: int) -> int:
        text = r.text
        listed = LIST_START.match(text, pos)
        if not listed and not _CALL.match(text, pos):
            empty = re.compile(r"\[\s{0,20}\]").match(text, pos)
            return empty.end() if empty and stop else NOTHING
        if want != "any" and (want == "list") != (listed is not None):
            r.deviates("not_a_list" if want == "list" else "list_of_calls")
        return _list(r, listed.end(), stop) if listed else _lines(r, pos)

    return body


def _list(r: ParseState, pos: int, stop: str) -> int:
    """Read calls up to the `]`; a broken one does not take the others with it."""
    text, last = r.text, LOST
    while True:
        pos = _one(r, pos)
        if pos == LOST:
            return last
        last, pos = pos, skip_space(text, pos)
        char = text[pos : pos + 1]
        if char == "]":
            return pos + 1
        if char in (",", ";"):
            following = skip_space(text, pos + 1)
            if text[following : following + 1] == "]":
                return following + 1
            if char == ";":
                r.broken("separator")
            pos = following
        elif _CALL.match(text, pos):
            r.broken("separator")
        else:
            r.broken("unbalanced" if stop and text.startswith(stop, pos) else "cut" if not char else "not_python")
            return pos


def _lines(r: ParseState, pos: int) -> int:
    text, last = r.text, LOST
    while True:
        end = _one(r, pos)
        if end == LOST:
            return last
        last, pos = end, skip_space(text, end)
        if text[pos : pos + 1] in (",", ";"):
            pos = skip_space(text, pos + 1)
        if not _CALL.match(text, pos):
            return end


def _one(r: ParseState, pos: int) -> int:
    """Read the call at `pos`; after a broken one go on with the next that begins behind it. LOST at the end."""
    while True:
        try:
            return _call(r, pos)
        except Unreadable as e:
            r.broken(e.reason)
            following = _NEXT_CALL.search(r.text, pos + 1) if r.budget > 0 else None
            if not r.spend(max(e.far, following.end() if following else len(r.text)) - pos) or not following:
                return LOST
            pos = following.end()


def _call(r: ParseState, pos: int) -> int:
    text, reader = r.text, Literals(r.text)
    head = _CALL.match(text, pos)
    if not head:
        raise Unreadable("not_a_call", pos)
    arguments: dict[str, Any] = {}
    positional = False
    pos = reader.gap(head.end())
    try:
        while text[pos : pos + 1] != ")":
            keyword = _KEYWORD.match(text, pos)
            value, end = reader.value(reader.gap(keyword.end() if keyword else pos))
            if keyword is None:
                positional = True
            else:
                if keyword[1] in arguments:
                    reader.problems.append("duplicate_key")
                arguments[keyword[1]] = value
            pos = reader.gap(end)
            if text[pos : pos + 1] == ",":
                pos = reader.gap(pos + 1)
            elif text[pos : pos + 1] != ")":
                raise reader.fault("not_python", pos)
    except RecursionError:
        raise Unreadable("too_deep", pos) from None
    for problem in dict.fromkeys(reader.problems):
        r.broken(problem)
    if positional:
        r.broken("positional_argument")
    else:
        r.calls.append(ToolCall(head[1], arguments))
    return pos + 1


def write_calls(calls: Iterable[ToolCall]) -> list[str]:
    """The calls in Python syntax, values as `repr` writes them.

    Raises:
        InputError: a name or a parameter name is not an identifier, so the call cannot be written.
    """
    written = []
    for call in calls:
        if not re.fullmatch(NAME, call.name) or not all(re.fullmatch(r"[^\W\d]\w{0,199}", k) for k in call.arguments):
            raise InputError(f"the call of {call.name!r} cannot be written as Python: a name is not an identifier")
        arguments = ", ".join(f"{key}={value!r}" for key, value in call.arguments.items())
        written.append(f"{call.name}({arguments})")
    return written
