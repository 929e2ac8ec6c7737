"""From rendered rows to batches: the order of an epoch, and padding."""

import random
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch.utils.data import Sampler

from data.render import IGNORED, Example
from data.stored import StoredExamples
from tooltune.config import TrainSection
from tooltune.launch import processes, rank


class EpochOrder(Sampler[int]):
    """The order of the rows in each epoch, a function of (seed, epoch) alone, so that a resumed run sees the same rows.

    With `group`, rows of similar length stand together: the epoch is shuffled, cut into pools of 32 batches, each pool
    is sorted by length and cut into batches, and the batches are shuffled. With `families`, rows that share a prefix
    stand together instead: each family of them is shuffled and cut into parts of at most a batch, which are packed into
    batches, and those are shuffled. With neither it is a plain shuffle.

    Args:
        lengths: tokens of each row.
        batch: rows in an optimizer step.
        families: a number for each row, equal for rows that share a prefix (`shared_prefix.prefix_families`).
    """

    def __init__(
        self, lengths: Sequence[int], batch: int, *, seed: int, group: bool, families: Sequence[int] | None = None
    ) -> None:
        self.lengths, self.batch, self.seed, self.group, self.families = lengths, batch, seed, group, families
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(self.order())

    def order(self) -> list[int]:
        """The row numbers of the current epoch."""
        rng = random.Random(f"{self.seed}:{self.epoch}")
        rows = list(range(len(self.lengths)))
        rng.shuffle(rows)
        if self.families is not None:
            return _by_family(rows, self.families, self.lengths, self.batch, rng)
        if not self.group:
            return rows
        pool = self.batch * 32
        batches = []
        for start in range(0, len(rows), pool):
            near = sorted(rows[start : start + pool], key=lambda row: self.lengths[row])
            batches += [near[i : i + self.batch] for i in range(0, len(near), self.batch)]
        return _shuffled(batches, self.batch, rng)


class ShareOfSteps(Sampler[list[int]]):
    """The micro-batches of one of several processes. Each step's rows are cut into as many micro-batches for each; of a
    short last step some have fewer rows, or none.

    Args:
        sampler: the order of all rows; the trainer tells it the epoch.
        micro_batch, accumulation: of this process.
    """

    def __init__(self, sampler: EpochOrder, micro_batch: int, accumulation: int) -> None:
        self.sampler, self.batch_size, self.drop_last = sampler, micro_batch, False
        self.accumulation = accumulation

    def __len__(self) -> int:
        return -(-len(self.sampler) // self.sampler.batch) * self.accumulation

    def __iter__(self) -> Iterator[list[int]]:
        order, size = self.sampler.order(), self.batch_size
        for step in range(0, len(order), self.sampler.batch):
            rows = order[step : step + self.sampler.batch]
            for micro_step in range(self.accumulation):
                start = (micro_step * processes() + rank()) * size
                yield rows[start : start + size]


def epoch_order(train: TrainSection, lengths: Sequence[int], families: Sequence[int] | None) -> EpochOrder:
    """The order of a run's rows, from its settings; `families` as in `EpochOrder`, where prefixes are shared."""
    batch = train.micro_batch * train.accumulation
    return EpochOrder(lengths, batch, seed=train.seed, group=train.group_by_length, families=families)


def _by_family(
    rows: list[int], families: Sequence[int], lengths: Sequence[int], size: int, rng: random.Random
) -> list[int]:
    members: dict[int, list[int]] = {}
    for row in rows:
        members.setdefault(families[row], []).append(row)
    parts = [
        sorted(family[i : i + size], key=lambda row: lengths[row])  # attention pads neighbours of like length together
        for family in members.values()
        for i in range(0, len(family), size)
    ]
    rng.shuffle(parts)
    parts.sort(key=len, reverse=True)  # stable: parts of one length stay shuffled
    batches: list[list[int]] = []
    spacious: dict[int, list[list[int]]] = {}  # by the room that is left
    for part in parts:
        room = min((r for r, found in spacious.items() if r >= len(part) and found), default=None)
        target: list[int] = spacious[room].pop() if room else []
        if room is None:
            batches.append(target)
        target += part
        spacious.setdefault(size - len(target), []).append(target)
    full = [b for b in batches if len(b) == size]
    left = [row for b in batches if len(b) < size for row in b]
    return _shuffled(full + [left[i : i + size] for i in range(0, len(left), size)], size, rng)


def _shuffled(batches: list[list[int]], size: int, rng: random.Random) -> list[int]:
    """The batches in a random order; a short one stays last, amid full ones it would shift all after it."""
    short = [b for b in batches if len(b) < size]
    batches = [b for b in batches if len(b) == size]
    rng.shuffle(batches)
    return [row for batch in batches + short for row in batch]


def collate(rows: Sequence[dict[str, Any]], pad_token_id: int) -> dict[str, Any]:
    """Pad rows on the right to the longest of them.

    Returns:
        input_ids, attention_mask, labels: int64 tensors of shape [rows, longest]; padding has label `IGNORED`. Rows
        with `weights` give a float32 tensor of them too, 0 on padding.
    """
    longest = max(len(row["input_ids"]) for row in rows)

    def pad(key: str, value: int) -> Any:
        return torch.tensor([list(row[key]) + [value] * (longest - len(row[key])) for row in rows])

    weights = {"weights": pad("weights", 0).float()} if "weights" in rows[0] else {}
    mask = [[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]
    return {
        "input_ids": pad("input_ids", pad_token_id),
        "attention_mask": torch.tensor(mask),
        "labels": pad("labels", IGNORED),
        **weights,
    }


def features(example: Example, weights: dict[int, float] | None = None) -> dict[str, Any]:
    """What the collator takes of an example: its ids and labels and, when roles are weighted, a weight a token."""
    plain = {"input_ids": _listed(example.input_ids), "labels": _listed(example.labels)}
    return plain if weights is None else plain | {"weights": [weights[role] for role in example.roles]}


def to_dataset(examples: Sequence[Example], weights: dict[int, float] | None = None) -> Any:
    """Token ids, labels and weights as a `datasets.Dataset`; rows that are on disk stay there."""
    from datasets import Dataset

    if isinstance(examples, StoredExamples):
        return examples.dataset.with_transform(partial(_columns, weights=weights))
    return Dataset.from_list([features(example, weights) for example in examples])


def _listed(values: Any) -> list[int]:
    """The fields of a row on disk are arrays."""
    return values if isinstance(values, list) else values.tolist()


def _columns(rows: dict[str, list[Any]], weights: dict[int, float] | None) -> dict[str, list[Any]]:
    """`features` of rows as they stand on disk, by column."""
    pairs = list(zip(rows["input_ids"], rows["roles"], strict=True))
    labels = [[i if role else IGNORED for i, role in zip(*pair, strict=True)] for pair in pairs]
    plain = {"input_ids": rows["input_ids"], "labels": labels}
    return plain if weights is None else plain | {"weights": [[weights[role] for role in roles] for _, roles in pairs]}
