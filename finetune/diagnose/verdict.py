"""From the figures of an epoch to one word that says what they mean."""

from collections.abc import Sequence
from typing import Any

FAST = 0.9
"""A fall of the evaluation loss by more than a tenth of the best before it is fast (this project's reading)."""

CONVERGED = {"tool_name_accuracy": 0.9, "json_validity": 0.95}
"""docs/metrics.md, "The epoch table": 90 % and 96 % are "nearly converged", 75 % and 85 % are not."""

MARGINAL = 1.1
"""Of the best evaluation loss. The same table: 0.58 / 0.55 = 1.05 is marginal, 0.65 / 0.55 = 1.18 is not."""

WORSE, MUCH_WORSE = 1.3, 1.8
"""Of the best evaluation loss. The same table: 1.18 is overfitting, 0.80 / 0.55 = 1.45 worse, 1.10 / 0.55 = 2.0 much
worse."""

PAST_THE_BEST = ("overfitting", "worse", "much worse")


def verdict(history: Sequence[dict[str, Any]]) -> str:
    """One word on the last row of the epoch table, from the rows up to it: what can be said while training goes on.

    Against the best evaluation loss before it: a fall of more than 10 % is "improving fast", a smaller one "nearly
    converged", which it also is when the tool metrics have nothing left to win; up to 10 % above is "marginal"; beyond
    that, with a training loss that still falls, "overfitting", "worse" and "much worse"; with one that does not,
    "not learning". A row has no training loss (None) where no step was logged since the row before.
    """
    *before, now = history
    if not before:
        return "early"
    ratio = now["eval_loss"] / min(row["eval_loss"] for row in before)
    if ratio < 1:
        converged = all((now.get(name) or 0) >= least for name, least in CONVERGED.items())
        return "nearly converged" if converged or ratio >= FAST else "improving fast"
    if ratio <= MARGINAL:
        return "marginal"
    earlier, later = before[-1]["train_loss"], now["train_loss"]
    if earlier is not None and later is not None and later >= earlier:
        return "not learning"
    return "overfitting" if ratio <= WORSE else "worse" if ratio <= MUCH_WORSE else "much worse"


def verdicts(table: Sequence[dict[str, Any]]) -> list[str]:
    """A word for each row, with hindsight: as `verdict` says it, but "best" where a later row proved the loss's lowest.

    The last row is never "best": whether it is cannot be known before one that is not better.
    """
    words = [verdict(table[: i + 1]) for i in range(len(table))]
    losses = [row["eval_loss"] for row in table]
    if losses and (lowest := losses.index(min(losses))) < len(losses) - 1:
        words[lowest] = "best"
    return words
