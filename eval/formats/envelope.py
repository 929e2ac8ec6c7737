"""Walking a text from marker to marker, and the JSON payloads that stand behind them (parsing policy, rules 2 and 6).

The markers are found in one pass. A payload is decoded from its open marker; whatever markers stand inside it are then
inside a string and are skipped. Only after that is the close marker looked for.
"""

import re
from collections.abc import Callable
from typing import Any

from eval.formats.mentions import Mentions
from eval.formats.parse_state import PLAIN, CallShape, Decoded, ParseState, call_names, decode, read_call
from eval.formats.strict_json import Unreadable, strict_decode, strict_loads

Body = Callable[[ParseState, int], int]
"""Reads what stands behind an open marker, from the first character that is not white space. Returns the index after
it, LOST when it is broken beyond repair (the problem is noted), NOTHING when no payload starts here (prose)."""

LOST, NOTHING = -1, -2

_SPACE = re.compile(r"\s*")
_SPACE_OR_TYPED = re.compile(r"(?:\s|\\[nrt])*")
_FENCE = re.compile(r"```[\w+-]{0,20}\s*")
_CLOSERS = re.compile(r"[\]}\s]*")
_VALUE_START = re.compile(r"[{\[]")
_MISSING_OPEN_TRIES = 8


def markers(opens: str, close: str = "", bare: str = "") -> re.Pattern[str]:
    """The pattern of a family's markers.

    Args:
        opens: a pattern of the open markers.
        close: the literal close marker; empty when the family has none.
        bare: a pattern of a payload's own beginning, for payloads that lost their open marker.
    """
    again = rf"(?P<again>(?:\s{{0,9}}(?:{opens}))+)?"  # an open marker that is written twice opens one block
    closing = re.escape(close) if close else "(?!)"
    return re.compile(f"(?P<open>(?:{opens}){again})|(?P<close>{closing})|(?P<bare>{bare or '(?!)'})")


def skip_space(text: str, pos: int) -> int:
    """The index of the first character from `pos` that is not white space."""
    match = _SPACE.match(text, pos)
    return match.end() if match else pos


def read_blocks(r: ParseState, marks: re.Pattern[str], body: Body, *, native_bare: bool = False) -> ParseState:
    """Read every block `open payload close` of the text, each on its own: a broken one leaves the others.

    Args:
        native_bare: a payload without its open marker is how the family writes it.
    """
    text, found, mentions = r.text, list(marks.finditer(r.text)), Mentions(r.text)
    closing = "(?P<close>(?!))" not in marks.pattern
    i = 0
    while i < len(found):
        mark = found[i]
        i += 1
        if mark.start() < r.end:
            continue
        if mark.lastgroup == "close":
            _missing_open(r, mark, body)
            continue
        start = mark.start() if mark.lastgroup == "bare" else skip_space(text, mark.end())
        spaces = text[mark.end() : start] if mark.lastgroup != "bare" else ""
        if mentions.in_code(mark.start()) and not _reads(r, start, body):
            continue
        end = body(r, start)
        if end == NOTHING:
            if mark.lastgroup != "bare" or native_bare or _own_line(text, mark.start()):
                i = _no_payload(r, found, i, start, body, mentions, closing)
            continue
        if mark["again"]:
            r.deviates("doubled_marker")
        if spaces.strip(" \t\r\n"):  # white space elsewhere, not in JSON
            r.broken("odd_space")
        if mark.lastgroup == "bare" and not native_bare:
            r.deviates("missing_open")
        while i < len(found) and found[i].start() < max(end, start + 1):
            i += 1
        following = found[i] if i < len(found) else None
        closed = following is not None and following.lastgroup == "close"
        if end == LOST:
            until = following.start() if following else len(text)
            r.cover(mark.start(), following.end() if following and closed else until, read=False)
            r.cut |= closing and following is None
        elif following is not None and closed:
            if text[end : following.start()].strip():
                r.broken("text_in_block")
            r.cover(mark.start(), following.end())
        else:
            r.cover(mark.start(), end)
            if closing and not (mark.lastgroup == "bare" and native_bare):
                r.deviates("missing_close")
                r.cut |= not text[end:].strip()
        i += closed
    return r


def _reads(r: ParseState, start: int, body: Body) -> bool:
    trial = r.trial()
    body(trial, start)
    r.budget = trial.budget
    return bool(trial.calls)


