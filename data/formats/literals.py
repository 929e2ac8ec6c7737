"""Values written as text: JSON first, then a Python literal. Bounded, never evaluated, and always plain JSON values."""

import ast
import json
import warnings
from collections import Counter
from typing import Any

from data.words import fault, phrase
from tooltune.words import Phrase

MAX_TEXT = 1_000_000
"""Characters of a value written inside a string."""
MAX_DEPTH = 64
"""Levels of nesting of any value."""


def decode(text: str, what: Phrase | str) -> Any:
    """The value that a string spells, as JSON or else as a Python literal.

    Raises:
        InputError: it is neither, is too long or nested too deeply, or holds what JSON cannot.
    """
    if len(text) > MAX_TEXT:
        raise fault("decode.long", what=what, n=len(text), most=MAX_TEXT)
    twice: list[str] = []
    try:
        value = decoder(twice, strict=False, parse_constant=_no_constant).decode(text)
    except (ValueError, RecursionError):
        value = _literal(text, what, twice)
    if twice:  # which of the two is meant is unknown
        raise fault("decode.twice", what=what, key=excerpt(twice[0]))
    check_depth(value, what)
    if why := unwritable(value):
        raise fault("decode.has", what=what, fault=why)
    return value


def decoder(twice: list[str], **options: Any) -> json.JSONDecoder:
    """A decoder that notes keys which an object has twice: Python would keep the last and say nothing."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(items)
        if len(value) < len(items):
            twice.append(Counter(key for key, _ in items).most_common(1)[0][0])
        return value

    return json.JSONDecoder(object_pairs_hook=pairs, **options)


def plain(value: Any, what: Phrase | str) -> Any:
    """A Python literal as JSON values: tuples and sets become lists, number keys text.

    Raises:
        InputError: bytes, complex numbers, … have no JSON form.
    """
    if isinstance(value, dict):
        if not all(isinstance(k, (str, int)) for k in value):
            raise fault("decode.key", what=what)
        return {str(k): plain(v, what) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, what) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(v, what) for v in value), key=repr)
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and abs(value) < float("inf")):
        return value
    raise fault("decode.form", what=what, value=repr(str(value)[:40]))


def check_depth(value: Any, what: Phrase | str) -> None:
    """Raise InputError when lists and objects are nested more than MAX_DEPTH levels."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner for v in level if isinstance(v, (dict, list)) for inner in (v.values() if isinstance(v, dict) else v)
        ]
        if not level:
            return
    raise fault("decode.deep", what=what, most=MAX_DEPTH)


def unwritable(value: Any) -> Phrase | None:
    """What hinders a value from being written as JSON in UTF-8; None when nothing does."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        return phrase("has.surrogate")
    except ValueError:
        return phrase("has.number")
    except RecursionError:
        return phrase("has.nested")
    return None


def _literal(text: str, what: Phrase | str, twice: list[str]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "invalid escape sequence" is the row's matter
            tree = ast.parse(text.strip(), mode="eval")
            value = plain(ast.literal_eval(tree), what)
            for node in ast.walk(tree):
                if isinstance(node, ast.Dict):
                    keys = Counter(str(ast.literal_eval(key)) for key in node.keys if key)
                    twice += [key for key, n in keys.items() if n > 1]
            return value
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise fault("decode.text", what=what, text=excerpt(text)) from None


def excerpt(text: str, most: int = 80) -> str:
    line = " ".join(text[: most * 4].split())
    return repr(line if len(line) <= most and len(text) <= most * 4 else line[:most] + "…")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
