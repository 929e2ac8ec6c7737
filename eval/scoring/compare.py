"""Two runs on the same samples: which is better, and whether chance could do it."""

from typing import Any

from eval.scoring.stats import harmonic_mean, mcnemar, rate
from tooltune.errors import InputError


def compare(scores_a: dict[str, Any], scores_b: dict[str, Any]) -> dict[str, Any]:
    """Paired comparison of two results of `score`, strict reading, for `exact_match` and `tool_name`; for
    `must_call_exact` and `abstention`, which are Exact Match of the samples whose gold has a call and of the others,
    where there are both, with `balanced`, their harmonic mean, which has no counts and no test; and for `execution`
    where both carry the result of `execution_accuracy` under that key, made
    on the same samples.

    Each is `{"a", "b", "difference", "both", "only_a", "only_b", "neither", "p_value"}`: both rates, b minus
    a as a fraction, the four counts of samples by which run was right, and the two-sided exact McNemar p-value. `n`
    counts the samples; what is asked of a part of them has its own, smaller number in its rates.

    Raises:
        InputError: the two were not made on samples of the same ids and gold calls.
    """
    a, b = _by_id(scores_a), _by_id(scores_b)
    if a.keys() != b.keys():
        odd = sorted(a.keys() ^ b.keys())
        raise InputError(
            f"the two runs were not scored on the same samples: {len(odd)} ids are in one only, first {odd[0]!r}",
            fix="evaluate both on the same split",
        )
    changed = next((i for i in a if list(a[i]["gold"]) != list(b[i]["gold"])), None)
    if changed is not None:
        raise InputError(
            f"the sample {changed!r} has other gold calls in the two runs", fix="evaluate both on the same data"
        )
    exact = {i: (row["strict"]["exact_match"], b[i]["strict"]["exact_match"]) for i, row in a.items()}
    result: dict[str, Any] = {
        "n": len(a),
        "exact_match": _paired(list(exact.values())),
        "tool_name": _paired([(row["strict"]["tool_name"], b[i]["strict"]["tool_name"]) for i, row in a.items()]),
    }
    due, none_due = ([exact[i] for i, row in a.items() if bool(row["gold"]) == called] for called in (True, False))
    if due and none_due:
        called, silent = _paired(due), _paired(none_due)
        a_mean, b_mean = (harmonic_mean(called[run], silent[run]) for run in ("a", "b"))
        mean = {"a": a_mean, "b": b_mean, "difference": b_mean["value"] - a_mean["value"]}
        result |= {"must_call_exact": called, "abstention": silent, "balanced": mean}
    ran_a, ran_b = ((scores.get("execution") or {}).get("samples") or {} for scores in (scores_a, scores_b))
    if ran_a and ran_a.keys() == ran_b.keys():
        result["execution"] = _paired([(outcome == "strict", ran_b[i] == "strict") for i, outcome in ran_a.items()])
    return result


def _by_id(scores: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rows = scores.get("samples")
    if not isinstance(rows, list):
        raise InputError('the scores have no "samples"', fix="pass what score() returned, whole")
    return {row["id"]: row for row in rows}


def _paired(outcomes: list[tuple[bool, bool]]) -> dict[str, Any]:
    n, a, b = len(outcomes), sum(x for x, _ in outcomes), sum(y for _, y in outcomes)
    both = sum(x and y for x, y in outcomes)
    return {
        "a": rate(a, n),
        "b": rate(b, n),
        "difference": (b - a) / n if n else None,
        "both": both,
        "only_a": a - both,
        "only_b": b - both,
        "neither": n - a - b + both,
        "p_value": mcnemar(a - both, b - both),
    }
