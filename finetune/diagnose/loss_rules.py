"""Rules on the two losses over the epochs: is it learning, where is it best, has overfitting begun."""

import math
from typing import Any

from finetune.diagnose.run_finding import RunFinding
from finetune.diagnose.series import best_row, evaluated, is_number, now, scored_rows, series, start
from finetune.diagnose.verdict import FAST, PAST_THE_BEST, verdict
from finetune.history import History

HARDLY, WELL = 2.0, 0.3
"""Training loss (docs/metrics.md, "Verdicts"): at 2.0 and above hardly anything is right, below 0.3 it is learnt."""

FLAT = 0.1
"""A training loss that fell by less than a tenth of its start is flat (this project's reading of the word)."""

HIGH = 1.0
"""docs/metrics.md, "Verdicts": 0.5 to 1.0 is "in progress", so a loss that is flat above it has not got there."""

CALLS = ("tool_name_accuracy", "parameter_accuracy", "exact_match")

ENOUGH_STEPS = 50
"""Optimizer steps after which a flat loss means something: half of the reference recipe's first epoch is 125."""


def not_learning(history: History) -> RunFinding | None:
    """Both losses high and flat."""
    losses, table = series(history, "loss"), evaluated(history)
    if not losses or losses[-1].step < ENOUGH_STEPS:
        return None
    begin, end = start(losses), now(losses)
    flat = end > (1 - FLAT) * begin and end >= HIGH
    if not flat or any(row["eval_loss"] < HIGH for row in table):
        return None
    rate = history.config.train.learning_rate
    return RunFinding("not_learning", "fault", {"start": begin, "now": end, "steps": losses[-1].step, "rate": rate})


def loss_high(history: History) -> RunFinding | None:
    """A finished run whose training loss is still 2.0 or more, although it fell."""
    losses = series(history, "loss")
    if history.end is None or not losses or now(losses) < HARDLY or not_learning(history):
        return None
    return RunFinding("loss_high", "warning", {"start": start(losses), "now": now(losses)})


def in_progress(history: History) -> RunFinding | None:
    """A training loss that fell, to between "hardly right" and "well learnt"."""
    losses = series(history, "loss")
    if not losses or not WELL <= now(losses) < HARDLY or now(losses) >= (1 - FLAT) * start(losses):
        return None
    return RunFinding("in_progress", "note", {"start": start(losses), "now": now(losses)})


def well_learnt(history: History) -> RunFinding | None:
    """A training loss below 0.3, unless it was bought with overfitting."""
    losses = series(history, "loss")
    if not losses or now(losses) >= WELL or _past_the_best(history):
        return None
    end = now(losses)
    return RunFinding("well_learnt", "good", {"start": start(losses), "now": end, "p": math.exp(-end)})


def overfitting(history: History) -> RunFinding | None:
    """Validation loss well above its lowest while training loss falls: from which epoch on, and which one to keep."""
    figures = _past_the_best(history)
    return RunFinding("overfitting", "warning", figures) if figures and not _calls_since_the_lowest(history) else None


def overfitting_by_loss(history: History) -> RunFinding | None:
    """The same where the calls that were generated say otherwise: some of their figures rose meanwhile."""
    figures = _past_the_best(history)
    if not figures or not (calls := _calls_since_the_lowest(history)):
        return None
    return RunFinding("overfitting_by_loss", "warning", figures | {"calls": calls, "scored": scored_rows(history)})


def _past_the_best(history: History) -> dict[str, Any] | None:
    """The figures of overfitting, where there is any.

    It rises from the first evaluation after the lowest on; it is called overfitting from the first whose verdict says
    so, because a rise of some percent is within what another seed would give.
    """
    table, losses = evaluated(history), series(history, "loss")
    if len(table) < 2 or not losses:
        return None
    lowest = _lowest(table)
    past = [i for i in range(lowest + 1, len(table)) if verdict(table[: i + 1]) in PAST_THE_BEST]
    if not past:
        return None
    best, last = table[lowest], table[-1]
    return {
        "epoch": table[past[0]]["epoch"],
        "step": table[past[0]]["step"],
        "rises_from": table[lowest + 1]["epoch"],
        "best_epoch": best["epoch"],
        "best_loss": best["eval_loss"],
        "last_loss": last["eval_loss"],
        "last_train": now(losses) if last["train_loss"] is None else last["train_loss"],
        "next_epochs": max(1, round(best["epoch"])),
    }


def _calls_since_the_lowest(history: History) -> dict[str, tuple[float, float]]:
    """What the generated calls scored at the lowest validation loss and at the end; empty where nothing rose."""
    table = evaluated(history)
    best, last = table[_lowest(table)], table[-1]
    known = [key for key in CALLS if is_number(best.get(key)) and is_number(last.get(key))]
    moved = {key: (float(best[key]), float(last[key])) for key in known if best[key] != last[key]}
    return moved if any(after > before for before, after in moved.values()) else {}


def best_epoch(history: History) -> RunFinding | None:
    """The epoch that was best by what the run selects by, proven by evaluations after it that were no better."""
    metric, best = history.config.eval.select_by, best_row(history)
    if best is None or best is history.epochs[-1]:
        return None
    figures = {
        "epoch": best["epoch"],
        "step": best["step"],
        "metric": metric,
        "value": best[metric],
        "after": sum(row["step"] > best["step"] for row in history.epochs),
    }
    return RunFinding("best_epoch", "good", figures)


def too_few_epochs(history: History) -> RunFinding | None:
    """A finished run whose last evaluation still brought a fast fall."""
    figures = _still_falling(history)
    return RunFinding("too_few_epochs", "note", figures) if figures and figures["fall"] > 1 - FAST else None


def last_is_best(history: History) -> RunFinding | None:
    """A finished run whose last evaluation is the best, by a small step."""
    figures = _still_falling(history)
    return RunFinding("last_is_best", "note", figures) if figures and figures["fall"] <= 1 - FAST else None


def one_evaluation(history: History) -> RunFinding | None:
    table = evaluated(history)
    if history.end is None or len(table) != 1:
        return None
    figures = {"last_loss": table[0]["eval_loss"], "epoch": table[0]["epoch"], "every": max(1, table[0]["step"] // 4)}
    return RunFinding("one_evaluation", "note", figures)


def mean_above_last(history: History) -> RunFinding | None:
    """The run's mean training loss lies above where it ended: it includes the start."""
    losses = series(history, "loss")
    if history.end is None or not losses or not is_number(history.end.get("train_loss")):
        return None
    mean, end = history.end["train_loss"], now(losses)
    if mean <= end:
        return None
    return RunFinding("mean_above_last", "good", {"mean": mean, "now": end, "start": start(losses)})


def _lowest(table: list[dict[str, Any]]) -> int:
    losses = [row["eval_loss"] for row in table]
    return losses.index(min(losses))


def _still_falling(history: History) -> dict[str, Any] | None:
    table = evaluated(history)
    if history.end is None or len(table) < 2 or _lowest(table) != len(table) - 1:
        return None
    before, last = table[-2], table[-1]
    return {
        "epoch": last["epoch"],
        "before": before["eval_loss"],
        "last_loss": last["eval_loss"],
        "fall": 1 - last["eval_loss"] / before["eval_loss"],
        "next_epochs": math.floor(last["epoch"]) + 1,
    }
