"""The largest micro-batch and the longest rows that fit, with the effective batch kept."""

from dataclasses import dataclass, replace

from finetune.memory.overheads import UNCALIBRATED, Calibration
from finetune.memory.plan import Plan, make_plan
from finetune.memory.setup import Setup

STEP = 64
"""Tokens; lengths are searched in multiples of this."""
LONGEST = 32_768
MOST_ROWS = 4096
"""Of a micro-batch."""
LENGTHS = (512, 1024, 2048, 4096, 8192)
BATCHES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Fit:
    """What fits. None where not even one row of 64 tokens does.

    Attributes:
        longest: tokens, at the smallest micro-batch.
        micro_batch, accumulation: the largest micro-batch at the config's length, and the accumulation that keeps the
            effective batch.
    """

    longest: int | None
    micro_batch: int | None
    accumulation: int | None


def longest(s: Setup, budget: float, calibration: Calibration = UNCALIBRATED) -> int | None:
    """The longest row, tokens, whose gate is within `budget` bytes, at the set-up's micro-batch."""
    fitting = None
    low, high = 1, LONGEST // STEP
    while low <= high:  # the gate grows with the length but for a dip where offloading begins
        middle = (low + high) // 2
        if _fits(replace(s, length=middle * STEP), budget, calibration):
            fitting, low = middle * STEP, middle + 1
        else:
            high = middle - 1
    return fitting


def find_fit(s: Setup, budget: float, calibration: Calibration = UNCALIBRATED) -> Fit:
    """The longest rows at micro-batch 1, and the largest micro-batch at the set-up's length.

    Only divisors of the effective batch are tried, so that micro_batch × accumulation stays what it was.
    """
    effective = s.micro_batch * s.accumulation
    divisors = [n for n in range(1, min(effective, MOST_ROWS) + 1) if effective % n == 0]
    batch = max((n for n in divisors if _fits(with_batch(s, n), budget, calibration)), default=None)
    return Fit(longest(with_batch(s, 1), budget, calibration), batch, effective // batch if batch else None)


def with_batch(s: Setup, batch: int) -> Setup:
    """The set-up with another micro-batch and the same effective batch."""
    return replace(s, micro_batch=batch, accumulation=max(1, s.micro_batch * s.accumulation // batch))


def grid(s: Setup, calibration: Calibration = UNCALIBRATED) -> dict[int, dict[int, Plan]]:
    """The plan of each micro-batch (first key) and length, the effective batch kept where it can be."""
    return {
        batch: {n: make_plan(replace(with_batch(s, batch), length=n), calibration) for n in LENGTHS}
        for batch in BATCHES
    }


def _fits(s: Setup, budget: float, calibration: Calibration) -> bool:
    return make_plan(s, calibration).gate <= budget
