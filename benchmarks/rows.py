"""`python -m benchmarks rows`: how many rows a task needs. One training a size of the training split, twice over.

What is compared fairly, and how:
- *Equal epochs*: each size is trained for the preset's epochs, as whoever has so many rows would do. Fewer rows are
  then fewer steps too, so rows and training grow together.
- *Equal steps*: each size is trained for the steps that the largest takes in one epoch; fewer rows come more often.
  What is left between two sizes is what new rows are worth beyond more training on the old ones.
- A size of n is the first n rows of the training file. The bundled file stands in whole sessions
  (`data/structural/README.md`), so all but the last of a size are whole, and each size contains the smaller ones.
- Everything else is the preset's: rate, schedule (over its own steps), effective batch, seed. Nothing is picked on the
  way: the one evaluation is after the last step, early stopping is off, and the adapter is the last step's. The
  validation rows that measure it have therefore chosen nothing; the test split is never asked.
- All of it is the product's own commands, each in a process of its own: `finetune train`, then `eval run` of the tuned
  model.

The result is written after each point. The same command goes on with the newest result of the same config, rows and
options that has points to go; a training that was cut begins again, an evaluation goes on. Runs stay in
`runs/.rows/<name of the result>/`, without their checkpoints.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.recipe import read_events
from benchmarks.report.words import say as phrase
from benchmarks.results import RESULTS, result_path, save
from benchmarks.rows_plan import MODES, RowsPoint, RowsResult, chosen_modes, chosen_sizes, earlier, minutes_left, plan
from benchmarks.watch import Ended, run_watched
from tooltune.cli import DEBUG, LANG, Debug, TerminalLang, errors_as_lines
from tooltune.config import Config
from tooltune.console import progress
from tooltune.errors import InputError, JobFailed
from tooltune.files import read_jsonl
from tooltune.words import Phrase

SPLIT = "validation"

Command = Callable[[list[str]], list[str]]
"""From the words after `python -m` to the command line of a process."""


@dataclass(frozen=True)
class RowsOptions:
    """What the command line gives.

    Attributes:
        sizes: comma-separated rows; None: `SIZES`, as far as the training split has so many.
        modes: comma-separated, of `MODES`.
        limit: validation rows that are asked; None: all.
        timeout_s: for each training and each evaluation.
        out: folder of the result.
    """

    sizes: str | None
    modes: str
    limit: int | None
    timeout_s: float
    out: Path


@dataclass(frozen=True)
class RowsWork:
    """What every point needs: the preset, a folder for its run, where its evaluation will lie, limits, the console."""

    config: Config
    folder: Path
    limit: int | None
    evaluation: Callable[[Path], Path]
    timeout_s: float
    limit_gib: float
    command: Command
    console: Any


def rows_command(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[PRESET|FILE] [KEY=VALUE ...]", help="as for finetune train")
    ] = None,
    sizes: Annotated[str | None, typer.Option(help="comma-separated rows; 125,250,500,1000,2000")] = None,
    modes: Annotated[str, typer.Option(help="what is equal for all sizes: steps, epochs or both")] = ",".join(MODES),
    limit: Annotated[
        int | None, typer.Option(min=1, help="only so many validation rows, spread over the split")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="seconds for a run before it counts as hung")] = 21_600,
    out: Annotated[Path, typer.Option(help="folder of the result and its report")] = RESULTS,
    docs: Annotated[bool, typer.Option("--docs", help="measure nothing: write the results into docs/rows.md")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the result instead of the table")] = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """How many rows are needed: accuracy after training on more and more of them, at equal steps and equal epochs."""
    with errors_as_lines(debug):
        from benchmarks.report import finish
        from finetune.arguments import config_from
        from tooltune.console import Terminal

        console = Terminal(stderr=as_json, lang=lang)
        if docs:
            from benchmarks.rows_docs import write_docs

            console.print(phrase("told.written", path=write_docs()), soft_wrap=True)
            return
        _, config = config_from(arguments, console.print, lang)
        result, path = measure_rows(config, RowsOptions(sizes, modes, limit, timeout, out), console)
        finish(dict(result), path, console, as_json=as_json)
        if not result["complete"]:
            raise KeyboardInterrupt
        if failed := [point for point in result["arms"] if point["status"] != "ok"]:
            said = f"{failed[0]['arm']}: {failed[0]['status']} ({failed[0]['reason']})"
            raise JobFailed(
                f"{len(failed)} of {len(result['arms'])} trainings failed; {said}", "the same command tries them again"
            )


def module_command(words: list[str]) -> list[str]:
    """The command line of a command of this project."""
    return [sys.executable, "-m", *words]


def measure_rows(
    config: Config, options: RowsOptions, console: Any, command: Command = module_command
) -> tuple[RowsResult, Path]:
    """Train and evaluate every point that is not measured yet; return the result with the file it is in.

    After Ctrl-C it is not complete. A point that ends badly is reported, and the others go on.

    Raises:
        InputError: an option, the config, the rows or the model are wrong. Nothing is written.
    """
    from benchmarks.this_machine import machine
    from benchmarks.train import memory_limit
    from eval.run import evaluation_folder
    from finetune.rows import read_rows
    from finetune.runs import hold
    from tooltune.files import file_digest
    from tooltune.pretrained import resolve
    from tooltune.run import runs_dir

    if config.train.max_steps is not None:
        raise InputError("this benchmark sets the steps", where="train.max_steps", fix="train.max_steps=null")
    train, validation = read_rows(config)
    points = plan(config, chosen_sizes(options.sizes, len(train)), chosen_modes(options.modes))
    asked = min(options.limit or len(validation), len(validation))
    resolve(config.model.name, console.print)  # a model that cannot be had is told before anything starts
    here = machine()
    files = {"train": config.data.train, SPLIT: config.data.validation}
    new: RowsResult = {
        "kind": "rows",
        "date": time.strftime("%Y-%m-%d"),
        "device": here["device"],
        "environment": here["environment"],
        "config": config.model_dump(mode="json"),
        "settings": {
            "points": [point["arm"] for point in points],
            "split": SPLIT,
            "rows_asked": asked,
            "data": {name: file_digest(path)[:12] for name, path in files.items() if path},
        },
        "budget_gib": config.memory.budget_gb,
        "emulated": here["device"]["kind"] == "cuda" and config.memory.budget_gb is not None,
        "complete": False,
        "valid": True,
        "arms": points,
        "verdict": "",
    }
    runs = runs_dir().resolve() / ".rows"
    result, path = earlier(new, options.out) or (new, result_path(options.out, here["device"]["name"], "rows", runs))
    if result is not new:
        done = sum(point["status"] == "ok" for point in result["arms"])
        console.print(phrase("told.resumed", path=path, done=done, points=len(points)), soft_wrap=True)
    work = RowsWork(
        config,
        runs / path.stem,
        options.limit,
        lambda run: evaluation_folder(run, SPLIT, scored=asked, of=len(validation)) / "metrics.json",
        options.timeout_s,
        memory_limit(None, here["device"]["kind"]),
        command,
        console,
    )
    work.folder.mkdir(parents=True, exist_ok=True)
    with hold(work.folder):
        _measure_all(work, result, path)
    return result, path


def point_config(config: Config, rows: int, steps: int, name: str) -> Config:
    """The preset on its first rows for so many steps, with one evaluation, after the last of them."""
    return config.changed(
        {
            "name": name,
            "data.limit": rows,
            "train.max_steps": steps,
            "eval.every": steps,
            "eval.early_stopping_patience": None,
            "eval.select_by": "eval_loss",
            "eval.generate": 0,
            "report": {"tensorboard": False, "wandb": False, "trackio": False},
        }
    )


def _measure_all(work: RowsWork, result: RowsResult, path: Path) -> None:
    """Each point to its end, the file written after each; Ctrl-C ends the running one, and the result stays open."""
    left = [point for point in result["arms"] if point["status"] != "ok"]
    with progress(work.console) as bar:
        task = bar.add_task("", total=sum(point["steps"] for point in left), note="")
        before = 0
        for n, point in enumerate(left, start=1):
            bar.update(task, description=point["arm"], completed=before, note="")
            try:
                _measure(work, point, lambda steps, note, at=before: bar.update(task, completed=at + steps, note=note))  # type: ignore[misc]
            except KeyboardInterrupt:
                point["status"], point["reason"] = "interrupted", "Ctrl-C"
                _settle(result, path, complete=False)
                return
            before += point["steps"]
            _settle(result, path, complete=n == len(left))
            work.console.print(_said(point, minutes_left(result["arms"])), markup=False, soft_wrap=True)


def _settle(result: RowsResult, path: Path, *, complete: bool) -> None:
    result["complete"] = complete
    save(result, path)


def _measure(work: RowsWork, point: RowsPoint, tick: Callable[[int, str], None]) -> None:
    """Train one point and evaluate it; the point gets what came of it."""
    run = work.folder / point["run"]
    ended = Ended("ok", None) if _trained(run) else _train(work, point, run, tick)
    if ended.status == "ok":
        words = ["eval", "run", str(run), "--split", SPLIT, "--no-base"]
        words += ["--limit", str(work.limit)] if work.limit else []
        ended = _watched(work, words, run.with_suffix(".eval.log"), lambda: tick(point["steps"], "evaluating"))
    point["status"], point["reason"] = ended.status, ended.reason
    if ended.status == "ok":
        _fill(point, run, json.loads(work.evaluation(run).read_text(encoding="utf-8")))
        shutil.rmtree(run / "checkpoints", ignore_errors=True)  # optimizer states: most of what a run takes


def _trained(run: Path) -> bool:
    """Whether its training came to its end, in this call or before."""
    from tooltune.run import read_manifest

    return (run / "manifest.json").is_file() and "best" in read_manifest(run)


def _train(work: RowsWork, point: RowsPoint, run: Path, tick: Callable[[int, str], None]) -> Ended:
    shutil.rmtree(run, ignore_errors=True)  # of a training that was cut
    recipe = run.with_suffix(".yaml")
    point_config(work.config, point["rows"], point["steps"], point["run"]).save(recipe)

    def look() -> None:
        events, _ = read_events(run / "metrics.jsonl", 0)
        tick(max((event["step"] for event in events), default=0), "training")

    return _watched(work, ["finetune", "train", str(recipe)], run.with_suffix(".train.log"), look)


def _watched(work: RowsWork, words: list[str], log: Path, tick: Callable[[], None]) -> Ended:
    log.unlink(missing_ok=True)
    env = os.environ | {"TOOLTUNE_RUNS": str(work.folder)}
    return run_watched(work.command(words), log, timeout_s=work.timeout_s, limit_gib=work.limit_gib, tick=tick, env=env)


def _fill(point: RowsPoint, run: Path, metrics: dict[str, Any]) -> None:
    from tooltune.run import peak_gib, read_manifest

    manifest = read_manifest(run)
    *_, (_, last) = read_jsonl(run / "epochs.jsonl")
    point["rows_trained"] = manifest["rows"]["train"]
    point["epochs"], point["eval_loss"] = round(last["epoch"], 2), last["eval_loss"]
    point["rates"] = metrics["tuned"]["headline"]
    point["train_seconds"], point["evaluate_seconds"] = manifest["wall_seconds"], metrics["seconds"]["tuned"]
    point["peak_memory_gib"] = peak_gib(manifest)


def _said(point: RowsPoint, minutes: float) -> Phrase:
    from benchmarks.report.tables import arm_name, rate_cell, status_of

    left = phrase("told.left", minutes=minutes) if minutes >= 1 else ""
    seconds = (point["train_seconds"] or 0) + (point["evaluate_seconds"] or 0)
    values: dict[str, Any] = {"run": arm_name(dict(point)), "left": left}
    if point["rates"] is None:
        ended = {"status": status_of(dict(point)), "reason": point["reason"]}
        return phrase("told.ended", **values, **ended, seconds=seconds)
    rates = {name: rate_cell(rate) for name, rate in point["rates"].items()}
    return phrase("told.rates", **values, **rates, minutes=seconds / 60)
