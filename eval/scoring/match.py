"""Which predicted call answers which gold call.

Calls are paired by name first: as many pairs of the same name as there can be. Among those pairings the one with the
most equal parameters is taken, then the most calls entirely equal, then the most equal leaves. Every figure built on
the pairs is then the same whatever the order of the calls. What is left over pairs a gold call with a call of another
name; that only feeds the table of confused names.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from eval.parsed import ToolCall
from eval.scoring.agreement import Leaves, agree_arguments
from eval.scoring.assign import best_pairs
from eval.scoring.equality import equal, equal_key, without_defaults
from eval.scoring.gold import GoldCall, order_key
from eval.scoring.schema import FREE, Place

_BIG = 1 << 40


@dataclass(frozen=True)
class Pair:
    """A gold call and the prediction paired with it; None where one has no partner.

    Attributes:
        equal: same name and all parameters equal, none extra.
        leaves: agreement of the arguments; empty unless the names are the same.
    """

    gold: GoldCall | None
    got: ToolCall | None
    equal: bool = False
    leaves: Leaves = field(default_factory=Leaves)

    @property
    def same_name(self) -> bool:
        return self.gold is not None and self.got is not None and self.gold.name == self.got.name


def match_calls(gold: Sequence[GoldCall], got: Sequence[ToolCall], schemas: dict[str, Place]) -> list[Pair]:
    """Pair gold calls with predicted ones; every call is in exactly one pair.

    Args:
        schemas: the offered tools' places by name; a tool that is not there has no schema.
    """
    wanted, made = _by_name(gold), _by_name(got)
    pairs: list[Pair] = []
    for name in sorted(wanted.keys() & made.keys()):
        rows, columns = wanted[name], made[name]
        table = _compare_all(rows, columns, schemas.get(name, FREE))
        chosen = best_pairs([[_weight(*cell) for cell in line] for line in table])
        pairs += [Pair(rows[i], columns[j], table[i][j][1], table[i][j][2]) for i, j in chosen]
        used_rows, used_columns = {i for i, _ in chosen}, {j for _, j in chosen}
        wanted[name] = [g for i, g in enumerate(rows) if i not in used_rows]
        made[name] = [c for j, c in enumerate(columns) if j not in used_columns]
    rest = [g for n in sorted(wanted) for g in wanted[n]], [c for n in sorted(made) for c in made[n]]
    return pairs + _pair_rest(*rest)


def _by_name(calls: Sequence[Any]) -> dict[str, list[Any]]:
    """Calls by name, each group in an order that depends on the arguments alone."""
    groups: dict[str, list[Any]] = defaultdict(list)
    for call in sorted(calls, key=lambda c: order_key(c.arguments)):
        groups[call.name].append(call)
    return groups


def _compare_all(gold: list[GoldCall], got: list[ToolCall], place: Place) -> list[list[tuple[int, bool, Leaves]]]:
    """For each gold call and prediction: equal parameters, all equal, agreement of leaves."""
    keys = [order_key(call.arguments) for call in got]
    distinct = dict(zip(keys, got, strict=True))  # a model in a loop repeats one call thousands of times
    lines = [{key: _compare(want, call, place) for key, call in distinct.items()} for want in gold]
    return [[line[key] for key in keys] for line in lines]


def _compare(want: GoldCall, call: ToolCall, place: Place) -> tuple[int, bool, Leaves]:
    said = without_defaults(call.arguments, place)
    hits = sum(equal_key(key, said, want.arguments, place) for key in said)
    same = equal(call.arguments, want.arguments, place)
    return hits, same, agree_arguments(call.arguments, want.arguments, place)


def _weight(hits: int, same: bool, leaves: Leaves) -> int:
    """One integer that orders by hits, then equality, then leaves, as long as no sum reaches 2^40."""
    return ((hits * _BIG + same) * _BIG + leaves.got_hits) * _BIG + leaves.wanted_hits


def _pair_rest(gold: list[GoldCall], got: list[ToolCall]) -> list[Pair]:
    """Pair calls of different names by the parameters they share; the surplus stays alone."""
    pairs = best_pairs([[_shared(want.arguments, call.arguments) for call in got] for want in gold])
    left, right = {i for i, _ in pairs}, {j for _, j in pairs}
    return (
        [Pair(gold[i], got[j]) for i, j in pairs]
        + [Pair(g, None) for i, g in enumerate(gold) if i not in left]
        + [Pair(None, c) for j, c in enumerate(got) if j not in right]
    )


def _shared(want: dict[str, Any], got: dict[str, Any]) -> int:
    return sum(key in want and equal(value, want[key], FREE) for key, value in got.items())
