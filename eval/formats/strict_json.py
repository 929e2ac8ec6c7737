"""The strict JSON decoder: what counts as valid JSON in a payload (parsing policy, rules 2, 3 and 8).

Python's own decoder accepts repeated keys, NaN and Infinity, turns 1e999 into infinity and raises RecursionError on
deep nesting. This one refuses all of them, and still runs in the C scanner.
"""

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 200
"""Containers inside each other; a payload nested deeper is refused, strictly valid or not."""


class Unreadable(ValueError):
    """No value can be read here.

    Args:
        reason: one short word for `Parsed.problems`.
        far: how far the text was looked at, as an index into it.
    """

    def __init__(self, reason: str, far: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.far = reason, far


class Long(str):
    """A long text to decode from. `json` finds the line of every fault by counting from the start of the text; over
    many faults in one text that is quadratic, and nobody reads the line here."""

    __slots__ = ()

    def count(self, *_: Any) -> int:
        """No line breaks, as far as `JSONDecodeError` is concerned."""
        return 0

    def rfind(self, *_: Any) -> int:
        """No line break before the fault either."""
        return -1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    obj = dict(pairs)
    if len(obj) != len(pairs):
        raise Unreadable("duplicate_key")
    return obj


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise Unreadable("not_finite")
    return value


def _refuse(word: str) -> NoReturn:
    raise Unreadable("not_finite")


_scan = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse).raw_decode


def strict_decode(text: str, pos: int = 0) -> tuple[Any, int]:
    """Decode the one JSON value that starts exactly at `pos`; return it and the index after it.

    Integers stay exact. What follows the value is not looked at.

    Raises:
        Unreadable: not JSON, a repeated key, a number that is not finite or has too many digits, too deep a nesting.
    """
    try:
        value, end = _scan(text, pos)
    except Unreadable:
        raise
    except json.JSONDecodeError as e:
        raise Unreadable("not_json", e.pos) from None
    except RecursionError:
        raise Unreadable("too_deep", pos + MAX_DEPTH) from None
    except ValueError:  # int() refuses thousands of digits: converting them takes quadratic time
        raise Unreadable("number_too_long") from None
    if end - pos > 2 * MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise Unreadable("too_deep", end)
    return value, end


def strict_loads(text: str) -> Any:
    """Decode a text that is one JSON value and nothing else but white space.

    Raises:
        Unreadable: as `strict_decode`, or something follows the value.
    """
    start = len(text) - len(text.lstrip(" \t\r\n"))
    value, end = strict_decode(text, start)
    if text[end:].strip(" \t\r\n"):
        raise Unreadable("extra_data", end)
    return value


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        level = [
            child
            for v in level
            if isinstance(v, (dict, list))
            for child in (v.values() if isinstance(v, dict) else v)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True
