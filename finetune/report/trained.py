"""How long a run trained, of one that was interrupted and went on too, and how fast its steps were."""

from dataclasses import dataclass

from finetune.diagnose.series import is_number
from finetune.history import History


@dataclass(frozen=True)
class TrainingTime:
    """The time that a finished run's training took.

    Attributes:
        seconds: of the whole training with its evaluations; of a run trained in parts, of all parts' steps alone, for
            the trainer's own clock starts anew with each part.
        samples_per_second: the rows that trained over those seconds.
    """

    seconds: float
    samples_per_second: float
    parts: bool


@dataclass(frozen=True)
class Pace:
    """The means over all training steps, evaluations apart (`finetune.rate`).

    Attributes:
        hfu: None without gradient checkpointing, where it is the MFU.
    """

    tokens_per_second: float
    supervised_per_second: float
    mfu: float
    hfu: float | None


def pace(history: History) -> Pace | None:
    """The run's pace so far; None of a run that did not measure it."""
    if "matmul_gflops" not in history.manifest:
        return None
    before, seconds = 0, 0.0
    totals = {"tokens_per_second": 0.0, "supervised_per_second": 0.0, "mfu": 0.0, "hfu": 0.0}
    for event in history.steps:
        steps, before = event["step"] - before, event["step"]
        speed = event.get("samples_per_second")
        if not (is_number(event.get("mfu")) and is_number(speed) and speed):
            continue
        took = steps / speed  # in proportion to the seconds
        seconds += took
        for key in totals:
            totals[key] += took * event.get(key, 0.0)
    if not seconds:
        return None
    tokens, supervised, mfu, hfu = (total / seconds for total in totals.values())
    return Pace(tokens, supervised, mfu, hfu or None)


def trained(history: History) -> TrainingTime | None:
    """What is known of it; None while the run goes on, or where its log lacks what it takes."""
    end = history.end or {}
    clock = [end.get(key) for key in ("train_runtime", "train_samples_per_second", "epoch")]
    if not all(is_number(value) for value in clock):
        return None
    runtime, speed, epochs = map(float, clock)  # type: ignore[arg-type]
    rows = epochs * history.manifest["rows"]["train"]
    if runtime * speed > 0.99 * rows:  # the trainer's rows are those since the last resumption
        return TrainingTime(runtime, speed, parts=False)
    seconds = _step_seconds(history)
    return TrainingTime(seconds, round(rows / seconds, 3), parts=True) if seconds else None


def _step_seconds(history: History) -> float | None:
    """Seconds inside training steps; an event's speed is that of the steps since the event before it."""
    seconds, before = 0.0, 0
    for event in history.steps:
        speed = event.get("samples_per_second")
        if not is_number(speed) or not speed:
            return None
        seconds += (event["step"] - before) * history.manifest["effective_batch"] / speed
        before = event["step"]
    return seconds or None
