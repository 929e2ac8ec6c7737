"""JSON calls without a marker (parsing policy, rule 7): the whole text, a whole fence, a line, or a fence in prose."""

import re
from collections.abc import Container
from typing import Any

from eval.formats.envelope import LOST, read_values, skip_space
from eval.formats.mentions import Mentions
from eval.formats.parse_state import (
    NAME_KEYS,
    PLAIN,
    WRAPPERS,
    CallShape,
    ParseState,
    Tools,
    call_names,
    decode,
    functions,
    means_call,
)
from eval.formats.strict_json import Unreadable

_CANDIDATE = re.compile(r"\{\s{0,99}\{?\s{0,99}[\"'“”‘’\w/\\]|\[\s{0,99}\{")
_OPEN = rf"""[\[{{\s]{{1,40}}(?:["'](?:{"|".join(WRAPPERS)})["']\s{{0,9}}:[\[{{\s]{{1,40}})?"""
_CALL_KEY = re.compile(
    rf"""[\[{{\s]{{1,40}}["'“”‘]?\s?(?:name|arguments|parameters|tool_name|{"|".join(WRAPPERS)})["'”’]?\s{{0,9}}:"""
)
_CALL_HEAD = re.compile(
    rf"""{_OPEN}["']name["']\s{{0,9}}:\s{{0,9}}["'][^"'\n]{{1,200}}["'],"""
    r"""\s{0,9}["'](?:arguments|parameters)["']\s{0,9}:"""
)
_NAMED = re.compile(rf"""{_OPEN}["'](?:{"|".join(NAME_KEYS)})["']\s{{0,9}}:\s{{0,9}}["']([^"'\n]{{1,200}})["']""")
_FENCE = re.compile(r"```([\w+-]{0,20})[^\S\n]{0,20}\n?")


def read_whole(text: str, shape: CallShape = PLAIN, want: str = "object", *, all_json: bool = False) -> ParseState:
    """Read a text that is, from end to end, call objects; bare, or in one fence.

    Args:
        want: what counts as native, as in `json_body`.
        all_json: JSON that is no call is an attempt too (the family answers in JSON only when it calls).
    """
    r = ParseState(text)
    start = skip_space(text, 0)
    fence = _FENCE.match(text, start)
    pos = skip_space(text, fence.end()) if fence else start
    if text[pos : pos + 1] not in tuple("{["):
        return r
    trial = r.trial()
    if text.startswith("[]", skip_space(text, pos)) or not (_CANDIDATE.match(text, pos) or all_json):
        return r
    whole = True
    try:
        likely = bool(call_names(decode(trial, pos).value, shape))
    except Unreadable:
        whole, likely = False, _CALL_KEY.match(text, pos) is not None
    if not likely and not all_json:
        return r
    end = read_values(trial, pos, shape, want)
    close = skip_space(text, end) if end >= 0 else end
    if fence and end >= 0 and text.startswith("```", close):
        close = skip_space(text, close + 3)
    elif fence:
        trial.deviates("unclosed_fence")
    if whole and end >= 0 and close < len(text):
        return r  # more than the payload: not the whole text
    if not whole and not all_json:
        trial.calls.clear()  # the good objects of a broken array count only where the family writes arrays
    trial.cover(start, len(text), read=end >= 0)
    trial.cut = trial.problems[-1:] == ["cut"]
    return trial


