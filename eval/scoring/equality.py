"""When a predicted value equals the gold value.

- A bool is only ever a bool; null is only null.
- Two integers must be the same. Where the schema says integer, a float is accepted when it is integral and the same
  number (5.0 for 5; counted apart in `faults`). Elsewhere a float agrees to 1e-9 relative, so 10 == 10.0; without a
  schema an integer and a float must be numerically the same.
- Strings are compared after NFC and trimming; punctuation, case and inner blanks are kept. Keys and names are compared
  as written.
- Arrays are ordered, unless the schema says `uniqueItems`: then any order is right, each item matched once (beyond
  `MAX_SET`: as they sort).
- Objects are compared key by key. A key left out stands for its schema default if it is not required; null does not.
- A gold value with alternatives (`AnyOf`) is met by any of them, an optional one also by leaving it out.
"""

import math
import unicodedata
from typing import Any

from eval.scoring.assign import best_pairs
from eval.scoring.gold import AnyOf, order_key
from eval.scoring.schema import MISSING, Place

RELATIVE_TOLERANCE = 1e-9
MAX_SET = 25_000
"""Up to so many pairs of values (150 numbers with 150) sets are compared each item with each."""


def equal(got: Any, want: Any, place: Place, *, defaults: bool = True) -> bool:
    """Whether the predicted value `got` is what gold asks for at this place; MISSING stands for a key left out.

    Args:
        defaults: false inside of a default: it says all that it means, and a schema may refer to itself.
    """
    if isinstance(want, AnyOf):
        if got is MISSING:
            return want.optional
        return any(equal(got, option, place, defaults=defaults) for option in want.options)
    if isinstance(got, dict) and isinstance(want, dict):
        return all(equal_key(key, got, want, place, defaults=defaults) for key in got.keys() | want.keys())
    if isinstance(got, list) and isinstance(want, list):
        return len(got) == len(want) and _items_equal(got, want, place, defaults)
    return scalars_equal(got, want, place)


def equal_key(key: str, got: dict[str, Any], want: dict[str, Any], place: Place, *, defaults: bool = True) -> bool:
    """Whether two objects agree on `key`, with the default standing in for a key that one of them leaves out."""
    below = place.child_or_free(key)
    left, right = got.get(key, MISSING), want.get(key, MISSING)
    if isinstance(right, AnyOf) and right.optional and left is MISSING:
        return True
    default = place.default_of(key) if defaults else MISSING
    left = default if left is MISSING else left
    if right is MISSING or (isinstance(right, AnyOf) and right.optional and _is_default(left, default, below)):
        right = default
    inside = defaults and left is not default and right is not default
    return left is not MISSING and right is not MISSING and equal(left, right, below, defaults=inside)


def scalars_equal(got: Any, want: Any, place: Place) -> bool:
    """Equality of two values of which not both are objects and not both arrays."""
    if isinstance(got, str) and isinstance(want, str):
        return _text(got) == _text(want)
    if _is_number(got) and _is_number(want):
        return _numbers_equal(got, want, place)
    return type(got) is type(want) and isinstance(got, (bool, type(None))) and got == want


def without_defaults(value: dict[str, Any], place: Place) -> dict[str, Any]:
    """The object's keys that say something: those whose value is not just the default of an optional key."""
    return {k: v for k, v in value.items() if not _is_default(v, place.default_of(k), place.child_or_free(k))}


def _is_default(value: Any, default: Any, place: Place) -> bool:
    return not isinstance(value, AnyOf) and default is not MISSING and equal(value, default, place, defaults=False)


def in_order(got: list[Any], want: list[Any]) -> tuple[list[Any], list[Any]] | None:
    """Two large sets, sorted, to be compared item by item: each with each would take too long; None of small ones."""
    if _nodes(got) * _nodes(want) <= MAX_SET:
        return None
    return sorted(got, key=order_key), sorted(want, key=order_key)


def _nodes(value: Any) -> int:
    if isinstance(value, AnyOf):
        return 1 + sum(map(_nodes, value.options))
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_nodes, inner))


def _items_equal(got: list[Any], want: list[Any], place: Place, defaults: bool) -> bool:
    ordered = in_order(got, want) if place.set_like else (got, want)
    if ordered:
        pairs = enumerate(zip(*ordered, strict=True))
        return all(equal(g, w, place.item(i), defaults=defaults) for i, (g, w) in pairs)
    below = place.item(len(place.prefix))
    table = [[int(equal(g, w, below, defaults=defaults)) for g in got] for w in want]
    return sum(table[i][j] for i, j in best_pairs(table)) == len(want)


def _numbers_equal(got: int | float, want: int | float, place: Place) -> bool:
    types = place.types or frozenset()
    if (isinstance(got, int) and isinstance(want, int)) or ("integer" in types and "number" not in types):
        return got == want
    if not types and isinstance(got, int) != isinstance(want, int):
        return got == want
    try:
        return math.isclose(got, want, rel_tol=RELATIVE_TOLERANCE)
    except OverflowError:  # an integer beyond the range of floats
        return got == want


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: str) -> str:
    return unicodedata.normalize("NFC", value).strip()
