"""From the figures of an epoch to one word that says what they mean."""

from collections.abc import Sequence
from typing import Any


def verdict(history: Sequence[dict[str, Any]]) -> str:
    """One word on the last row of the epoch table, from the losses of the rows up to it.

    Rules: METRICS, "The epoch table". Against the best evaluation loss before it, a fall of more than 10 % is
    "improving fast", a smaller one "nearly converged"; up to 5 % above is "marginal"; beyond that, with a training loss
    that still falls, "overfitting" (to 1.3 times the best), "worse" (to 1.8 times) and "much worse"; with a training
    loss that does not fall, "not learning".
    """
    *before, now = history
    if not before:
        return "early"
    best = min(row["eval_loss"] for row in before)
    ratio = now["eval_loss"] / best
    if ratio < 0.9:
        return "improving fast"
    if ratio < 1:
        return "nearly converged"
    if ratio <= 1.05:
        return "marginal"
    if now["train_loss"] >= before[-1]["train_loss"]:
        return "not learning"
    return "overfitting" if ratio <= 1.3 else "worse" if ratio <= 1.8 else "much worse"
