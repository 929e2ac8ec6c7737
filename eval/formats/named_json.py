"""Calls whose name stands outside the JSON: a head, the name, a separator, and the arguments as one JSON object."""

import re

from eval.formats.envelope import LOST, NOTHING, Body, skip_space
from eval.formats.mentions import Mentions
from eval.formats.parse_state import ParseState, decode, read_arguments
from eval.formats.strict_json import Unreadable
from eval.parsed import ToolCall

_FENCE = re.compile(r"```[\w+-]{0,20}\s*")


def add_call(r: ParseState, name: str, pos: int, stop: str = "") -> int:
    """Decode the arguments at `pos` (a fence around them is stepped over) and add the call.

    Returns:
        The index after the arguments, LOST when they cannot be read, NOTHING when no object starts here.
    """
    text = r.text
    fence = _FENCE.match(text, pos)
    start = fence.end() if fence else pos
    if text[start : start + 1] not in tuple('{["'):
        return NOTHING
    if text[start] == "[":
        r.deviates("arguments_not_object")
        return LOST
    end = add_bare_call(r, name, start, stop)
    if end == LOST:
        return LOST
    closers = re.compile(r"[}\]\s]*").match(text, end)
    if (
        closers
        and "}" in closers.group()
        and (closers.end() == len(text) or (stop and text.startswith(stop, closers.end())))
    ):
        r.broken("extra_closer")
        end = closers.end()
    if fence and text.startswith("```", skip_space(text, end)):
        end = skip_space(text, end) + 3
    return end


def add_bare_call(r: ParseState, name: str, pos: int, stop: str = "") -> int:
    """Decode the object of arguments at `pos` and add the call; the index after it, LOST when it cannot be read."""
    try:
        decoded = decode(r, pos, stop)
    except Unreadable as e:
        r.broken(e.reason)
        return LOST
    for problem in decoded.problems:
        r.broken(problem)
    arguments = read_arguments(r, decoded.value)
    if arguments is not None:
        r.calls.append(ToolCall(name, arguments))
    return decoded.end


def named_body(head: re.Pattern[str], stop: str = "") -> Body:
    """The body reader for `head{…}`, where group "name" of `head` is the name as it counts.

    A group "drift" that took part says that the head is written otherwise than in the family's template.
    """

    def body(r: ParseState, pos: int) -> int:
        match = head.match(r.text, pos)
        if not match:
            return NOTHING
        end = add_call(r, match["name"], match.end(), stop)
        if end != NOTHING and match.groupdict().get("drift") is not None:
            r.deviates("other_head")
        return end

    return body


def check_section(r: ParseState, begin: str, end: str = "") -> ParseState:
    """Take the tokens around all calls out of the text; note their absence."""
    text, at = r.text, []
    for token in (begin, end):
        pos = text.find(token) if token == begin else text.rfind(token)
        if token and pos >= 0:
            at.append((pos, pos + len(token)))
        elif token and r.attempted:
            r.deviates("missing_section")
            r.cut |= token == end
    opened = text.find(begin)
    if opened >= 0 and not r.attempted and not Mentions(text).covers(opened, opened + len(begin), len(text)):
        r.cut = text.find(end, opened) < 0 if end else not text[opened + len(begin) :].strip()
        r.broken("cut" if r.cut else "no_payload")
        r.attempted = True
    r.spans = sorted([*r.spans, *at])
    return r
