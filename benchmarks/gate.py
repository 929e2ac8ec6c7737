"""The loss-parity gate: two arms are compared in speed only when they compute the same losses on the same steps."""

import math
import statistics
from collections.abc import Sequence

from benchmarks.results import ArmResult, ArmRun, Parity, ShapeResult, Speedup, TrainResult

LIMIT = 0.02
STEPS = 20


def compare(shape: ShapeResult, plain: Sequence[str]) -> None:
    """Set the shape's `parity` and `speedup`: each arm against every plain arm that stands before it.

    A pair whose parity fails, or that did not see the same batches, has no speed-up.
    """
    arms = [arm for arm in shape["arms"] if _good(arm)]
    pairs = [(arm, other) for i, arm in enumerate(arms) for other in arms[:i] if other["arm"] in plain]
    shape["parity"] = [parity(a, b) for a, b in pairs if not (a["different_batches"] or b["different_batches"])]
    failed = {(p["arm"], p["against"]) for p in shape["parity"] if not p["passed"]}
    shape["speedup"] = [speedup(a, b) for a, b in pairs if (a["arm"], b["arm"]) not in failed]


def parity(arm: ArmResult, against: ArmResult) -> Parity:
    """The largest difference of the losses of the first 20 steps, over all pairs of repeats.

    Runs that did not start from the same adapter or did not see the same batches do not pass, whatever their losses.
    """
    pairs = list(zip(_good(arm), _good(against), strict=False))
    steps = min(STEPS, *(len(run["losses"]) for pair in pairs for run in pair))
    differences = [abs(x - y) for a, b in pairs for x, y in zip(a["losses"][:steps], b["losses"][:steps], strict=True)]
    largest = max(differences) if all(map(math.isfinite, differences)) else None
    same = all(a[key] == b[key] for a, b in pairs for key in ("batches_sha256", "adapter_sha256"))
    return {
        "arm": arm["arm"],
        "against": against["arm"],
        "max_difference": largest,
        "steps": steps,
        "limit": LIMIT,
        "passed": same and largest is not None and largest < LIMIT,
    }


def speedup(arm: ArmResult, against: ArmResult) -> Speedup:
    """Steady samples a second of the one over the other; low and high are the worst and best pair of repeats."""
    rates, others = ([run["samples_per_second"] for run in _good(a)] for a in (arm, against))
    ratios = [x / y for x, y in zip(rates, others, strict=False)]
    return {
        "arm": arm["arm"],
        "against": against["arm"],
        "ratio": statistics.median(rates) / statistics.median(others),
        "low": min(ratios),
        "high": max(ratios),
    }


def valid(result: TrainResult) -> bool:
    """Whether every pair of arms that was compared computed the same."""
    return all(pair["passed"] for shape in result["shapes"] for pair in shape["parity"])


def _good(arm: ArmResult) -> list[ArmRun]:
    return [run for run in arm["runs"] if run["status"] == "ok"]
