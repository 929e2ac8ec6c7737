"""The value syntax of FunctionGemma and Gemma 4: `call:f{key:value,…}` with strings between special tokens.

Strings are raw: nothing is escaped in them. Other values are numbers, true/false, null, `{key:value}` and `[value]`.
"""

import re
from collections.abc import Iterable
from typing import Any

from eval.formats.envelope import LOST, NOTHING, Body, markers, skip_space
from eval.formats.family import Family, blocks
from eval.formats.parse_state import ParseState
from eval.formats.relaxed_json import relaxed_decode
from eval.formats.render import raw_text
from eval.formats.strict_json import MAX_DEPTH, Unreadable, strict_decode
from eval.parsed import ToolCall

_HEAD = re.compile(r"call:\s{0,9}([^\s{}<>:\"]{1,200})\s{0,9}(?=\{)")
_KEY = re.compile(r"[^\s{}\[\],:\"'<>|][^{}\[\],:\"'<>|\n]{0,199}(?=:)")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.])")
_WORD = re.compile(r"(?:true|false|null|True|False|None)(?!\w)")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_TAIL = re.compile(r"[\]}\s]*")


def _gemma_body(quote: str, stop: str) -> Body:
    """The body reader.

    Args:
        quote: the token that opens and closes a string.
        stop: the close marker.
    """

    def body(r: ParseState, pos: int) -> int:
        head = _HEAD.match(r.text, pos)
        if not head:
            return NOTHING
        if r.budget <= 0:
            r.broken("too_much_to_repair")
            return LOST
        reader = _Values(r.source, quote, stop)
        try:
            arguments, end = reader.mapping(head.end(), 0)
        except (Unreadable, RecursionError) as e:
            r.spend(reader.far - pos)
            r.broken(e.reason if isinstance(e, Unreadable) else "too_deep")
            return LOST
        tail = _TAIL.match(r.text, end)
        if tail and tail.group().strip() and r.text.startswith(stop, tail.end()):
            reader.problems.append("extra_closer")
            end = tail.end()
        for problem in dict.fromkeys(reader.problems):
            r.broken(problem)
        r.calls.append(ToolCall(head[1], arguments))
        return end

    return body