def read_lines(
    text: str, tools: Tools, shape: CallShape, want: str, begins: re.Pattern[str] | None = None, *, stray: bool = False
) -> ParseState:
    """Read call objects that stand in the open: at the start of a line or behind another call; or, in the middle of a
    line, when they call an offered tool or have exactly the family's shape. What stands in a fence is left alone.

    Args:
        begins: a marker that may stand before a call and belongs to it.
        stray: the family has a marker, so that the start of a line is no sign of a call.
    """
    r = ParseState(text)
    offered = functions(tools)
    mentions = Mentions(text)
    fences = [m.start() for m in re.finditer("```", text)]
    fence, pos = 0, 0
    while candidate := _CANDIDATE.search(text, pos):
        start = candidate.start()
        while fence < len(fences) and fences[fence] < start:
            fence += 1
        if fence % 2:
            pos = fences[fence] if fence < len(fences) else len(text)
            fence += 1
            continue
        at_line = not stray and _begins_line(r, start, begins)
        try:
            decoded = decode(r, start)
        except Unreadable as e:
            open_call = _CALL_KEY.match(text, start) if at_line else _CALL_HEAD.match(text, start)
            if (open_call or _names_one(text, start, offered)) and (at_line or not mentions.in_code(start)):
                end = read_values(r, start, shape, want)
                until = end if end >= 0 else max(e.far, start + 1)
                r.cover(start, until, read=end >= 0)
                r.cut |= until >= len(text) and end == LOST
                pos = until
            else:
                pos = max(e.far, start + 1)
            continue
        names = call_names(decoded.value, shape)
        if names and not at_line:
            exact = _exact(decoded.value, shape) and not mentions.in_code(start)
            names = names if exact or offered.keys() >= set(names) else []
        if names or (means_call(decoded.value, offered) and not mentions.in_code(start)):
            pos = read_values(r, start, shape, want)
            r.cover(start, max(pos, start))
            if not names and not r.calls:
                r.broken("no_call")
        else:
            pos = decoded.end
        fences = [at for at in fences if at < start or at >= pos] if "```" in text[start:pos] else fences
    return r


def _exact(value: Any, shape: CallShape) -> bool:
    """Whether a value is one call object, or a list of them, with the family's own keys and no other."""
    keys = {shape.name, shape.arguments}
    return all(
        isinstance(obj, dict) and keys <= obj.keys() <= keys | shape.others
        for obj in (value if isinstance(value, list) else [value])
    )


def _names_one(text: str, pos: int, offered: Container[str]) -> bool:
    """Whether what begins at `pos` and cannot be decoded names an offered tool first."""
    named = _NAMED.match(text, pos)
    return named is not None and named[1] in offered


def _begins_line(r: ParseState, pos: int, begins: re.Pattern[str] | None) -> bool:
    text = r.text
    while pos > r.end and text[pos - 1] in " \t":
        pos -= 1
    if (
        pos == 0
        or text[pos - 1] == "\n"
        or (pos == r.end and r.end > 0)
        or text[max(r.end, pos - 20) : pos].strip() == ";"
    ):
        return True
    return begins is not None and begins.search(text, max(0, pos - 40), pos) is not None


def read_fences(text: str, tools: Tools) -> ParseState:
    """Read the fences in a text of prose: an object counts, readable or not, when the tool that it names is offered."""
    r = ParseState(text)
    offered = functions(tools)
    pos = 0
    while offered and (fence := _FENCE.search(text, pos)):
        start = skip_space(text, fence.end())
        pos = fence.end()
        if text[start : start + 1] not in tuple("{["):
            close = text.find("```", start)
            pos = close + 3 if close >= 0 else len(text)
            continue
        try:
            value = decode(r, start).value
        except Unreadable as e:
            pos = max(e.far, pos)
            if _names_one(text, start, offered):
                end = read_values(r, start, PLAIN, "object")
                r.cover(start, max(end, pos), read=end >= 0)
            continue
        names = call_names(value)
        if (names and offered.keys() >= set(names)) or (not names and means_call(value, offered)):
            end = read_values(r, start, PLAIN, "object")
            if not names and not r.calls:
                r.broken("no_call")
            close = skip_space(text, end)
            if text.startswith("```", close):
                r.cover(fence.start(), close + 3)
                pos = close + 3
            else:
                r.cover(fence.start(), end)
                pos = end
        else:
            close = text.find("```", start)
            pos = close + 3 if close >= 0 else len(text)
    return r