def _no_payload(
    r: ParseState, found: list[re.Match[str]], i: int, start: int, body: Body, mentions: Mentions, closing: bool
) -> int:
    """An open marker without a payload right behind it: a mention, an empty block, text before the payload, or a
    block that cannot be read. Returns the index of the next mark to look at.
    """
    text, mark = r.text, found[i - 1]
    following = found[i] if i < len(found) else None
    until = following.start() if following else len(text)
    closed = following is not None and following.lastgroup == "close"
    block = closed and "\n" in text[mark.end() : until].rstrip()
    if not block and mentions.covers(mark.start(), mark.end(), until):
        return i + closed
    if following is None or not closed:
        at_end = start >= len(text)
        r.broken("cut" if at_end else "no_payload")
        r.cut |= following is None and (closing or at_end)
        r.cover(mark.start(), until, read=False)
        return i
    inner = text[start:until]
    opening = _VALUE_START.search(inner)
    end = body(r, start + opening.start()) if opening else LOST
    r.broken("text_in_block" if opening else "no_payload" if inner.strip() else "empty_block")
    while i + 1 < len(found) and (found[i].start() < end or found[i].lastgroup != "close"):
        i += 1
    last = found[i] if found[i].start() >= end else None
    r.cover(mark.start(), last.end() if last else max(end, start), read=end >= 0)
    return i + 1


def _own_line(text: str, pos: int) -> bool:
    """True at the start of the text or of a line, spaces aside; also right behind another marker."""
    while pos > 0 and text[pos - 1] in " \t":
        pos -= 1
    return pos == 0 or text[pos - 1] in "\n\r>"


def _missing_open(r: ParseState, close: re.Match[str], body: Body) -> None:
    """A close marker without an open one: a payload that ends right before it is a call all the same."""
    text, start = r.text, skip_space(r.text, r.end)
    r.end = close.end()  # looked at: the next close marker does not look again
    if start >= close.start():
        if r.spans:
            r.deviates("extra_close")
            r.cover(start, close.end(), read=False)
        return
    whole = _VALUE_START.match(text, start) is not None
    for tries, opening in enumerate(_VALUE_START.finditer(text, start, close.start())):
        if tries >= _MISSING_OPEN_TRIES or not r.spend(0):
            return
        trial = r.trial()
        end = body(trial, opening.start())
        r.budget = trial.budget
        if trial.calls and not text[end : close.start()].strip():
            r.calls += trial.calls
            r.problems += trial.problems
            r.json_valid &= trial.json_valid
            r.deviates("missing_open")
            r.cover(opening.start(), close.end())
            return
        if whole:
            r.broken(trial.problems[-1] if trial.problems else "not_a_call")
            r.cover(start, close.end(), read=False)
            return


def json_body(
    shape: CallShape = PLAIN, want: str = "object", stop: str = "", item: Callable[..., Any] = read_call
) -> Body:
    """The body reader for JSON call objects.

    Args:
        want: what the template writes: "object", "array", "lines" (objects), "any" (an array, or one object a line),
            or "one" (an object or an array).
        stop: the close marker, before which missing closers are supplied.
        item: reads one decoded call object; `read_call` or a family's own.
    """

    def body(r: ParseState, pos: int) -> int:
        text = r.text
        if (typed := _SPACE_OR_TYPED.match(text, pos)) and typed.end() > pos:
            if text[typed.end() : typed.end() + 1] not in tuple("{["):
                return NOTHING
            r.broken("typed_escape")
            pos = typed.end()
        fenced = _FENCE.match(text, pos)
        if fenced:
            pos = fenced.end()
        if stop and text[pos : pos + 1] == '"':
            return _string_payload(r, pos, shape, stop, item)
        if text[pos : pos + 1] not in tuple("{["):
            return NOTHING
        if fenced:
            r.deviates("fence_in_block")
        end = read_values(r, pos, shape, want, stop, item)
        if end >= 0 and fenced and text.startswith("```", skip_space(text, end)):
            end = skip_space(text, end) + 3
        return end

    return body


def _string_payload(r: ParseState, pos: int, shape: CallShape, stop: str, item: Callable[..., Any]) -> int:
    """A payload that was encoded twice: a JSON string that holds the call object is decoded once more (rule 5)."""
    try:
        value, end = strict_decode(r.source, pos)
    except Unreadable:
        return NOTHING
    if not r.text.startswith(stop, skip_space(r.text, end)):
        return NOTHING
    r.deviates("string_payload")
    try:
        item(r, strict_loads(value), shape, {})
    except Unreadable:
        r.deviates("not_an_object")
    return end


