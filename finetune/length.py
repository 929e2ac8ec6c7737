"""How long a run is, before it starts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data.render import Example
from data.stored import lengths_of
from finetune.packing import Packing
from finetune.shared_prefix import computed_tokens
from tooltune.config import Config
from tooltune.console import Tick


@dataclass(frozen=True)
class Length:
    """The size of a run in the trainer's own counting."""

    steps_per_epoch: int
    steps: int
    warmup_steps: int
    tokens: int  # of the training rows, one epoch
    supervised: int
    longest: int
    computed: int  # of `tokens`, those that are computed in the first epoch; fewer where prefixes are shared


def run_length(
    config: Config, rows: Sequence[Example], packing: Packing | None = None, tick: Tick = lambda tokens: None
) -> Length:
    """Optimizer steps as the trainer counts them: an epoch's last, short accumulation is a step too.

    Args:
        packing: where rows are packed behind the prefixes that they share.
        tick: told how many more tokens of packed rows were looked at, in the end all.
    """
    from finetune.batching import epoch_order

    micro_steps = math.ceil(len(rows) / config.train.micro_batch)
    per_epoch = max(1, math.ceil(micro_steps / config.train.accumulation))
    steps = config.train.max_steps or math.ceil(config.train.epochs * per_epoch)
    lengths = lengths_of(rows)
    computed = sum(lengths)
    if packing:
        order = epoch_order(config.train, lengths, packing.families).order()
        computed = computed_tokens(_taken(rows, order, tick), packing.rows, packing.tokens)
    return Length(
        per_epoch,
        steps,
        math.ceil(config.train.warmup * steps),
        sum(lengths),
        sum(row.supervised for row in rows),
        max(lengths),
        computed,
    )


def _taken(rows: Sequence[Example], order: Sequence[int], tick: Tick) -> Iterator[Example]:
    for number in order:
        row = rows[number]
        tick(len(row.input_ids))
        yield row
