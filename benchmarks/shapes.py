"""The batches that are timed: fixed shapes such as 2x1024, `mix`, the dataset's rows at their own lengths, or
`one-prefix`, requests to a program with 30 tools that all have the same prefix.

Every worker of a shape gets the same file of rows. The rows of the warm-up come again in the timed steps, so that
every shape of batch has been seen before it is timed.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.one_prefix import LONGEST
from data.render import IGNORED, Example
from tooltune.config import Config
from tooltune.errors import InputError
from tooltune.files import read_jsonl, write_jsonl

if TYPE_CHECKING:
    from finetune.batching import EpochOrder

MIX, ONE_PREFIX = "mix", "one-prefix"
DEFAULT = {"cuda": ["1x512", "1x1024", "1x2048", "2x1024", MIX], "cpu": [MIX]}


@dataclass(frozen=True)
class BatchShape:
    """A shape of micro-batch: rows × tokens.

    Attributes:
        length: None: the rows' own lengths.
        padded: rows that an arm which pads takes at once, accumulating the rest; None: the whole micro-batch.
        at_least: tokens that a row, and a pass of rows that share a prefix, may have whatever the config says.
    """

    name: str
    micro_batch: int
    accumulation: int
    length: int | None
    padded: int | None = None
    at_least: int = 0


def choose(names: str | None, config: Config, device: str) -> list[BatchShape]:
    """The shapes of a comma-separated list; None: the device's default.

    Raises:
        InputError: neither ROWSxTOKENS nor a name.
    """
    wanted = [name.strip() for name in names.split(",")] if names else DEFAULT[device]
    return [_parse(name, config, device) for name in wanted]


def fixed(rows: int, length: int) -> BatchShape:
    """A fixed shape; an optimizer step is one micro-batch, which changes no rate by more than the optimizer's share."""
    return BatchShape(f"{rows}x{length}", rows, 1, length)


def _parse(name: str, config: Config, device: str) -> BatchShape:
    # On a CPU the plain arm holds some four copies of the logits of all its tokens: 1 MiB a token of each, with Gemma.
    if name == ONE_PREFIX and device == "cpu":
        return BatchShape(ONE_PREFIX, 16, 1, None, padded=1, at_least=LONGEST)
    if name in (MIX, ONE_PREFIX):
        padded, at_least = 2 if device == "cpu" else None, LONGEST if name == ONE_PREFIX else 0
        return BatchShape(name, config.train.micro_batch, config.train.accumulation, None, padded, at_least)
    found = re.fullmatch(r"([1-9]\d{0,3})[x×]([1-9]\d{0,5})", name)
    if not found:
        raise InputError(f"not a shape: {name!r}", where="--shapes", fix="ROWSxTOKENS such as 2x1024, mix, one-prefix")
    return fixed(int(found[1]), int(found[2]))


def config_for(config: Config, shape: BatchShape, steps: int) -> Config:
    """The config of a run of exactly `steps` optimizer steps on this shape, of as many rows each whatever the arm."""
    effective = shape.micro_batch * shape.accumulation
    shares = config.train.share_prefix == "auto"
    most = shape.micro_batch if shares else min(shape.padded or shape.micro_batch, shape.micro_batch)
    at_once = next(rows for rows in range(most, 0, -1) if effective % rows == 0)
    return config.changed(
        {
            "train.micro_batch": at_once,
            "train.accumulation": effective // at_once,
            "train.pass_tokens": max(config.train.pass_tokens, shape.at_least),
            "train.max_steps": steps,
            "data.max_length": shape.length or max(config.data.max_length, shape.at_least),
        }
    )


def rows_for(
    shape: BatchShape,
    examples: Sequence[Example],
    *,
    seed: int,
    group: bool,
    warmup: int,
    steps: int,
    share: bool = False,
) -> list[Example]:
    """The rows of all steps in the order in which they are trained: those of the warm-up, again and again.

    Args:
        group: rows of their own lengths come in batches of similar ones, as `train.group_by_length` does.
        share: they come in batches of rows that share a prefix, as `train.share_prefix` does.

    Raises:
        InputError: the dataset has not one batch for this shape.
    """
    batch = shape.micro_batch * shape.accumulation
    if shape.length:
        block = _cut(shape.length, examples, warmup * batch)
    else:
        block = _mix(examples, batch, seed, group, share, warmup)
    return [block[i % len(block)] for i in range(steps * batch)]


def _mix(examples: Sequence[Example], batch: int, seed: int, group: bool, share: bool, steps: int) -> list[Example]:
    """The first steps' rows of the first epoch, as the trainer orders them."""
    from finetune import shared_prefix
    from finetune.batching import EpochOrder

    whole = min(steps, len(examples) // batch)
    if not whole:
        raise InputError(f"{len(examples)} rows are not one batch of {batch}", where="data.train", fix="give more rows")
    lengths = [len(example.input_ids) for example in examples]
    families = shared_prefix.prefix_families(examples) if share else None
    order = EpochOrder(lengths, batch, seed=seed, group=group, families=families).order()
    return [examples[row] for row in order[: whole * batch]]


def _cut(length: int, examples: Sequence[Example], count: int) -> list[Example]:
    """Rows of exactly `length` tokens: the dataset's rows one after another, with their labels, cut off.

    Each starts where the last one's final row ended; one without a supervised token is passed over.
    """
    found: list[Example] = []
    barren = 0
    stream = cycle(examples)
    while len(found) < count:
        row = Example(f"cut-{len(found)}")
        while len(row.input_ids) < length:
            part = next(stream)
            row.input_ids += part.input_ids
            row.labels += part.labels
            row.roles += part.roles
        row.input_ids, row.labels, row.roles = row.input_ids[:length], row.labels[:length], row.roles[:length]
        if any(label != IGNORED for label in row.labels[1:]):
            found.append(row)
            barren = 0
            continue
        barren += 1
        if barren > len(examples):  # each took at least one example: the whole dataset has been tried
            raise InputError(f"in no row is one of the first {length} tokens trained", where="--shapes")
    return found


def placed(rows: Sequence[Example], batch: int, seed: int) -> list[Example]:
    """The rows put where `shuffle` will find them in the order given."""
    place = dict(zip(shuffle(len(rows), batch, seed).order(), rows, strict=True))
    return [place[position] for position in range(len(rows))]


def shuffle(rows: int, batch: int, seed: int) -> "EpochOrder":
    """The order of every arm, those included that would put rows with a common prefix together by themselves."""
    from finetune.batching import EpochOrder

    return EpochOrder([0] * rows, batch, seed=seed, group=False)


def write_rows(path: Path, rows: Sequence[Example]) -> None:
    write_jsonl(path, map(asdict, rows))


def read_rows(path: Path) -> list[Example]:
    return [Example(**row) for _, row in read_jsonl(path)]