def read_values(
    r: ParseState, pos: int, shape: CallShape, want: str, stop: str = "", item: Callable[..., Any] = read_call
) -> int:
    """Read the JSON value at `pos` and its calls, then any values that follow it without a close marker between."""
    text, first = r.text, True
    while True:
        is_array = text[pos] == "["
        end = _read_array(r, pos, shape, stop, item) if is_array else _read_object(r, pos, shape, stop, item)
        if end < 0:
            return end
        if want in ("object", "lines") and is_array:
            r.deviates("array_of_calls")
        elif want == "array" and not is_array:
            r.deviates("not_an_array")
        if not first and want not in ("any", "lines"):
            r.broken("extra_data")
        first = False
        end = _extra_closers(r, end, stop)
        comma = text[end : end + 1] in (",", ";")
        typed = _SPACE_OR_TYPED.match(text, end + comma)
        pos = typed.end() if typed else end
        if text[pos : pos + 1] not in tuple("{[") or (text[pos] == "[" and text[pos + 1 : pos + 2].isupper()):
            if typed and "\\" in typed.group() and stop and text.startswith(stop, pos):
                r.broken("typed_escape")
                return pos
            return end
        if not _begins_call(r, pos, shape, stop):
            return end
        if text[end] == ",":
            r.deviates("separator")


def _begins_call(r: ParseState, pos: int, shape: CallShape, stop: str) -> bool:
    try:
        return bool(call_names(decode(r, pos, stop).value, shape))
    except Unreadable:
        return bool(stop)  # inside an envelope it is a broken call; after one without a close marker it is text


def _read_object(r: ParseState, pos: int, shape: CallShape, stop: str, item: Callable[..., Any]) -> int:
    try:
        decoded = decode(r, pos, stop)
    except Unreadable as e:
        r.broken(e.reason)
        return LOST
    _take(r, decoded, shape, item)
    return decoded.end


def _take(r: ParseState, decoded: Decoded, shape: CallShape, item: Callable[..., Any]) -> None:
    for problem in decoded.problems:
        r.broken(problem)
    item(r, decoded.value, shape, decoded.repeated)


def _read_array(r: ParseState, pos: int, shape: CallShape, stop: str, item: Callable[..., Any]) -> int:
    """Read an array of calls: in one go when it is strict JSON, else object by object, so that one broken or cut
    object, or a forgotten comma, does not take the others with it."""
    text = r.text
    try:
        decoded = decode(r, pos) if r.budget > 0 else None
    except Unreadable as e:
        decoded = None
        if e.reason == "too_deep":
            r.broken(e.reason)
            return LOST
    if decoded and not decoded.problems:
        for obj in decoded.value:
            item(r, obj, shape, {})
        return decoded.end
    r.broken("array_not_json")
    pos, calls = pos + 1, len(r.calls)
    while True:
        pos = _between(text, pos)
        char = text[pos : pos + 1]
        if char == "{":
            try:
                one = decode(r, pos, stop)
            except Unreadable as e:
                r.broken(e.reason)
                following = _next_item(text, pos + 1) if r.budget > 0 else -1
                if not r.spend((following if following >= 0 else len(text)) - pos) or following < 0:
                    return pos if len(r.calls) > calls else LOST
                pos = following
                continue
            _take(r, one, shape, item)
            pos = one.end
        else:
            closers = _CLOSERS.match(text, pos)
            end = closers.end() if closers else pos
            if char and text[end : end + 1] in (",", "{") and "\n" not in text[pos:end]:
                pos = end  # a closer too many between two objects
                continue
            if char == "]":
                return pos + 1
            return end if len(r.calls) > calls else LOST


_BETWEEN = re.compile(r"(?:[\s,]|\\[nrt])*")
_ITEM = re.compile(r"[,}\]\[]\s*\{")


def _between(text: str, pos: int) -> int:
    match = _BETWEEN.match(text, pos)
    return match.end() if match else pos


def _next_item(text: str, pos: int) -> int:
    """Where the next object of a broken array starts: a brace behind a comma or a closer, never behind a colon."""
    match = _ITEM.search(text, pos)
    return match.end() - 1 if match else -1


def _extra_closers(r: ParseState, end: int, stop: str) -> int:
    """Step over closers that nothing opened, when the close marker, another call or the end follows them."""
    text = r.text
    closers = _CLOSERS.match(text, end)
    if not closers or not closers.group().strip():
        return end
    after = closers.end()
    if after >= len(text) or text[after] in "{,;`\n" or (stop and text.startswith(stop, after)):
        r.broken("extra_closer")
        return after
    return end
