"""`python -m benchmarks length`: the longest sequence that trains within a memory budget, for each arm."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from rich.console import Console

from benchmarks import arms
from benchmarks.arms import ArmSetup
from benchmarks.orchestrate import (
    WorkerJob,
    base_of,
    model_folder,
    read_examples,
    run_one,
    setup_of,
    worker_command,
    write_shapes,
)
from benchmarks.report.tables import status_of
from benchmarks.report.words import say as phrase
from benchmarks.results import ArmRun, Measured, Status, result_path, save
from benchmarks.shapes import fixed
from benchmarks.this_machine import machine
from benchmarks.train import memory_limit, with_budget
from data.render import Example
from eval.backend import context_length
from finetune.memory.shapes import read_config
from tooltune.config import Config
from tooltune.words import Say

STEPS = 3  # the optimizer's state exists from the first, so the second is as large as any
START = 512
GRAIN = {"cuda": 128, "cpu": 64}


class Tried(TypedDict):
    """One length: whether it trained, and what it took (GiB)."""

    length: int
    status: Status
    reason: str | None
    peak_reserved_gib: float | None
    peak_rss_gib: float | None


class LengthArm(TypedDict):
    """`longest` is None when not even the shortest fits; `capped`: nothing longer was tried."""

    arm: str
    status: Status
    reason: str | None
    longest: int | None
    capped: bool
    tried: list[Tried]


class LengthResult(Measured):
    """The whole file."""

    kind: Literal["length"]
    config: dict[str, Any]
    budget_gib: float
    random_weights: bool
    grain: int
    arms: list[LengthArm]


@dataclass(frozen=True)
class LengthOptions:
    """What the command line gives."""

    arms: str | None
    budget_gib: float
    most: int
    timeout_s: float
    out: Path


def longest(fits: Callable[[int], bool], *, start: int, grain: int, most: int) -> int | None:
    """The longest multiple of `grain` up to `most` that fits: doubled from `start`, then bisected.

    Args:
        fits: whether a length trains; assumed to be false for all above the first that does not.

    Returns:
        None when `grain` itself does not fit.
    """
    ceiling = most // grain + 1
    low, high, at = 0, ceiling, start // grain  # in grains: low fits, high does not
    while high - low > 1:
        at = min(max(at, low + 1), high - 1)
        if fits(at * grain):
            low, at = at, 2 * at
        else:
            high = at
        if high < ceiling:
            at = (low + high) // 2
    return low * grain or None


def length(config: Config, options: LengthOptions, console: Console) -> tuple[LengthResult, Path]:
    """Find each arm's longest sequence and return the result with the file it is in; after Ctrl-C it is not complete.

    Raises:
        InputError: an option, the config, the rows or the model are wrong. Nothing is written.
    """
    here = machine()
    device = here["device"]["kind"]
    chosen = arms.choose(options.arms, device)
    config = with_budget(config, options.budget_gib, device)
    folder, random = model_folder(config, console.print)
    base = base_of(config, folder)
    most = min(options.most, positions(folder))
    result: LengthResult = {
        "kind": "length",
        "date": time.strftime("%Y-%m-%d"),
        **here,  # type: ignore[typeddict-item]
        "config": base.changed({"model.name": config.model.name}).model_dump(mode="json"),
        "budget_gib": options.budget_gib,
        "emulated": device == "cuda",
        "random_weights": random,
        "grain": GRAIN[device],
        "complete": False,
        "verdict": "",
        "arms": [],
    }
    path = result_path(options.out, here["device"]["name"], "length")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        examples = read_examples(base, console.print)
        limit = memory_limit(options.budget_gib, device)
        job = WorkerJob(base, device, STEPS, 1, options.timeout_s, limit, Path(temporary), worker_command)
        try:
            for name, arm in chosen.items():
                row = _unsearched(name)
                result["arms"].append(row)
                setup = setup_of(arm, job)
                if isinstance(setup, ArmSetup):
                    find(job, row, setup, examples, most, GRAIN[device], console.print, lambda: save(result, path))
                else:
                    row["reason"] = setup
            result["complete"] = True
        except KeyboardInterrupt:
            pass  # the arm's row says it
        save(result, path)
    return result, path


def find(
    job: WorkerJob,
    row: LengthArm,
    setup: ArmSetup,
    examples: list[Example],
    most: int,
    grain: int,
    say: Say,
    written: Callable[[], None],
) -> None:
    """Fill the row of one arm; a run that fails for another reason than memory ends its search, and is its status."""
    row["status"] = "interrupted"

    def fits(tokens: int) -> bool:
        shape = fixed(1, tokens)
        write_shapes([shape], examples, job.base, warmup=job.warmup, steps=job.steps, work=job.work)
        run = run_one(job, row["arm"], setup, shape, lambda _: None)
        row["tried"].append(_tried(tokens, run))
        say(phrase("told.length", arm=row["arm"], tokens=tokens, status=status_of(dict(run))))
        written()
        if run["status"] not in ("ok", "out of memory"):
            raise _Ended(run)
        return run["status"] == "ok"

    try:
        row["longest"] = longest(fits, start=START, grain=grain, most=most)
        row["status"], row["capped"] = "ok", row["longest"] == most // grain * grain
        if row["longest"] is None:
            row["status"], row["reason"] = "out of memory", f"{grain} tokens are too many"
    except _Ended as e:
        row["status"], row["reason"] = e.run["status"], e.run["reason"]
        row["longest"] = max((t["length"] for t in row["tried"] if t["status"] == "ok"), default=None)


def _unsearched(arm: str) -> LengthArm:
    return {"arm": arm, "status": "skipped", "reason": None, "longest": None, "capped": False, "tried": []}


def positions(folder: Path) -> int:
    """The longest sequence the model has positions for."""
    read_config(folder / "config.json")  # refuses what is no decoder
    return context_length(folder)


class _Ended(Exception):
    def __init__(self, run: ArmRun) -> None:
        self.run = run


def _tried(tokens: int, run: ArmRun) -> Tried:
    return {
        "length": tokens,
        "status": run["status"],
        "reason": run["reason"],
        "peak_reserved_gib": run.get("peak_reserved_gib"),
        "peak_rss_gib": run.get("peak_rss_gib"),
    }
