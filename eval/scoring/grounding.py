"""Values in a predicted call that nothing supports: a diagnosis, not a judgement of right or wrong.

A leaf of the arguments is **ungrounded** when none of these holds:

- it is true, false, null, or text without a letter or digit;
- the schema supports it: it equals the default, or stands in the enum or const, of its place;
- gold supports it: it equals a leaf of a gold call of the same sample, alternatives included (the right answer is taken
  as read from the conversation, however it was worded: numbers in words, "half", the corners of a plan);
- the conversation supports it:
  a string when its letters and digits, after NFKC and case folding, with × read as x, stand in the conversation in that
  order with no other letter or digit between; a number when its absolute value is one that is written there in
  digits, or a fraction a/b, or lies as a whole number inside a written range of whole numbers (1~5, 1-5, 1번부터
  5번까지, 1 to 5), each up to a shift by 10, 100, 1,000 or 1,000,000 either way (mm and m, N and kN, percent).

Keys of a free-form map are the model's own words and count as string leaves. Sign and unit shifts are ignored on
purpose: what is asked is whether the value was made up, not whether it is right. Numbers written only as words support
nothing by themselves.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from eval.scoring.equality import equal
from eval.scoring.gold import AnyOf, TooDeep
from eval.scoring.schema import FREE, MISSING, Place

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_FRACTION = re.compile(r"(\d{1,9})\s*/\s*(\d{1,9})")
_RANGE = re.compile(
    r"(\d{1,6})\s*[^\W\d_]{0,3}\s*(?:~|-|–|—|부터|에서|to|through)\s*[^\W\d_]{0,3}\s*(\d{1,6})", re.IGNORECASE
)
_SHIFTS = (0, 1, -1, 2, -2, 3, -3, 6, -6)
_DIGITS = 9


@dataclass(frozen=True)
class Evidence:
    """What a sample supports: the conversation's letters and digits run together, numbers, ranges; gold's leaves."""

    text: str
    numbers: frozenset[Decimal]
    ranges: tuple[tuple[int, int], ...]
    gold_texts: frozenset[str]
    gold_numbers: frozenset[Decimal]


def read_evidence(prompt: str, gold: list[tuple[dict[str, Any], Place]]) -> Evidence:
    """Prepare one sample for look-ups.

    Args:
        prompt: the text of the turns before the call (system, user, tool results), without the tool schemas.
        gold: the arguments of each gold call and the root place of its tool.
    """
    plain = unicodedata.normalize("NFKC", prompt)
    numbers = {_rounded(Decimal(m.replace(",", ""))) for m in re.findall(_NUMBER, plain)}
    for top, bottom in _FRACTION.findall(plain):
        if int(bottom):
            numbers.add(_rounded(Decimal(top) / Decimal(bottom)))
    leaves = [leaf for arguments, place in gold for leaf, _ in _leaves(arguments, place)]
    return Evidence(
        text=_squeeze(plain),
        numbers=frozenset(numbers),
        ranges=tuple((int(a), int(b)) for a, b in _RANGE.findall(plain) if int(a) < int(b)),
        gold_texts=frozenset(_squeeze(leaf) for leaf in leaves if isinstance(leaf, str)),
        gold_numbers=frozenset(number for leaf in leaves if (number := _number(leaf)) is not None),
    )


def count_ungrounded(arguments: dict[str, Any], place: Place, evidence: Evidence) -> int:
    """How many leaves of one predicted call neither schema, gold nor conversation support."""
    return sum(not _grounded(leaf, below, evidence) for leaf, below in _leaves(arguments, place))


def _grounded(leaf: Any, place: Place, evidence: Evidence) -> bool:
    if place.default is not MISSING and equal(leaf, place.default, place):
        return True
    if place.enum is not None and any(equal(leaf, allowed, place) for allowed in place.enum):
        return True
    if isinstance(leaf, str):
        squeezed = _squeeze(leaf)
        return squeezed in evidence.gold_texts or squeezed in evidence.text
    if isinstance(leaf, bool) or not isinstance(leaf, (int, float)):
        return not isinstance(leaf, TooDeep)
    number = _number(leaf)
    if number is None:
        return False
    shifted = [_rounded(number.scaleb(shift)) for shift in _SHIFTS]
    return number in evidence.gold_numbers or any(
        n in evidence.numbers or _in_range(n, evidence.ranges) for n in shifted
    )


def _leaves(value: Any, place: Place) -> Iterator[tuple[Any, Place]]:
    if isinstance(value, AnyOf):
        for option in value.options:
            yield from _leaves(option, place)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _leaves(item, place.item(i))
    elif isinstance(value, dict):
        for key, item in value.items():
            free = key not in place.properties and not place.undeclared_parameters
            if free and place.child(key) is not None:
                yield key, FREE  # a key of a free-form map
            yield from _leaves(item, place.child_or_free(key))
    else:
        yield value, place


def _number(value: Any) -> Decimal | None:
    """The absolute value, the same for 10 and 10.0, 0.3 and 0.30000000000000004; None for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = Decimal(value)
        return _rounded(abs(number)) if number.is_finite() else None
    except (InvalidOperation, OverflowError, ValueError):
        return None


def _rounded(number: Decimal) -> Decimal:
    """The number to _DIGITS significant digits."""
    if not number:
        return Decimal(0)
    try:
        return round(number, _DIGITS - 1 - number.adjusted()).normalize()
    except InvalidOperation:  # more digits than the decimal context holds
        return number.normalize()


def _in_range(number: Decimal, ranges: tuple[tuple[int, int], ...]) -> bool:
    return number == number.to_integral_value() and any(low <= number <= high for low, high in ranges)


def _squeeze(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold().replace("×", "x")
    return "".join(c for c in folded if c.isalnum())
