"""Calls in brackets: `[Get Weather(city='Seoul', days=2), ping()]`, with names that may hold spaces and `/`.

Only literals are read, one argument at a time (see `literals`), so a keyword that Python reserves (`from=`) is fine and
nothing is ever evaluated.
"""

import re
from collections.abc import Iterable
from typing import Any

from data.formats.literals import decode, excerpt
from data.words import fault, phrase

MAX_CALLS = 200
_START = re.compile(r"\[\s*[^\s\[\](){}'\"<,][^\[\](){}'\"<,\n]{0,200}\(")
_NAME = re.compile(r"[^\[\](){}'\"<,\n]{1,200}")
_KEYWORD = re.compile(r"\s*([^\W\d][\w.\-$]{0,199})\s*=(?!=)")
_WORDS = {"true": True, "false": False, "null": None}
_PAIRS = {")": "(", "]": "[", "}": "{"}

Found = tuple[str, list[Any], dict[str, Any]]
"""Name, arguments without a name, arguments by name."""


def is_call_list(text: str) -> bool:
    """Whether a text is a list of calls (well-formed or not) rather than prose."""
    return bool(_START.match(text.strip()))


def read_calls(text: str, known: Iterable[str] = ()) -> list[Found]:
    """The calls of a bracketed list, or of one call without brackets.

    Args:
        known: names that are offered; tried first, so that a name may hold anything.

    Raises:
        InputError: with the text, where it is not calls with literal arguments.
    """
    text = text.strip()
    listed = text.startswith("[")
    pos, names, calls = int(listed), sorted(known, key=len, reverse=True), list[Found]()
    while len(calls) < MAX_CALLS:
        name, pos = _name(text, pos, names)
        parts, pos = _arguments(text, pos)
        calls.append((name, *_read(parts, name)))
        rest = text[pos:].lstrip()
        if not rest and not listed:
            return calls
        if rest == "]" and listed:
            return calls
        if not rest.startswith(",") or not listed:
            raise fault("calls.written", text=excerpt(text[pos:]))
        pos = len(text) - len(rest) + 1
    raise fault("calls.many", most=MAX_CALLS)


def _name(text: str, pos: int, known: list[str]) -> tuple[str, int]:
    """The name at `pos` and the place after its opening parenthesis."""
    pos += len(text[pos:]) - len(text[pos:].lstrip())
    for name in known:
        if name and text.startswith(name, pos) and text[pos + len(name) :].lstrip().startswith("("):
            return name, text.index("(", pos + len(name)) + 1
    match = _NAME.match(text, pos)
    if not match or text[match.end() : match.end() + 1] != "(":
        raise fault("call.none", text=excerpt(text[pos:]))
    return match.group().strip(), match.end() + 1


def _arguments(text: str, pos: int) -> tuple[list[str], int]:
    """The arguments as text, split at commas outside quotes and brackets, and the place after the `)`."""
    parts, open_, quote, start, i = list[str](), list[str](), "", pos, pos
    while i < len(text):
        char = text[i]
        if quote:
            i += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            open_.append(char)
        elif char in ")]}" and open_:
            if open_.pop() != _PAIRS[char]:
                break
        elif char in ")," and not open_:
            parts.append(text[start:i])
            start = i + 1
            if char == ")":
                return [part for part in parts if part.strip()], i + 1
        i += 1
    raise fault("call.open", text=excerpt(text[pos:]))


def _read(parts: list[str], name: str) -> tuple[list[Any], dict[str, Any]]:
    positional, named = list[Any](), dict[str, Any]()
    for part in parts:
        match = _KEYWORD.match(part)
        value = part[match.end() if match else 0 :].strip()
        read = _WORDS[value] if value in _WORDS else decode(value, phrase("value.argument", name=name))
        if not match:
            positional.append(read)
        elif match.group(1) in named:
            raise fault("call.twice", name=name, key=match.group(1))
        else:
            named[match.group(1)] = read
    return positional, named
