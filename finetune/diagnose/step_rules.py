"""Rules on what is logged every few steps: learning rate, grad_norm, spikes, and numbers that are none."""

import math
from collections.abc import Sequence

from finetune.diagnose.loss_rules import WELL
from finetune.diagnose.run_finding import Level, RunFinding
from finetune.diagnose.series import LoggedValue, evaluated, head, mean, now, series, start, tail, usual, warmup_steps
from finetune.history import History, rows_of_step

NORMAL = (0.1, 2.0)
UNSTABLE = 10.0
STALLED = 0.001
"""grad_norm. docs/metrics.md, "Verdicts": 0.1 to 2.0 is normal, above 10 unstable, below 0.001 stalled."""

OFTEN = 0.05
"""The share of values above `UNSTABLE` that is more than single spikes."""

WINDOW, FEWEST = 20, 10
"""A spike is judged against so many values logged just before it, and at least so many."""

LOSS_SPIKE, LOSS_RISE, GRAD_SPIKE = 2.0, 0.5, 3.0
"""A spike is that many times the highest value of the window (rows of text weigh more than calls, so that the highest,
not the median, is what a sound batch may reach). A loss must also rise by 0.5, the width of "in progress"
(docs/metrics.md, "Verdicts"); a grad_norm must be above normal."""

RISEN = 1.2
"""A training loss that came back to a fifth above its lowest (over a tenth of the run) has turned round."""

REFERENCE_RATE = 2e-4
"""docs/metrics.md, "The reference recipe"."""

UNSHRUNK = 0.8
"""grad_norm shrinks as a model learns (docs/metrics.md, "What is logged"); at four fifths of its start it has not."""

OFF = 0.01
"""A rate may differ from its schedule by a hundredth of its peak."""

SCALER_STEPS = 20
"""float16 skips an optimizer step at each overflow while its scale comes down from 2^16, and the schedule waits: the
rate may lag by that many steps."""


def not_finite(history: History) -> RunFinding | None:
    """The first step whose loss or grad_norm is no number; float16 meets infinite gradients and skips them."""
    keys = ("loss",) if history.manifest["precision"] == "float16" else ("loss", "grad_norm")
    for event in history.steps:
        for key in keys:
            if isinstance(event.get(key), str):  # the log keeps NaN and infinities as text
                rows = rows_of_step(history, event["step"])
                figures = {
                    "step": event["step"],
                    "epoch": event["epoch"],
                    "key": key,
                    "value": event[key],
                    "rows": rows,
                }
                return RunFinding("not_finite", "fault", figures)
    return None


def lr_off_schedule(history: History) -> RunFinding | None:
    """The logged rate that lies farthest from its schedule, where it lies off it."""
    train = history.config.train
    slack = SCALER_STEPS if history.manifest["precision"] == "float16" else 0
    worst, off = None, OFF * train.learning_rate
    for point in series(history, "learning_rate"):
        allowed = [scheduled_rate(history, step) for step in range(max(1, point.step - slack), point.step + 1)]
        distance = max(min(allowed) - point.value, point.value - max(allowed))
        if distance > off:
            worst, off = point, distance
    if worst is None:
        return None
    figures = {
        "step": worst.step,
        "found": worst.value,
        "expected": scheduled_rate(history, worst.step),
        "schedule": train.schedule,
        "peak": train.learning_rate,
        "warmup": warmup_steps(history),
    }
    return RunFinding("lr_off_schedule", "warning", figures)


def scheduled_rate(history: History, step: int) -> float:
    """The rate that optimizer step `step` (from 1) is made with, by the config.

    transformers' schedules: from 0 in equal steps to the peak, then a line or half a cosine to 0, or the peak. They
    count from 0, so the first step is made with rate 0.
    """
    train, total, done = history.config.train, int(history.manifest["steps"]), step - 1
    warmup = warmup_steps(history)
    if done < warmup:
        return train.learning_rate * done / warmup
    share = min(1.0, (done - warmup) / max(1, total - warmup))
    left = {"linear": 1 - share, "cosine": 0.5 * (1 + math.cos(math.pi * share)), "constant_with_warmup": 1.0}
    return train.learning_rate * left[train.schedule]


def lr_too_high(history: History) -> RunFinding | None:
    """A training loss that fell and came back, with gradients above normal."""
    losses, norms = series(history, "loss"), series(history, "grad_norm", after=warmup_steps(history))
    if len(losses) < FEWEST or not norms:
        return None
    width = len(tail(losses))
    lowest = min(mean(losses[i : i + width]) for i in range(len(losses) - width + 1))
    end, norm = now(losses), usual(tail(norms))
    if end < RISEN * lowest or norm <= NORMAL[1]:
        return None
    rate = history.config.train.learning_rate
    return RunFinding(
        "lr_too_high", "warning", {"rate": rate, "half": rate / 2, "lowest": lowest, "now": end, "norm": norm}
    )


