"""The no-model probe: how much of a split is solved by looking up the nearest training request and refilling numbers.

If this scores high, the split rewards memory and not understanding. It needs rows that name their `meta.bucket`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from data.domain import Call, own_names
from data.overlap import shape, user_text
from data.record import Record

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def lookup(train: Sequence[Record], rows: Sequence[Record]) -> dict[str, float]:
    """Share solved, by bucket and over `all`: calls equal as a multiset, or no call where none is right."""
    known = [(shape(user_text(r.messages)), r) for r in train]
    index: dict[str, list[int]] = defaultdict(list)
    for i, (mine, _) in enumerate(known):
        for gram in sorted(mine):
            index[gram].append(i)
    solved: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row in rows:
        nearest = _nearest(shape(user_text(row.messages)), known, index)
        right = sorted(map(_key, _refill(nearest, row))) == sorted(map(_key, row.gold))
        for bucket in ("all", row.meta["bucket"]):
            total[bucket] += 1
            solved[bucket] += right
    return {bucket: solved[bucket] / total[bucket] for bucket in sorted(total)}


def _nearest(mine: frozenset[str], known: list[tuple[frozenset[str], Record]], index: dict[str, list[int]]) -> Record:
    common: Counter[int] = Counter()
    for gram in sorted(mine):
        common.update(index.get(gram, ()))
    best = max(common, key=lambda i: (common[i] / (len(mine) + len(known[i][0]) - common[i]), -i), default=0)
    return known[best][1]


def _refill(source: Record, row: Record) -> list[Call]:
    """The source's calls with each of its numbers replaced by the one at the same place of the other request."""
    old, new = (_NUMBER.findall(user_text(r.messages)) for r in (source, row))
    swap = dict(zip(old, new, strict=False))
    calls = own_names(source, source.gold)
    return [{**c, "arguments": {k: _swap(v, swap) for k, v in c["arguments"].items()}} for c in calls]


def _swap(value: Any, swap: dict[str, str]) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        written = str(abs(value)).removesuffix(".0")
        return float(swap.get(written, written)) * (-1 if value < 0 else 1)
    if isinstance(value, list):
        return [_swap(v, swap) for v in value]
    if isinstance(value, dict):
        return {_swap(k, swap): _swap(v, swap) for k, v in value.items()}
    return _NUMBER.sub(lambda m: swap.get(m.group(), m.group()), value)


def _key(call: Call) -> str:
    """A call as text in which 5 is 5.0, and the order of arguments and of objects' keys is nothing."""
    return repr((call["name"], sorted((k, _plain(v)) for k, v in call["arguments"].items())))


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return repr([float(v) if isinstance(v, int | float) else v for v in value])
    if isinstance(value, dict):
        return repr(sorted(value.items()))
    return repr(float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value)
