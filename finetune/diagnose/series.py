"""What every rule needs of a run's figures: finite values, where a series begins and ends, the usual value."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from finetune.history import History
from tooltune.metrics import METRICS

EDGE = 0.1
"""The share of the logged values that is "the start" or "now": one value alone is noise."""


@dataclass(frozen=True)
class LoggedValue:
    """One logged value that is a finite number."""

    step: int
    value: float


def series(history: History, key: str, after: int = 0) -> list[LoggedValue]:
    """The finite values of `key` over the training steps later than `after`; None and "nan" are left out."""
    return [LoggedValue(e["step"], e[key]) for e in history.steps if is_number(e.get(key)) and e["step"] > after]


def is_number(value: Any) -> bool:
    """A finite number; a log keeps NaN and infinities as text."""
    return isinstance(value, int | float) and math.isfinite(value)


def evaluated(history: History) -> list[dict[str, Any]]:
    """The rows of the epoch table whose evaluation loss is a finite number."""
    return [row for row in history.epochs if is_number(row.get("eval_loss"))]


def best_row(history: History) -> dict[str, Any] | None:
    """The row of the best evaluation so far, by what the run selects by; as the trainer does, the first of equals."""
    metric = history.config.eval.select_by
    rows = [row for row in history.epochs if is_number(row.get(metric))]
    better = min if METRICS[metric].lower else max
    return better(rows, key=lambda row: row[metric]) if rows else None


def scored_rows(history: History) -> int:
    """Validation rows that each evaluation generates and scores."""
    wanted = history.config.eval.generate
    return min(wanted, history.manifest.get("rows", {}).get("validation", wanted))


def start(points: Sequence[LoggedValue]) -> float:
    return mean(head(points))


def now(points: Sequence[LoggedValue]) -> float:
    return mean(tail(points))


def mean(points: Sequence[LoggedValue]) -> float:
    return fmean(p.value for p in points)


def usual(points: Sequence[LoggedValue]) -> float:
    """The median."""
    return median(p.value for p in points)


def tail(points: Sequence[LoggedValue]) -> Sequence[LoggedValue]:
    """The last tenth."""
    return points[-_edge(points) :]


def head(points: Sequence[LoggedValue]) -> Sequence[LoggedValue]:
    """The first tenth."""
    return points[: _edge(points)]


def warmup_steps(history: History) -> int:
    """Steps over which the rate rises, as `finetune.length` counts them."""
    steps: int = history.manifest["steps"]
    return math.ceil(history.config.train.warmup * steps)


def _edge(points: Sequence[LoggedValue]) -> int:
    return max(1, round(EDGE * len(points)))