def lr_too_low(history: History) -> RunFinding | None:
    """A rate below half the reference, a loss that is not well learnt, and gradients as large as at the start."""
    rate = history.config.train.learning_rate
    losses, norms = series(history, "loss"), series(history, "grad_norm", after=warmup_steps(history))
    if rate >= REFERENCE_RATE / 2 or not evaluated(history) or len(norms) < FEWEST or now(losses) < 0.5:
        return None
    before, norm = usual(head(norms)), usual(tail(norms))
    if norm < max(UNSHRUNK * before, NORMAL[0]) or now(losses) > start(losses):
        return None
    return RunFinding("lr_too_low", "warning", {"rate": rate, "now": now(losses), "norm_start": before, "norm": norm})


def grad_unstable(history: History) -> RunFinding | None:
    """grad_norm above 10 at more than single steps after the warm-up."""
    norms = series(history, "grad_norm", after=warmup_steps(history))
    high = [p for p in norms if p.value > UNSTABLE]
    if len(norms) < FEWEST or len(high) <= OFTEN * len(norms) or len(high) < 2:
        return None
    largest = max(high, key=lambda p: p.value)
    figures = {"step": largest.step, "norm": largest.value, "share": len(high) / len(norms)}
    return RunFinding("grad_unstable", "warning", figures)


def grad_stalled(history: History) -> RunFinding | None:
    """grad_norm below 0.001 at the end."""
    norms, losses = series(history, "grad_norm", after=warmup_steps(history)), series(history, "loss")
    if not norms or not losses or usual(tail(norms)) >= STALLED:
        return None
    level: Level = "warning" if now(losses) >= WELL else "note"
    return RunFinding("grad_stalled", level, {"norm": usual(tail(norms)), "loss": now(losses)})


def loss_spike(history: History) -> RunFinding | None:
    """The step whose loss stands farthest above those before it, with the rows that it was made of."""
    spikes = _spikes(series(history, "loss"), LOSS_SPIKE, LOSS_RISE)
    if not spikes:
        return None
    point, before = max(spikes, key=lambda spike: spike[0].value / spike[1])
    rows = [row for step in _steps_of(history, point.step) for row in rows_of_step(history, step)]
    figures = {"step": point.step, "loss": point.value, "usual": before, "count": len(spikes), "rows": rows}
    return RunFinding("loss_spike", "warning", figures)


def grad_spike(history: History) -> RunFinding | None:
    """The same of grad_norm, at steps whose loss does not spike; training that is unstable throughout has no spikes."""
    if grad_unstable(history):
        return None
    norms = series(history, "grad_norm", after=warmup_steps(history))
    jumps = {point.step for point, _ in _spikes(series(history, "loss"), LOSS_SPIKE, LOSS_RISE)}
    spikes = [(p, before) for p, before in _spikes(norms, GRAD_SPIKE, 0) if p.value > NORMAL[1] and p.step not in jumps]
    if not spikes:
        return None
    point, before = max(spikes, key=lambda spike: spike[0].value / spike[1])
    rows = rows_of_step(history, point.step)  # the trainer logs the last step's norm, not a mean
    figures = {"step": point.step, "norm": point.value, "usual": before, "count": len(spikes), "rows": rows}
    return RunFinding("grad_spike", "warning", figures)


def grad_normal(history: History) -> RunFinding | None:
    """The usual grad_norm after the warm-up, where it is normal."""
    norms = series(history, "grad_norm", after=warmup_steps(history))
    if not norms or not NORMAL[0] <= usual(norms) <= NORMAL[1]:
        return None
    return RunFinding("grad_normal", "good", {"norm": usual(norms)})


def _spikes(points: Sequence[LoggedValue], ratio: float, rise: float) -> list[tuple[LoggedValue, float]]:
    """Points far above all of the window before them, each with the window's highest value."""
    found = []
    for i in range(FEWEST, len(points)):
        before = max(p.value for p in points[max(0, i - WINDOW) : i])
        if points[i].value > ratio * before and points[i].value > before + rise:
            found.append((points[i], before))
    return found


def _steps_of(history: History, step: int) -> range:
    """The steps whose mean was logged at `step`."""
    before = max((e["step"] for e in history.steps if e["step"] < step), default=0)
    return range(before + 1, step + 1)
