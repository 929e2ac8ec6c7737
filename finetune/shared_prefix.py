"""Rows behind one copy of the prefix that they share: what is found on tokens, and how a micro-batch is laid out.

The rows of a program have the same system turn and tool list. Laid out as `[prefix][suffix 1][suffix 2]…`, with
positions that go on from the prefix in each suffix, the prefix is computed once for all of them. `finetune.attention`
lets each suffix see the prefix and itself, so the loss and its gradients are those of separate rows
(docs/shared-prefix.md).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

from data.families import cut_by_prefix
from data.render import IGNORED, Example
from data.stored import lengths_of
from tooltune.console import Tick

BLOCK = 128
"""Tokens of each row that are compared at a time where many rows are sorted."""


@dataclass(frozen=True)
class PrefixGroup:
    """One prefix and the lengths of the suffixes that stand behind it; a row without a partner is a prefix alone."""

    prefix: int
    suffixes: tuple[int, ...] = ()

    @property
    def tokens(self) -> int:
        return self.prefix + sum(self.suffixes)


@dataclass
class Layout:
    """The groups of a micro-batch, one after the other. What attention derives from a group once is kept here for the
    other layers."""

    groups: list[PrefixGroup]
    derived: dict[Any, Any] = field(default_factory=dict)


def lead(labels: Sequence[int]) -> int:
    """How many tokens stand before the first one that carries loss: only those may be shared."""
    import numpy as np

    (carrying,) = np.nonzero(np.asarray(labels) != IGNORED)
    return int(carrying[0]) if len(carrying) else len(labels)


def cut_into_families(ids: Sequence[Sequence[int]], leads: Sequence[int]) -> list[tuple[int, int]]:
    """The families of neighbouring rows; `leads` of a row's tokens may be shared, but never its last."""
    return cut_by_prefix([row[: min(most, len(row) - 1)] for row, most in zip(ids, leads, strict=True)])


def prefix_families(rows: Sequence[Example], tick: Tick = lambda tokens: None) -> list[int]:
    """A number for each row, equal for rows that share a prefix: a pure function of the rows' tokens.

    Args:
        tick: told how many more tokens were looked at, in the end as many as all rows have.
    """
    order = list(_by_tokens(rows, range(len(rows)), 0, lengths_of(rows), tick))
    numbers = [0] * len(rows)
    at = 0
    ids, leads = [rows[r].input_ids for r in order], [lead(rows[r].labels) for r in order]
    for number, (count, _) in enumerate(cut_into_families(ids, leads)):
        for row in order[at : at + count]:
            numbers[row] = number
        at += count
    return numbers


def _by_tokens(
    rows: Sequence[Example], numbers: Iterable[int], at: int, lengths: Sequence[int], tick: Tick
) -> Iterator[int]:
    """Row numbers in the order of their tokens from token `at` on; no more than `BLOCK` tokens a row are held."""
    import numpy as np

    def block(row: int) -> bytes:
        ids = rows[row].input_ids[at : at + BLOCK]
        tick(len(ids))
        return np.asarray(ids, dtype=">u4").tobytes()  # bytes from the highest on sort as the numbers do

    found = groupby(sorted((block(row), row) for row in numbers), key=lambda pair: pair[0])
    alike = [(len(key) == 4 * BLOCK, [row for _, row in group]) for key, group in found]
    for goes_on, group in alike:
        if goes_on and len(group) > 1:
            yield from _by_tokens(rows, group, at + BLOCK, lengths, tick)
        else:
            tick(sum(max(0, lengths[row] - at - BLOCK) for row in group))
            yield from group


def passes(rows: Sequence[dict[str, Any]], most: int) -> list[list[tuple[int, list[dict[str, Any]]]]]:
    """Cut a micro-batch into passes of at most `most` tokens: groups as pairs (shared tokens, rows) in each.

    A group that is longer is cut between its rows, each part behind a copy of the prefix; one row that is longer than a
    pass is a pass of its own.
    """
    found: list[list[tuple[int, list[dict[str, Any]]]]] = []
    at, room = 0, 0
    for count, shared in cut_into_families([row["input_ids"] for row in rows], [lead(row["labels"]) for row in rows]):
        members, at = rows[at : at + count], at + count
        part: list[dict[str, Any]] | None = None  # of this group, in the last pass
        for row in members:
            length = len(row["input_ids"])
            needed = length - shared if part is not None else length
            if not found or needed > room:
                found.append([])
                room, needed, part = most, length, None
            if part is None:
                part = []
                found[-1].append((shared, part))
            part.append(row)
            room -= needed
    return found


def computed_tokens(examples: Iterable[Example], micro_batch: int, most: int) -> int:
    """Tokens that are computed when the rows are packed in this order, so many rows at a time, in such passes."""
    total, coming = 0, iter(examples)
    while taken := list(islice(coming, micro_batch)):
        rows = [{"input_ids": e.input_ids, "labels": e.labels} for e in taken]
        for shared, part in (group for one in passes(rows, most) for group in one):
            total += sum(len(row["input_ids"]) for row in part) - (len(part) - 1) * shared
    return total


def pack(rows: Sequence[dict[str, Any]], most: int) -> dict[str, Any]:
    """Lay out a micro-batch without padding, each shared prefix once a pass.

    Args:
        rows: `input_ids`, `labels` and, where there are any, `weights`, lists of equal length. Rows with a common
            prefix must be neighbours.
        most: tokens that are computed together.

    Returns:
        passes: the micro-batch in parts, see `_lay_out`. labels: int64 [1 + supervised], the tokens to predict, of all,
        behind an `IGNORED` one: the trainer counts a batch's items from its second label on.
    """
    import torch

    parts = [_lay_out(groups) for groups in passes(rows, most)]
    return {"passes": parts, "labels": torch.cat([torch.tensor([IGNORED]), *(part["labels"] for part in parts)])}


def _lay_out(groups: Sequence[tuple[int, Sequence[dict[str, Any]]]]) -> dict[str, Any]:
    """One pass.

    Returns:
        input_ids, position_ids: int64 [1, tokens]. layout: the groups. labels: int64 [supervised], the tokens to
        predict. predictors: int64 [supervised], where the state that predicts each of them lies. weights: float32, as
        the labels, where the rows have them.
    """
    import torch

    ids: list[int] = []
    positions: list[int] = []
    predictors: list[int] = []
    layout: list[PrefixGroup] = []
    extra: dict[str, list[Any]] = {key: [] for key in ("labels", "weights") if key in groups[0][1][0]}
    for prefix, members in groups:
        shared = prefix if len(members) > 1 else 0
        first, suffixes = len(ids), []
        ids += members[0]["input_ids"][:shared]
        positions += range(shared)
        for row in members:
            length, start = len(row["input_ids"]), len(ids) - shared  # where the row's token 0 would lie
            ids += row["input_ids"][shared:]
            positions += range(shared, length)
            suffixes.append(length - shared)
            carrying = [t for t in range(1, length) if row["labels"][t] != IGNORED]
            predictors += [start + t - 1 if t > shared else first + t - 1 for t in carrying]
            for key, values in extra.items():
                values += [row[key][t] for t in carrying]
        layout.append(PrefixGroup(shared, tuple(suffixes)) if shared else PrefixGroup(suffixes[0]))
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "predictors": torch.tensor(predictors, dtype=torch.int64),
        "layout": Layout(layout),
        **{key: torch.tensor(v, dtype=torch.float32 if key == "weights" else torch.int64) for key, v in extra.items()},
    }
