"""The benchmark from top to bottom: rows, then one process for each arm and repeat in turn, then the comparison."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from benchmarks import gate
from benchmarks.arms import Arm, ArmSetup, Unavailable, base_config
from benchmarks.one_prefix import LONGEST, SOURCE, one_prefix
from benchmarks.report.tables import status_of
from benchmarks.report.words import say as phrase
from benchmarks.results import ArmResult, ArmRun, ShapeResult, TrainResult, save, summarise
from benchmarks.shapes import ONE_PREFIX, BatchShape, config_for, rows_for, write_rows
from benchmarks.watch import last_words, run_watched
from benchmarks.worker import Spec
from data.load import load_records
from data.render import Example
from tooltune.config import Config
from tooltune.console import progress
from tooltune.errors import InputError
from tooltune.files import write_json
from tooltune.pretrained import resolve
from tooltune.words import Phrase, Say

Command = Callable[[Path], list[str]]


@dataclass(frozen=True)
class WorkerJob:
    """What every worker of a benchmark shares.

    Attributes:
        base: the base config (see `arms.base_config`), its model a local folder.
        device: "cuda" or "cpu".
        limit_gib: main memory that a worker may take.
        work: a folder for what workers read and write.
        command: from a spec's path to the worker's command line.
    """

    base: Config
    device: str
    steps: int
    warmup: int
    timeout_s: float
    limit_gib: float | None
    work: Path
    command: Command


def worker_command(spec: Path) -> list[str]:
    """The command line of a worker."""
    return [sys.executable, "-m", "benchmarks.worker", str(spec)]


def model_folder(config: Config, say: Say) -> tuple[Path, bool]:
    """The model's folder, and whether its weights are random: when asked for, or when the model cannot be had.

    Raises:
        InputError: the model cannot be had and its shape is not known.
    """
    from benchmarks.random_model import random_model
    from finetune.memory.shapes import lookup

    name = config.model.name
    if config.model.random_weights:
        return random_model(name, say), True
    try:
        return resolve(name, say), False
    except InputError as e:
        if lookup(name) is None:
            raise
        say(phrase("told.random", why=e))
        return random_model(name, say), True


def read_examples(config: Config, say: Callable[[str], None]) -> list[Example]:
    """The training rows as the product renders them.

    Raises:
        InputError: the rows are wrong.
    """
    from finetune.rows import prepare, read_rows

    train, validation = read_rows(config)
    return list(prepare(config, (train, validation[:1]), say).train.examples)


def read_one_prefix(config: Config) -> list[Example]:
    """The rows of the shape `one-prefix`, rendered in the same way."""
    from finetune.rows import prepare

    rows = one_prefix(load_records(SOURCE))
    config = config.changed({"data.max_length": LONGEST})
    return list(prepare(config, (rows, rows[:1]), lambda _: None).train.examples)


def write_shapes(
    shapes: list[BatchShape], examples: list[Example], config: Config, *, warmup: int, steps: int, work: Path
) -> None:
    """The rows of each shape, into the file that all of its workers read; the config says how they are ordered."""
    # A shape's rows are the same for all arms; the base config says whether they stand by families.
    group, share, seed = config.train.group_by_length, config.train.share_prefix == "auto", config.train.seed
    for shape in shapes:
        found = read_one_prefix(config) if shape.name == ONE_PREFIX else examples
        rows = rows_for(shape, found, seed=seed, group=group, share=share, warmup=warmup, steps=steps)
        write_rows(rows_path(work, shape), rows)


def rows_path(work: Path, shape: BatchShape) -> Path:
    return work / f"rows-{shape.name}.jsonl"


def measure_all(
    job: WorkerJob,
    arms: dict[str, Arm],
    shapes: list[BatchShape],
    repeats: int,
    result: TrainResult,
    path: Path,
    console: Console,
) -> None:
    """Run every arm on every shape, repeats interleaved (A B A B), and write the result after each.

    An arm that ends badly on a shape is reported, not repeated there; the others go on. Ctrl-C ends the running worker
    and returns, with the result not complete.
    """
    setups = {name: setup_of(arm, job) for name, arm in arms.items()}
    ready = {name: setup for name, setup in setups.items() if isinstance(setup, ArmSetup)}
    baselines = [name for name, setup in ready.items() if setup.baseline]
    result["shapes"] = [_unmeasured(shape, setups) for shape in shapes]
    turns = [(place, repeat, name) for place in range(len(shapes)) for repeat in range(repeats) for name in ready]
    took: list[float] = []
    with progress(console) as bar:
        task = bar.add_task("", total=len(turns) * job.steps, note="")
        for turn, (place, repeat, name) in enumerate(turns):
            row = next(arm for arm in result["shapes"][place]["arms"] if arm["arm"] == name)
            if row["runs"] and row["status"] != "ok":
                continue
            label = f"{shapes[place].name} {name} {repeat + 1}/{repeats}"
            before = turn * job.steps
            bar.update(task, description=label, completed=before)
            started = time.monotonic()
            try:
                run = run_one(job, name, ready[name], shapes[place], partial(_advance, bar, task, before))
            except KeyboardInterrupt:
                _add(row, {"status": "interrupted", "reason": "Ctrl-C"}, repeat)
                _write(result, baselines, path)
                return
            took.append(time.monotonic() - started)
            _add(row, run, repeat)
            _write(result, baselines, path)
            console.print(_said(label, run, took, len(turns) - turn - 1))
    result["complete"] = True
    _write(result, baselines, path)


def run_one(job: WorkerJob, name: str, setup: ArmSetup, shape: BatchShape, stepped: Callable[[int], None]) -> ArmRun:
    """One worker to its end, whichever that is.

    Args:
        stepped: told how many steps are done.
    """
    folder = job.work / "worker"
    folder.mkdir(exist_ok=True)
    files = {key: folder / key for key in ("spec.json", "result.json", "progress.jsonl", "log.txt")}
    for file in files.values():
        file.unlink(missing_ok=True)
    spec: Spec = {
        "arm": name,
        "config": config_for(setup.config, shape, job.steps).model_dump(mode="json"),
        "trl": setup.trl,
        "arguments": setup.arguments,
        "rows": str(rows_path(job.work, shape)),
        "warmup_steps": job.warmup,
        "result": str(files["result.json"]),
        "progress": str(files["progress.jsonl"]),
        "scratch": str(folder / "scratch"),
    }
    write_json(files["spec.json"], spec)
    ended = run_watched(
        job.command(files["spec.json"]),
        files["log.txt"],
        timeout_s=job.timeout_s,
        limit_gib=job.limit_gib,
        tick=lambda: stepped(_lines(files["progress.jsonl"])),
    )
    if ended.status != "ok":
        return {"status": ended.status, "reason": ended.reason}
    if not files["result.json"].exists():
        return {"status": "crashed", "reason": f"ended without a result; {last_words(files['log.txt'])}"}
    run: ArmRun = json.loads(files["result.json"].read_text(encoding="utf-8"))
    return run


def setup_of(arm: Arm, job: WorkerJob) -> ArmSetup | str:
    """The arm's setup, or why it cannot run here."""
    try:
        return arm(job.base, job.device)
    except Unavailable as e:
        return str(e)


