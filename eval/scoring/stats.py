"""Rates with their uncertainty, and the paired test of two runs."""

import math
from statistics import NormalDist
from typing import Any


def wilson(count: int, n: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """The score interval of a proportion, as fractions from 0 to 1; None when n is 0.

    With p = count/n and z the normal quantile: centre (p + z²/2n) / (1 + z²/n), half-width
    z·√(p(1-p)/n + z²/4n²) / (1 + z²/n). Source: E. B. Wilson, "Probable inference, the law of succession, and
    statistical inference", JASA 22 (1927), 209–212.
    """
    if n == 0:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, share = count / n, z * z / n
    centre = (p + share / 2) / (1 + share)
    half = z * math.sqrt(p * (1 - p) / n + share / (4 * n)) / (1 + share)
    return (0.0 if count == 0 else max(0.0, centre - half), 1.0 if count == n else min(1.0, centre + half))


def rate(count: int, n: int) -> dict[str, Any]:
    """`{"value", "count", "n", "low", "high"}`: count/n with its Wilson 95 % interval; None where n is 0."""
    low, high = wilson(count, n) or (None, None)
    return {"value": count / n if n else None, "count": count, "n": n, "low": low, "high": high}


def harmonic_mean(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """2ab / (a + b) of two rates, in the shape of a `rate`; 0 where either is, None where either has no samples.

    It counts nothing and has no interval of its own: those of its two parts say how sure it is.
    """
    x, y = a["value"], b["value"]
    value = None if x is None or y is None else 2 * x * y / (x + y) if x and y else 0.0
    return {"value": value, "count": None, "n": a["n"] + b["n"], "low": None, "high": None}


def f1(hits_got: int, got: int, hits_wanted: int, wanted: int) -> dict[str, Any]:
    """`{"precision", "recall", "f1"}` of a set of things predicted and a set of things wanted.

    F1 is (hits_got + hits_wanted) / (got + wanted): the harmonic mean of precision and recall wherever the two hit
    counts are equal, and defined when only one side is empty. None when both are.
    """
    both = got + wanted
    return {
        "precision": rate(hits_got, got),
        "recall": rate(hits_wanted, wanted),
        "f1": (hits_got + hits_wanted) / both if both else None,
    }


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value that two runs on the same samples are equally often right.

    Only the samples on which they differ say anything; under the hypothesis each of the `only_a + only_b` falls to
    either side with probability 1/2, so p = min(1, 2·P(X ≤ min)) with X binomial. 1.0 when they never differ. Source:
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947), 153–157.
    """
    n, term, tail = only_a + only_b, 1, 0
    for k in range(min(only_a, only_b) + 1):
        tail += term
        term = term * (n - k) // (k + 1)
    return min(1.0, 2 * tail / (1 << n))
