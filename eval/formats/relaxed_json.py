"""The one relaxed JSON parser: accepts only deviations that keep the value unmistakable (parsing policy, rule 4).

Accepted: a trailing comma, comments, other quotes, True/False/None, unquoted keys, raw control characters in strings,
bad escapes (the backslash is meant), a typed `\\n` between tokens, `+6` and `.5`, repeated keys (the last one counts),
doubled outer braces `{{…}}`, and closers that are missing, wrong or too many right before the close tag.
Everything else is refused: unescaped quotes, bare words, arithmetic, units, leading zeros, NaN, a cut text.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from eval.formats.strict_json import MAX_DEPTH, Unreadable

_SPACE = re.compile(r"\s*")
_KEY = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.])")
_LITERAL = re.compile(r"(?:true|false|null|True|False|None)(?!\w)")
_LITERALS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_TAIL = re.compile(r"[\]}\s]*(?:```\s*)?")
_HEX4 = re.compile(r"[0-9a-fA-F]{4}")
_CONTROL = re.compile(r"[\x00-\x1f]")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_CLOSING = {'"': '"', "'": "'", "“": "”", "”": "”", "‘": "’", "’": "’"}
_CHUNK = {quote: re.compile(rf"[^{quote}\\]*") for quote in set(_CLOSING.values())}


class Relaxed(NamedTuple):
    """A value, the index after it, what was deviant, and by `id(object)` the keys that an object repeats."""

    value: Any
    end: int
    problems: list[str]
    repeated: Mapping[int, set[str]]


def relaxed_decode(text: str, pos: int = 0, stop: str = "") -> Relaxed:
    """Read the one value that starts at `pos`, an object or array.

    Args:
        stop: the close tag of the envelope; missing closers are supplied only where it follows.

    Raises:
        Unreadable: the value is not certain; `far` is the index that was reached.
    """
    parser = _Parser(text, stop)
    try:
        value, end = parser.value(pos, 0)
    except RecursionError:
        raise Unreadable("too_deep", parser.far) from None
    return Relaxed(value, end, list(parser.problems), parser.repeated)


class _Parser:
    """One pass over the text; `pos` goes in and comes out of every method, so nothing has to be undone."""

    __slots__ = ("closed", "doubled", "far", "problems", "repeated", "stop", "text")

    def __init__(self, text: str, stop: str) -> None:
        self.text, self.stop = text, stop
        self.problems: dict[str, None] = {}
        self.repeated: dict[int, set[str]] = {}
        self.closed = False  # the close tag was met: every open container ends here
        self.doubled = False  # the outermost brace was written twice, as in a format string
        self.far = 0

    def fault(self, reason: str, pos: int) -> Unreadable:
        at_end = pos >= len(self.text)
        return Unreadable("cut" if at_end else reason, max(pos, self.far))

    def note(self, problem: str) -> None:
        self.problems[problem] = None

    def gap(self, pos: int) -> int:
        """Skip white space, comments and typed newlines between tokens."""
        text = self.text
        while True:
            match = _SPACE.match(text, pos)
            pos = match.end() if match else pos
            two = text[pos : pos + 2]
            if two in ("\\n", "\\t", "\\r"):
                self.note("typed_escape")
                pos += 2
            elif two == "//" or two[:1] == "#":
                self.note("comment")
                pos = text.find("\n", pos)
            elif two == "/*":
                self.note("comment")
                pos = text.find("*/", pos + 2)
                pos += 2 if pos >= 0 else 0
            else:
                return pos
            if pos < 0:
                raise self.fault("cut", len(text))

    def value(self, pos: int, depth: int) -> tuple[Any, int]:
        char = self.text[pos : pos + 1]
        if char in "{[" and char:
            if depth >= MAX_DEPTH:
                raise self.fault("too_deep", pos)
            return self.object(pos, depth) if char == "{" else self.array(pos, depth)
        if char in _CLOSING:
            return self.string(pos)
        if match := _NUMBER.match(self.text, pos):
            return self.number(match)
        if match := _LITERAL.match(self.text, pos):
            if match.group()[0].isupper():
                self.note("python_literal")
            return _LITERALS[match.group()], match.end()
        raise self.fault("not_a_value", pos)

    def number(self, match: re.Match[str]) -> tuple[int | float, int]:
        digits = match.group()
        if digits[0] in "+." or digits[:2] == "-.":
            self.note("number_style")
        try:
            value = int(digits) if digits.lstrip("+-").isdigit() else float(digits)
        except ValueError:
            raise self.fault("number_too_long", match.start()) from None
        if isinstance(value, float) and math.isinf(value):
            raise self.fault("not_finite", match.start())
        return value, match.end()

    def string(self, pos: int) -> tuple[str, int]:
        text, quote = self.text, _CLOSING[self.text[pos]]
        if quote != '"':
            self.note("quote_style")
        parts: list[str] = []
        pos += 1
        while True:
            match = _CHUNK[quote].match(text, pos)
            assert match is not None
            parts.append(match.group())
            pos = match.end()
            self.far = max(self.far, pos)
            if pos >= len(text):
                raise self.fault("cut", pos)
            if text[pos] == quote:
                break
            part, pos = self.escape(pos, quote)
            parts.append(part)
        value = "".join(parts)
        if _CONTROL.search("".join(parts[::2])):
            self.note("raw_control_char")
        return value, pos + 1

    def escape(self, pos: int, quote: str) -> tuple[str, int]:
        """Read one escape; one that JSON does not know stands for itself, backslash included."""
        text, char = self.text, self.text[pos + 1 : pos + 2]
        if char == "u" and (match := _HEX4.match(text, pos + 2)):
            code, pos = int(match.group(), 16), match.end()
            if 0xD800 <= code < 0xDC00 and text.startswith("\\u", pos) and (low := _HEX4.match(text, pos + 2)):
                second = int(low.group(), 16)
                if 0xDC00 <= second < 0xE000:
                    return chr(0x10000 + ((code - 0xD800) << 10) + second - 0xDC00), low.end()
            return chr(code), pos
        if char in _ESCAPES:
            return _ESCAPES[char], pos + 2
        if char == quote:
            return char, pos + 2
        self.note("bad_escape")
        return "\\" + char, pos + 1 + len(char)

    def key(self, pos: int) -> tuple[str, int]:
        if self.text[pos : pos + 1] in _CLOSING:
            return self.string(pos)
        match = _KEY.match(self.text, pos)
        if not match:
            raise self.fault("not_a_key", pos)
        self.note("unquoted_key")
        return match.group(), match.end()

    def object(self, pos: int, depth: int) -> tuple[dict[str, Any], int]:
        text = self.text
        pos = self.gap(pos + 1)
        twice = text[pos : pos + 1] == "{" and (depth == 0 or self.doubled)
        if twice:
            self.note("doubled_braces")
            self.doubled = True
            pos = self.gap(pos + 1)
        obj: dict[str, Any] = {}
        while text[pos : pos + 1] != "}":
            key, pos = self.key(pos)
            pos = self.gap(pos)
            if text[pos : pos + 1] != ":":
                raise self.fault("not_json", pos)
            value, pos = self.value(self.gap(pos + 1), depth + 1)
            if key in obj:
                self.note("duplicate_key")
                self.repeated.setdefault(id(obj), set()).add(key)
            obj[key] = value
            pos = self.after_item(pos, "}")
            if self.closed:
                return obj, pos
        if twice:
            pos = self.gap(pos + 1)
            if text[pos : pos + 1] != "}" and self.supplied(pos):
                return obj, pos
            if text[pos : pos + 1] != "}":
                raise self.fault("unbalanced", pos)
        return obj, pos + 1

    def array(self, pos: int, depth: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        pos = self.gap(pos + 1)
        while self.text[pos : pos + 1] != "]":
            value, pos = self.value(pos, depth + 1)
            items.append(value)
            pos = self.after_item(pos, "]")
            if self.closed:
                return items, pos
        return items, pos + 1

    def after_item(self, pos: int, closer: str) -> int:
        """Step over the comma after a member, or stay on the closer."""
        if self.closed:
            return pos
        pos = self.gap(pos)
        char = self.text[pos : pos + 1]
        if char == ",":
            pos = self.gap(pos + 1)
            if self.text[pos : pos + 1] == closer:
                self.note("trailing_comma")
            return pos
        if char == closer or self.supplied(pos):
            return pos
        raise self.fault("not_json", pos)

    def supplied(self, pos: int) -> bool:
        """True where nothing but closers stands between here and the close tag: they are read as the right ones."""
        match = _TAIL.match(self.text, pos)
        if self.stop and match and self.text.startswith(self.stop, match.end()):
            self.note("unbalanced")
            self.closed = True
        return self.closed
