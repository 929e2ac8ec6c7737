"""How long a run is, before it starts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from data.render import Example
from finetune.config import Config


@dataclass(frozen=True)
class Length:
    """The size of a run in the trainer's own counting."""

    steps_per_epoch: int
    steps: int
    warmup_steps: int
    tokens: int  # of the training rows, one epoch
    supervised: int
    longest: int


def run_length(config: Config, rows: Sequence[Example]) -> Length:
    """Optimizer steps as the trainer counts them: an epoch's last, short accumulation is a step too."""
    micro_steps = math.ceil(len(rows) / config.train.micro_batch)
    per_epoch = max(1, math.ceil(micro_steps / config.train.accumulation))
    steps = config.train.max_steps or math.ceil(config.train.epochs * per_epoch)
    return Length(
        per_epoch,
        steps,
        math.ceil(config.train.warmup * steps),
        sum(len(row.input_ids) for row in rows),
        sum(row.supervised for row in rows),
        max(len(row.input_ids) for row in rows),
    )
