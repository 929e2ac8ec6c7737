"""How much of a call is right: counts over (path, value) leaves.

A leaf is a scalar, or a container that says nothing, at a path of keys and array positions. Optional arguments that
only repeat their default are left out on both sides, so writing a default and omitting it count the same. In a set-like
array the position is ignored: items are paired so that most leaves agree.
"""

from dataclasses import astuple, dataclass
from typing import Any

from eval.scoring.assign import best_pairs
from eval.scoring.equality import equal, equal_key, in_order, without_defaults
from eval.scoring.gold import AnyOf
from eval.scoring.schema import Place


@dataclass(frozen=True)
class Leaves:
    """Leaves of a prediction and of gold, and how many of each the other side confirms.

    The two hit counts differ only where gold offers alternatives: `wanted` counts the first alternative, whichever was
    met.
    """

    got: int = 0
    got_hits: int = 0
    wanted: int = 0
    wanted_hits: int = 0

    def __add__(self, other: "Leaves") -> "Leaves":
        return Leaves(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def agree_arguments(got: dict[str, Any], want: dict[str, Any], place: Place) -> Leaves:
    """Compare the arguments of two calls of the same tool, leaf by leaf."""
    said, asked = without_defaults(got, place), without_defaults(want, place)
    total = Leaves()
    for key in said.keys() | asked.keys():
        below = place.child_or_free(key)
        if key in said and key in asked:
            total += _agree(said[key], asked[key], below)
        elif key in said:
            total += Leaves(got=count_leaves(said[key], below))
        else:
            wanted = count_leaves(asked[key], below)
            total += Leaves(wanted=wanted, wanted_hits=wanted * equal_key(key, said, asked, place))
    return total


def count_arguments(arguments: dict[str, Any], place: Place) -> int:
    """The leaves of a call's arguments; none for a call without arguments."""
    said = without_defaults(arguments, place)
    return sum(count_leaves(v, place.child_or_free(k)) for k, v in said.items())


def count_leaves(value: Any, place: Place) -> int:
    """The leaves of one value, at least one; for AnyOf those of its first alternative."""
    if isinstance(value, AnyOf):
        return count_leaves(value.options[0], place)
    if isinstance(value, dict):
        return count_arguments(value, place) or 1
    if isinstance(value, list):
        return sum(count_leaves(v, place.item(i)) for i, v in enumerate(value)) or 1
    return 1


def _agree(got: Any, want: Any, place: Place) -> Leaves:
    """Compare two values that both are there."""
    if isinstance(want, AnyOf):
        return _alternatives(got, want, place)
    if isinstance(got, dict) and isinstance(want, dict):
        inside = agree_arguments(got, want, place)
        if inside.got and inside.wanted:
            return inside
    if isinstance(got, list) and isinstance(want, list) and got and want:
        return _set_items(got, want, place) if place.set_like else _items(got, want, place)
    hit = equal(got, want, place)
    leaves, wanted = count_leaves(got, place), count_leaves(want, place)
    return Leaves(leaves, leaves * hit, wanted, wanted * hit)


def _alternatives(got: Any, want: AnyOf, place: Place) -> Leaves:
    leaves, wanted = count_leaves(got, place), count_leaves(want, place)
    if equal(got, want, place):
        return Leaves(leaves, leaves, wanted, wanted)
    best = max((_agree(got, option, place) for option in want.options), key=lambda a: (a.got_hits, a.wanted_hits))
    return Leaves(leaves, best.got_hits, wanted, min(best.wanted_hits, wanted))


def _items(got: list[Any], want: list[Any], place: Place) -> Leaves:
    total = Leaves()
    for i in range(max(len(got), len(want))):
        if i < len(got) and i < len(want):
            total += _agree(got[i], want[i], place.item(i))
        elif i < len(got):
            total += Leaves(got=count_leaves(got[i], place.item(i)))
        else:
            total += Leaves(wanted=count_leaves(want[i], place.item(i)))
    return total


def _set_items(got: list[Any], want: list[Any], place: Place) -> Leaves:
    if ordered := in_order(got, want):
        return _items(*ordered, place)
    below = place.item(len(place.prefix))
    table = [[_agree(g, w, below) for g in got] for w in want]
    pairs = best_pairs([[cell.got_hits + cell.wanted_hits for cell in line] for line in table])
    return Leaves(
        got=sum(count_leaves(g, below) for g in got),
        got_hits=sum(table[i][j].got_hits for i, j in pairs),
        wanted=sum(count_leaves(w, below) for w in want),
        wanted_hits=sum(table[i][j].wanted_hits for i, j in pairs),
    )
