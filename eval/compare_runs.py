"""Two evaluations side by side: find their scores, and say in words what McNemar's test says."""

import json
from pathlib import Path
from typing import Any

from eval.words import phrase
from tooltune.errors import InputError
from tooltune.files import quoted, read_text
from tooltune.run import find_run
from tooltune.words import Phrase

LEVEL = 0.05
"""Below this p-value a difference is called one."""
Named = tuple[str, dict[str, Any]]


def two_sides(a: str, b: str | None, split: str = "test") -> tuple[Named, Named]:
    """The (name, scores) to compare: the tuned models of two evaluations, or base and tuned of one.

    Args:
        a, b: a run's name or folder, its `eval/<split>` folder, a `metrics.json`, or what `score --json` wrote.

    Raises:
        InputError: there is no such evaluation, or `b` is left out and `a` has no base model beside the tuned one.
    """
    first, path = _read(a, split)
    if b is not None:
        second, _ = _read(b, split)
        return (a, _tuned(first)), (b, _tuned(second))
    if not first.get("base"):
        raise InputError(
            "only one model was evaluated here", where=str(path), fix="name a second one, or evaluate with --base"
        )
    return ("base", _side(first, "base")), ("tuned", _tuned(first))


def tuned_scores(where: str, split: str) -> dict[str, Any]:
    """The scores of the tuned model of an evaluation, with its `execution`; arguments and errors as `two_sides`."""
    return _tuned(_read(where, split)[0])


def verdict(pair: dict[str, Any], a: str, b: str) -> Phrase:
    """What one paired comparison (see `scoring.compare`) says, in a sentence or two."""
    apart = pair["only_a"] + pair["only_b"]
    if not apart:
        return phrase("compare.same")
    better, worse = (b, a) if pair["only_b"] > pair["only_a"] else (a, b)
    counts = {"apart": apart, "only_a": pair["only_a"], "only_b": pair["only_b"], "odds": _odds(pair["p_value"])}
    key = "compare.better" if pair["p_value"] < LEVEL else "compare.unclear"
    return phrase(key, a=a, b=b, better=better, worse=worse, **counts)


def _odds(p: float) -> Phrase:
    if p < 0.001:
        return phrase("odds.few")
    of = 1000 if p < 0.01 else 100
    return phrase("odds", n=of * p, of=of)


def _tuned(metrics: dict[str, Any]) -> dict[str, Any]:
    return _side(metrics, "tuned") if isinstance(metrics.get("tuned"), dict) else metrics


def _side(metrics: dict[str, Any], name: str) -> dict[str, Any]:
    """One model's scores, with what its calls did where they were carried out."""
    scores: dict[str, Any] = metrics[name]
    return scores | {"execution": (metrics.get("execution") or {}).get(name)}


def _read(where: str, split: str) -> tuple[dict[str, Any], Path]:
    path = Path(where)
    if path.is_dir() and (path / "metrics.json").is_file():
        path /= "metrics.json"
    elif not path.is_file():
        path = find_run(where) / "eval" / split / "metrics.json"
        if not path.is_file():
            raise InputError(
                f"the run was not evaluated on {split}",
                where=str(path.parent),
                fix=f"python -m eval run {quoted(where)}",
            )
    return read_metrics(path), path


def read_metrics(path: Path) -> dict[str, Any]:
    """What a `metrics.json` holds, or what `score --json` wrote.

    Raises:
        InputError: it cannot be read, or is no evaluation.
    """
    try:
        value = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as e:
        what = f"cannot be read as JSON ({e})"
        raise InputError(what, where=str(path), fix="evaluate again, or give another file") from None
    if not isinstance(value, dict) or not isinstance(_tuned(value).get("samples"), list):
        raise InputError(
            "this is not an evaluation", where=str(path), fix="give a run, a metrics.json, or what `score --json` wrote"
        )
    return value