class _Values:
    __slots__ = ("closed", "far", "problems", "quote", "stop", "text")

    def __init__(self, text: str, quote: str, stop: str) -> None:
        self.text, self.quote, self.stop = text, quote, stop
        self.problems: list[str] = []
        self.closed, self.far = False, 0

    def fault(self, reason: str, pos: int) -> Unreadable:
        self.far = max(self.far, pos)
        return Unreadable("cut" if pos >= len(self.text) else reason, self.far)

    def value(self, pos: int, depth: int) -> tuple[Any, int]:
        text, char = self.text, self.text[pos : pos + 1]
        self.far = max(self.far, pos)
        if depth > MAX_DEPTH:
            raise self.fault("too_deep", pos)
        if text.startswith(self.quote, pos):
            return self.string(pos)
        if char == "{":
            return self.mapping(pos, depth)
        if char == "[":
            return self.items(pos, depth)
        if match := _WORD.match(text, pos):
            return _WORDS[match.group()], match.end()
        if match := _NUMBER.match(text, pos):
            return self.number(match)
        if char in ('"', "'"):
            self.problems.append("quote_style")
            try:  # the decoders read containers; a string is the one item of an array that we close ourselves
                return strict_decode(text, pos) if char == '"' else self.quoted(pos)
            except Unreadable as e:
                raise self.fault(e.reason, max(pos, e.far)) from None
        raise self.fault("not_a_value", pos)

    def quoted(self, pos: int) -> tuple[str, int]:
        end = self.text.find("'", pos + 1)
        if end < 0:
            raise self.fault("cut", len(self.text))
        value = relaxed_decode(f"[{self.text[pos : end + 1]}]").value
        return value[0], end + 1

    def number(self, match: re.Match[str]) -> tuple[Any, int]:
        try:
            value, end = strict_decode(match.group())
            if end == len(match.group()):
                return value, match.end()
        except Unreadable as e:
            if e.reason != "not_json":
                raise self.fault(e.reason, match.start()) from None
        try:
            value = relaxed_decode(f"[{match.group()}]").value[0]
        except Unreadable as e:
            raise self.fault(e.reason, match.start()) from None
        self.problems.append("number_style")
        return value, match.end()

    def string(self, pos: int) -> tuple[str, int]:
        start = pos + len(self.quote)
        end = self.text.find(self.quote, start)
        if end < 0:
            raise self.fault("cut", len(self.text))
        self.far = max(self.far, end)
        return self.text[start:end], end + len(self.quote)

    def key(self, pos: int) -> tuple[str, int]:
        if self.text.startswith(self.quote, pos):
            return self.string(pos)
        if match := _KEY.match(self.text, pos):
            return match.group(), match.end()
        if self.text[pos : pos + 1] == '"':
            self.problems.append("quote_style")
            try:
                return strict_decode(self.text, pos)
            except Unreadable as e:
                raise self.fault(e.reason, max(pos, e.far)) from None
        raise self.fault("not_a_key", pos)

    def mapping(self, pos: int, depth: int) -> tuple[dict[str, Any], int]:
        obj: dict[str, Any] = {}
        pos = skip_space(self.text, pos + 1)
        while self.text[pos : pos + 1] != "}":
            key, pos = self.key(pos)
            pos = skip_space(self.text, pos)
            if self.text[pos : pos + 1] != ":":
                raise self.fault("not_a_key", pos)
            value, pos = self.value(skip_space(self.text, pos + 1), depth + 1)
            if key in obj:
                self.problems.append("duplicate_key")
            obj[key] = value
            pos = self.after_item(pos, "}")
            if self.closed:
                return obj, pos
        return obj, pos + 1

    def items(self, pos: int, depth: int) -> tuple[list[Any], int]:
        values: list[Any] = []
        pos = skip_space(self.text, pos + 1)
        while self.text[pos : pos + 1] != "]":
            value, pos = self.value(pos, depth + 1)
            values.append(value)
            pos = self.after_item(pos, "]")
            if self.closed:
                return values, pos
        return values, pos + 1

    def after_item(self, pos: int, closer: str) -> int:
        if self.closed:
            return pos
        pos = skip_space(self.text, pos)
        char = self.text[pos : pos + 1]
        if char == ",":
            pos = skip_space(self.text, pos + 1)
            if self.text[pos : pos + 1] == closer:
                self.problems.append("trailing_comma")
            return pos
        if char == closer:
            return pos
        tail = _TAIL.match(self.text, pos)
        if tail and self.text.startswith(self.stop, tail.end()):
            self.problems.append("unbalanced")
            self.closed = True
            return pos
        raise self.fault("not_a_value", pos)


def _family(name: str, quote: str, opens: str, close: str, *markers_: tuple[str, ...]) -> Family:
    """A family of this value syntax, told by its tokens; both templates sort the keys of `call:f{…}`."""
    return Family(
        names=(name,),
        markers=markers_,
        openers=(opens,),
        parse=blocks(markers(re.escape(opens), close), _gemma_body(quote, close)),
        render=lambda calls: "".join(f"{opens}call:{c.name}{_write(c.arguments, quote)}{close}" for c in calls),
    )


def _write(value: Any, quote: str) -> str:
    if isinstance(value, str):
        return quote + raw_text(value, quote) + quote
    if isinstance(value, dict):
        pairs: Iterable[tuple[str, Any]] = sorted(value.items(), key=lambda pair: pair[0].lower())
        return "{" + ",".join(f"{raw_text(key, quote)}:{_write(item, quote)}" for key, item in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_write(item, quote) for item in value) + "]"
    return "None" if value is None else raw_text(value)


FAMILIES = (
    _family("functiongemma", "<escape>", "<start_function_call>", "<end_function_call>", ("<start_function_call>",)),
    _family("gemma4", '<|"|>', "<|tool_call>", "<tool_call|>", ("<|tool_call>", "<tool_call|>"), ('<|"|>',)),
)
