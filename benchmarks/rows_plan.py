"""What `benchmarks rows` measures: its points, the result they stand in, and which of them are still to go."""

import math
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from benchmarks.results import Measured, Status
from tooltune.config import Config
from tooltune.errors import InputError

SIZES = (125, 250, 500, 1000, 2000)
MODES = ("steps", "epochs")


class RowsPoint(TypedDict):
    """One training. `modes`: for which of them it stands. Figures are None where it did not come so far.

    `rows_trained` leaves out rows that were too long; `rates` is `headline` of `eval.scoring.score`, on the validation
    rows; `train_seconds` includes loading and the evaluation of the loss; `run` is the folder's name.
    """

    arm: str
    rows: int
    steps: int
    modes: list[str]
    run: str
    status: Status
    reason: str | None
    rows_trained: int | None
    epochs: float | None
    eval_loss: float | None
    rates: dict[str, Any] | None
    train_seconds: float | None
    evaluate_seconds: float | None
    peak_memory_gib: float | None


class RowsResult(Measured):
    """The whole file."""

    kind: Literal["rows"]
    config: dict[str, Any]
    settings: dict[str, Any]
    budget_gib: float | None
    valid: bool
    arms: list[RowsPoint]


def chosen_sizes(text: str | None, there: int) -> list[int]:
    """The sizes of a comma-separated list, ascending; without one the usual sizes, the largest being all rows at most.

    Raises:
        InputError: one is no number of rows that are there.
    """
    if text is None:
        return sorted({min(size, there) for size in SIZES})
    try:
        sizes = sorted(set(map(int, text.split(","))))
    except ValueError:
        sizes = [0]
    if sizes[0] < 1:
        raise InputError(f"{text!r} is not a list of rows", where="--sizes", fix="for example 125,500,2000")
    if sizes[-1] > there:
        raise InputError(f"{sizes[-1]} rows were asked for, there are {there}", where="--sizes", fix=f"at most {there}")
    return sizes


def chosen_modes(text: str) -> list[str]:
    """The modes of a comma-separated list.

    Raises:
        InputError: one is unknown.
    """
    words = {word.strip() for word in text.split(",")}
    if unknown := words - set(MODES):
        raise InputError(f"no such mode: {min(unknown)!r}", where="--modes", fix=",".join(MODES))
    return [mode for mode in MODES if mode in words]


def plan(config: Config, sizes: list[int], modes: list[str]) -> list[RowsPoint]:
    """The trainings, those of equal epochs first, so that one line is whole early, and of each mode the longest first.

    After the longest the time that is left is known, and memory that is short shows in it. Where the modes agree on the
    steps of a size, as on the largest one with a preset of one epoch, one training stands for both.
    """

    def epoch(rows: int) -> int:
        return math.ceil(math.ceil(rows / config.train.micro_batch) / config.train.accumulation)

    found: dict[tuple[int, int], list[str]] = {}
    for mode in modes:
        for rows in sizes:
            steps = epoch(sizes[-1]) if mode == "steps" else math.ceil(config.train.epochs * epoch(rows))
            found.setdefault((rows, steps), []).append(mode)
    order = sorted(found, key=lambda key: ("epochs" not in found[key], -key[1], -key[0]))
    return [unmeasured(*key, found[key]) for key in order]


def unmeasured(rows: int, steps: int, modes: list[str]) -> RowsPoint:
    """A point before it has run: every figure is None."""
    names = {"arm": f"{rows:,} rows, {steps:,} steps", "run": f"rows-{rows}-steps-{steps}"}
    known = names | {"rows": rows, "steps": steps, "modes": modes, "status": "skipped", "reason": "not run"}
    return cast(RowsPoint, dict.fromkeys(RowsPoint.__annotations__) | known)


def earlier(new: RowsResult, folder: Path) -> tuple[RowsResult, Path] | None:
    """The newest result that measures the same and has points to go, those that failed being such again."""
    from benchmarks.publish import read_results

    def same(old: dict[str, Any]) -> bool:
        alike = all(old.get(k) == new[k] for k in ("config", "settings"))
        return alike and old["device"]["name"] == new["device"]["name"]

    paths = {folder / f"{name}.json": old for name, old in read_results(folder).items() if old.get("kind") == "rows"}
    going: dict[Path, Any] = {path: old for path, old in paths.items() if same(old)}
    going = {path: old for path, old in going.items() if any(point["status"] != "ok" for point in old["arms"])}
    if not going:
        return None
    path = max(going, key=lambda path: path.stat().st_mtime)
    result: RowsResult = going[path]
    result["arms"] = [
        point if point["status"] == "ok" else unmeasured(point["rows"], point["steps"], point["modes"])
        for point in result["arms"]
    ]
    return result, path


def minutes_left(points: list[RowsPoint]) -> float:
    """Minutes for the points to go, by what a step and an evaluation took in those that are done; 0 if none is."""
    done = [point for point in points if point["status"] == "ok"]
    left = [point for point in points if point["status"] == "skipped"]
    if not done:
        return 0.0
    a_step = sum(point["train_seconds"] or 0 for point in done) / sum(point["steps"] for point in done)
    an_evaluation = sum(point["evaluate_seconds"] or 0 for point in done) / len(done)
    return (a_step * sum(point["steps"] for point in left) + an_evaluation * len(left)) / 60