def _unmeasured(shape: BatchShape, setups: dict[str, ArmSetup | str]) -> ShapeResult:
    arms: list[ArmResult] = [
        {
            "arm": name,
            "status": "skipped",
            "reason": setup if isinstance(setup, str) else "not reached",
            "different_batches": isinstance(setup, ArmSetup) and setup.different_batches,
            "runs": [],
            "summary": {},
        }
        for name, setup in setups.items()
    ]
    return {
        "shape": shape.name,
        "micro_batch": shape.micro_batch,
        "length": shape.length,
        "arms": arms,
        "parity": [],
        "speedup": [],
    }


def _add(row: ArmResult, run: ArmRun, repeat: int) -> None:
    row["runs"].append({"repeat": repeat, **run})
    row["status"], row["reason"] = run["status"], run["reason"]
    row["summary"] = summarise(row["runs"])


def _write(result: TrainResult, baselines: list[str], path: Path) -> None:
    for shape in result["shapes"]:
        gate.compare(shape, baselines)
    result["valid"] = gate.valid(result)
    save(result, path)


def _said(label: str, run: ArmRun, took: list[float], left: int) -> Phrase:
    eta = phrase("told.left", minutes=max(1, left * sum(took) / len(took) / 60)) if left else ""
    values: dict[str, Any] = {"run": label, "seconds": took[-1], "left": eta}
    if run["status"] != "ok":
        return phrase("told.ended", **values, status=status_of(dict(run)), reason=run["reason"])
    memory = run["peak_reserved_gib"] if run["peak_reserved_gib"] is not None else run["peak_rss_gib"]
    return phrase("told.speed", **values, speed=run["samples_per_second"], memory=memory)


def _advance(bar: Progress, task: TaskID, before: int, steps: int) -> None:
    bar.update(task, completed=before + steps)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def base_of(config: Config, folder: Path) -> Config:
    """The base config with the model's folder in place of its name."""
    return base_config(config).changed({"model.name": str(folder)})
