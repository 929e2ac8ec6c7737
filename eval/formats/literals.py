"""Python literals, bounded: the values of Pythonic calls, without `eval` and without `ast` (parsing policy, rule 8).

`ast.parse` refuses keywords as argument names (`from=…`) and has no bound of its own. Here: strings (with prefixes,
triple quotes, adjacent parts), numbers, True/False/None and true/false/null, lists, tuples (read as lists) and dicts
with string keys. Everything else is refused. What Python would refuse but is unmistakable is noted as a problem:
leading zeros, a raw line break in a string, typographic quotes, a repeated key.
"""

import math
import re
from typing import Any

from eval.formats.strict_json import MAX_DEPTH, Unreadable

_GAP = re.compile(r"(?:\s|#[^\n]*)*")
_WORD = re.compile(r"(?:True|False|None|true|false|null)(?!\w)")
_WORDS = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}
_NUMBER = re.compile(
    r"([+-]?)(?:(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)|"
    r"([0-9]+(?:_[0-9]+)*)(\.[0-9]*)?([eE][+-]?[0-9]+)?|(\.[0-9]+(?:[eE][+-]?[0-9]+)?))(?![\w.])"
)
_STRING = re.compile(r"([rR]|[uU])?('''|\"\"\"|['\"]|[“”‘’])")
_CLOSING = {"“": "”", "”": "”", "‘": "’", "’": "’"}
_SIMPLE = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "\n": "",
}
_CODE = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})")


class Literals:
    """A reader of literals in one text; every method takes an index and returns the value with the index after it.

    Attributes:
        problems: what Python itself would not accept.
        far: how far the text was looked at.
    """

    __slots__ = ("far", "problems", "text")

    def __init__(self, text: str) -> None:
        self.text, self.far = text, 0
        self.problems: list[str] = []

    def fault(self, reason: str, pos: int) -> Unreadable:
        return Unreadable("cut" if pos >= len(self.text) else reason, max(pos, self.far))

    def gap(self, pos: int) -> int:
        """Skip white space and comments."""
        match = _GAP.match(self.text, pos)
        return match.end() if match else pos

    def value(self, pos: int, depth: int = 0) -> tuple[Any, int]:
        """Read the literal that starts at `pos`.

        Raises:
            Unreadable: no literal, or nested too deeply.
        """
        text, char = self.text, self.text[pos : pos + 1]
        if depth > MAX_DEPTH:
            raise self.fault("too_deep", pos)
        if char == "[" or char == "(":
            return self.items(pos, "]" if char == "[" else ")", depth)
        if char == "{":
            return self.mapping(pos, depth)
        if match := _STRING.match(text, pos):
            return self.strings(match)
        if match := _NUMBER.match(text, pos):
            return self.number(match), match.end()
        if match := _WORD.match(text, pos):
            return _WORDS[match.group()], match.end()
        raise self.fault("not_a_value", pos)

    def items(self, pos: int, closer: str, depth: int) -> tuple[Any, int]:
        values: list[Any] = []
        pos, comma = self.gap(pos + 1), False
        while self.text[pos : pos + 1] != closer:
            value, pos = self.value(pos, depth + 1)
            values.append(value)
            pos = self.gap(pos)
            comma = self.text[pos : pos + 1] == ","
            if comma:
                pos = self.gap(pos + 1)
            elif self.text[pos : pos + 1] != closer:
                raise self.fault("not_python", pos)
        single = closer == ")" and len(values) == 1 and not comma
        return (values[0] if single else values), pos + 1

    def mapping(self, pos: int, depth: int) -> tuple[dict[str, Any], int]:
        obj: dict[str, Any] = {}
        pos = self.gap(pos + 1)
        while self.text[pos : pos + 1] != "}":
            match = _STRING.match(self.text, pos)
            if not match:
                raise self.fault("not_a_key", pos)
            key, pos = self.strings(match)
            pos = self.gap(pos)
            if self.text[pos : pos + 1] != ":":
                raise self.fault("not_python", pos)
            value, pos = self.value(self.gap(pos + 1), depth + 1)
            if key in obj:
                self.problems.append("duplicate_key")
            obj[key] = value
            pos = self.gap(pos)
            if self.text[pos : pos + 1] == ",":
                pos = self.gap(pos + 1)
            elif self.text[pos : pos + 1] != "}":
                raise self.fault("not_python", pos)
        return obj, pos + 1

    def number(self, match: re.Match[str]) -> int | float:
        """An int or a finite float; a leading zero is dropped and noted."""
        sign, based, whole, fraction, exponent, dotted = match.groups()
        try:
            if based:
                number: int | float = int(based, 0)
            elif dotted or fraction is not None or exponent:
                number = float(match.group().lstrip("+-"))
            else:
                number = int(whole)
                if whole[0] == "0" and whole.strip("0_"):
                    self.problems.append("leading_zero")
        except ValueError:
            raise self.fault("number_too_long", match.start()) from None
        if isinstance(number, float) and math.isinf(number):
            raise self.fault("not_finite", match.start())
        return -number if sign == "-" else number

    def strings(self, match: re.Match[str] | None) -> tuple[str, int]:
        parts, pos = [], 0
        while match:
            part, pos = self.string(match)
            parts.append(part)
            match = _STRING.match(self.text, self.gap(pos))
        return "".join(parts), pos

    def string(self, match: re.Match[str]) -> tuple[str, int]:
        """The string whose prefix and opening quote `match` holds."""
        text, raw, pos = self.text, match[1] in ("r", "R"), match.end()
        quote = _CLOSING.get(match[2], match[2])
        if match[2] in _CLOSING:
            self.problems.append("quote_style")
        chunk = _CHUNKS[quote[0]]
        parts: list[str] = []
        while True:
            plain = chunk.match(text, pos)
            assert plain is not None
            parts.append(plain.group())
            if len(quote) == 1 and "\n" in plain.group():
                self.problems.append("raw_control_char")
            pos = plain.end()
            self.far = max(self.far, pos)
            if pos >= len(text):
                raise self.fault("cut", pos)
            if text.startswith(quote, pos):
                return "".join(parts), pos + len(quote)
            if text[pos] != "\\":
                parts.append(text[pos])  # a single quote inside triple quotes
                pos += 1
            elif raw:
                parts.append(text[pos : pos + 2])
                pos += 2
            else:
                part, pos = self.escape(pos + 1)
                parts.append(part)

    def escape(self, pos: int) -> tuple[str, int]:
        """What stands behind a backslash; Python keeps the backslash of an escape it does not know."""
        char = self.text[pos : pos + 1]
        if char in _SIMPLE:
            return _SIMPLE[char], pos + 1
        code = _CODE.match(self.text, pos)
        if code:
            number = int(code[4], 8) if code[4] else int(code[1] or code[2] or code[3], 16)
            if number <= 0x10FFFF:
                return chr(number), code.end()
        return "\\" + char, pos + len(char)


_CHUNKS = {quote: re.compile(rf"[^{quote}\\]*") for quote in "'\"”’"}
