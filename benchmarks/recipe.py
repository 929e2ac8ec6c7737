"""`python -m benchmarks recipe`: how much sooner the shipped preset reaches a validation loss than plain Hugging Face.

Arms. `plain-hf` is the run as most tutorials write it: transformers' Trainer with full logits, rows one by one with
accumulation 8, no grouping by length, every tool as a JSON schema with its descriptions, gradient checkpointing, SDPA,
full float32 products, nothing compiled, every prompt computed whole. `preset` is the preset as it is shipped. This is
the whole gain of a user, not Unsloth's share in it: that is what `benchmarks train` measures, on the same rows.

What is compared fairly, and how:
- LoRA rank and alpha, learning rate, schedule, warm-up, optimizer and seed of `plain-hf` are the preset's. The
  reference recipe's own r 8 and 2e-4 belong to a 1.5B model; on SmolLM2-135M they learn several times
  slower, and a ratio against them would praise the rate, not the way of running. `--literal` adds that arm
  (`plain-hf literal`: r 8, alpha 16, 2e-4, linear, 3 epochs); with the `6gb` preset it is nearly the same run.
- Each arm follows its own whole schedule over all training rows and is cut off at the target; both see the same rows,
  each in its own order and rendering, and both start from the same adapter.
- The loss is the mean over the answers' tokens (nats) of the same validation rows, rendered as the arm renders them.
  The answers are the same tokens in both, which is checked. The prompts are not: where the preset offers fewer tools
  (`data.max_tools`), its validation rows are the easier ones, and the result says so. `data.max_tools=null` on the
  command line gives both arms all tools.
- The clock stands still while the loss is evaluated. Loading is apart, and so are two throwaway steps before the
  start, which compile; `seconds_with_setup` adds loading to both arms and those steps to the preset alone, since a
  plain script makes none. Peak memory of both covers the longest row.
- The plain arm gets this project's repair of glibc's allocator and of bitsandbytes on a CPU, which a tutorial lacks.
- The evaluation takes as many rows at once as training, without gradients, so it is never the peak of memory.

The ratio is that of the seconds to the target. Where the plain arm stops at its cap, it is a lower bound ("at least").
It splits into three factors: samples to the target, tokens a sample (each row by itself), and tokens a second. Of the
last, what comes from computing a prefix that rows share once is told apart.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.recipe_arm import Task
from benchmarks.recipe_result import (
    LITERAL,
    PLAIN,
    PRESET,
    ArmRow,
    Event,
    RecipeResult,
    fill,
    settle,
    unmeasured,
)
from benchmarks.report.words import say as phrase
from benchmarks.results import RESULTS, result_path, save
from benchmarks.watch import Ended, run_watched
from tooltune.cli import DEBUG, LANG, Debug, TerminalLang, errors_as_lines
from tooltune.config import Config
from tooltune.console import progress

SAMPLES = {"cpu": 192, "cuda": 640}  # whose loss is the target
EVALUATIONS = 12  # on the way there
VALIDATION_ROWS = {"cpu": 24, "cuda": 50}
SETUP_S = 1800.0  # the longest that loading, compiling and all evaluations may take besides the clock
PLAIN_LENGTH = 32_768  # tokens; so long that nothing is left out: a longer row stops the arm

Command = Callable[[Path, Path], list[str]]
"""From a task's file and the events' file to the command line of an arm's process."""


@dataclass(frozen=True)
class RecipeOptions:
    """What the command line gives.

    Attributes:
        target: validation loss; None: what the preset has after `samples`.
        samples: None: the device's default.
        cap_s: seconds of training after which an arm that has not arrived is stopped.
        literal: also measure the reference recipe's own rank and rate.
        out: folder of the result.
    """

    target: float | None
    samples: int | None
    cap_s: float
    literal: bool
    out: Path


@dataclass(frozen=True)
class RecipeWork:
    """What every arm's process needs: the model's folder, main memory that it may take (GiB), how it is started."""

    folder: str
    limit_gib: float
    command: Command
    console: Any


def recipe_command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PRESET|FILE] [KEY=VALUE ...]", help="as for finetune train; overrides go to all arms"),
    ] = None,
    target: Annotated[
        float | None, typer.Option(min=0, help="validation loss to reach; else the preset's after --samples")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="of the preset, whose loss is the target; 192 on a CPU, 640 on a GPU")
    ] = None,
    cap: Annotated[float, typer.Option(min=0.01, help="minutes of training after which an arm is stopped")] = 10,
    literal: Annotated[bool, typer.Option("--literal", help="also plain HF with r 8 and 2e-4, to the letter")] = False,
    out: Annotated[Path, typer.Option(help="folder of the result")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="print the result instead of the table")] = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Time the shipped preset and the run of a plain Hugging Face tutorial to the same validation loss."""
    with errors_as_lines(debug):
        from benchmarks.report import finish
        from finetune.arguments import config_from
        from tooltune.console import Terminal

        console = Terminal(stderr=as_json, lang=lang)
        options = RecipeOptions(target, samples, cap * 60, literal, out)
        _, config = config_from(arguments, console.print, lang)
        result, path = recipe(config, options, console)
        finish(dict(result), path, console, as_json=as_json, more=result["settings"]["notes"])


def arm_command(task: Path, events: Path) -> list[str]:
    """The command line of an arm's process."""
    return [sys.executable, "-m", "benchmarks.recipe_arm", str(task), str(events)]


def recipe(
    config: Config, options: RecipeOptions, console: Any, command: Command = arm_command
) -> tuple[RecipeResult, Path]:
    """Measure the preset, then the plain arm to the same loss; return the result with the file it is in.

    Raises:
        InputError: the config, the rows or the model's name are wrong. Nothing is written.
        KeyboardInterrupt: the user's; the file holds what was measured.
    """
    from benchmarks.this_machine import machine
    from benchmarks.train import memory_limit
    from finetune.rows import read_rows
    from tooltune.pretrained import resolve

    folder = str(resolve(config.model.name, console.print))
    read_rows(config)  # wrong rows are told before anything starts
    here = machine()
    kind = here["device"]["kind"]
    samples = options.samples or SAMPLES[kind]
    configs = {PLAIN: plain_config(config), PRESET: preset_config(config)}
    if options.literal:
        configs = {PLAIN: configs[PLAIN], LITERAL: literal_config(configs[PLAIN]), PRESET: configs[PRESET]}
    task = Task(
        config=configs[PRESET].model_dump(mode="json"),
        target=options.target,
        budget=None if options.target is not None else samples,
        every=max(1, samples // EVALUATIONS),
        cap=options.cap_s,
        validation_rows=VALIDATION_ROWS[kind],
    )
    result: RecipeResult = {
        "kind": "recipe",
        "date": time.strftime("%Y-%m-%d"),
        "device": here["device"],
        "environment": here["environment"],
        "budget_gib": config.memory.budget_gb,
        "emulated": kind == "cuda" and config.memory.budget_gb is not None,
        "settings": {
            "target": options.target,
            "samples": task.budget,
            "cap_seconds": options.cap_s,
            "evaluated_every": task.every,
            "validation_rows": task.validation_rows,
            "notes": notes(configs),
        },
        "complete": False,
        "valid": True,
        "target_loss": options.target,
        "arms": [unmeasured(name, c) for name, c in configs.items()],
        "ratio": None,
        "at_least": False,
        "factors": None,
        "verdict": "",
    }
    path = result_path(options.out, here["device"]["name"], "recipe")
    work = RecipeWork(folder, memory_limit(None, kind), command, console)
    _measure_all(work, task, result, path)
    return result, path


def _measure_all(work: RecipeWork, task: Task, result: RecipeResult, path: Path) -> None:
    """The preset first, since its loss is the target, then the others to that loss; the file is written after each."""
    preset = result["arms"][-1]
    try:
        events = _measure(work, task, preset)
        if result["target_loss"] is None and preset["status"] == "ok":
            result["target_loss"] = preset["curve"][-1][2]
        settle(result)
        save(result, path)
        rows = next((event for event in events if event["event"] == "rows"), None)
        if result["target_loss"] is None or rows is None:
            return
        task = replace(
            task,
            target=result["target_loss"],
            budget=None,
            leave_out=rows["dropped"],
            validation_ids=rows["validation_ids"],
            answers=rows["supervised"],
        )
        for row in result["arms"][:-1]:
            _measure(work, task, row)
            settle(result)
            save(result, path)
        result["complete"] = True
    finally:  # Ctrl-C too leaves what was measured
        settle(result)
        save(result, path)


def _measure(work: RecipeWork, task: Task, row: ArmRow) -> list[Event]:
    """One arm in its process, to its end; the row gets what it told, also when the user interrupts."""
    config = row["config"] | {"model": row["config"]["model"] | {"name": work.folder}}
    ended = Ended("interrupted", "Ctrl-C")
    with tempfile.TemporaryDirectory(prefix="recipe-") as temporary, progress(work.console) as bar:
        files = [Path(temporary) / name for name in ("task.json", "events.jsonl", "log.txt")]
        replace(task, config=config).save(files[0])
        follower = Follower(row["arm"], task, files[1], bar)
        try:
            ended = run_watched(
                work.command(files[0], files[1]),
                files[2],
                timeout_s=task.cap + SETUP_S,
                limit_gib=work.limit_gib,
                tick=follower.look,
            )
        finally:
            follower.look()
            fill(row, follower.events, ended)
    return follower.events


class Follower:
    """What an arm has told so far, shown as a bar in a terminal and as a line an evaluation everywhere."""

    def __init__(self, arm: str, task: Task, path: Path, bar: Any) -> None:
        self.arm, self.path, self.bar = arm, path, bar
        self.unit, self.total = ("samples", task.budget) if task.budget else ("seconds", round(task.cap))
        self.events: list[Event] = []
        self.read_to = 0  # bytes
        self.began = time.monotonic()
        self.line = bar.add_task(arm, total=self.total, note="loading")

    def look(self) -> None:
        new, self.read_to = read_events(self.path, self.read_to)
        for event in new:
            self.events.append(event)
            self._show(event)

    def _show(self, event: Event) -> None:
        if event["event"] == "warmed up":
            self.began = time.monotonic()
        if self.unit in event and event["event"] in ("clock", "trained"):
            self.bar.update(self.line, completed=int(event[self.unit]))
        if event["event"] != "evaluated":
            return
        note = f"loss {event['loss']:.4f}"
        self.bar.update(self.line, note=note)
        left: Any = ""
        if done := event[self.unit]:
            minutes = (time.monotonic() - self.began) / done * max(0, self.total - done) / 60
            left = phrase("told.left" if self.unit == "samples" else "told.at_most", minutes=minutes)
        values = {name: event[name] for name in ("samples", "seconds", "loss")}
        self.bar.console.print(phrase("told.loss", arm=self.arm, **values, left=left))


def read_events(path: Path, start: int) -> tuple[list[Event], int]:
    """The whole lines from byte `start` on, and where the next ones will begin; a line half written comes later."""
    if not path.exists():
        return [], start
    with path.open("rb") as f:
        f.seek(start)
        text = f.read()
    end = text.rfind(b"\n") + 1
    return [json.loads(line) for line in text[:end].splitlines()], start + end


def preset_config(config: Config) -> Config:
    """The preset as shipped, with what is no training left out; out of memory is a result, not mended."""
    return config.changed(
        {
            "eval.generate": 0,
            "eval.select_by": "eval_loss",
            "eval.micro_batch": config.train.micro_batch,
            "memory.recoveries": 0,
            "report": {"tensorboard": False, "wandb": False, "trackio": False},
        }
    )


def plain_config(config: Config) -> Config:
    """The same training as a plain Hugging Face script runs it; see the top of this file."""
    changes: dict[str, Any] = {
        "model.backend": "hf",
        "model.attention": "sdpa",
        "model.fast_matmul": False,
        "data.tools_style": "json",
        "data.descriptions": True,
        "data.max_tools": None,
        "data.max_length": PLAIN_LENGTH,
        "data.too_long": "fail",
        "train.micro_batch": 1,
        "train.accumulation": 8,
        "train.gradient_checkpointing": "on",
        "train.group_by_length": False,
        "train.share_prefix": "off",
        "train.compile": False,
        "loss.role_weights": {"name": 1, "arguments": 1, "format": 1, "text": 1},
        "memory.offload_embedding": False,
        "memory.offload_layers": 0,
        "eval.micro_batch": 1,
    }
    if config.data.tools_style == "signature":
        changes["data.template"] = "project"  # which signatures have anyway: so the answers are the same text
    return preset_config(config).changed(changes)


def literal_config(plain: Config) -> Config:
    """The plain arm with the reference recipe's own figures."""
    return plain.changed(
        {
            "lora.r": 8,
            "lora.alpha": 16,
            "train.learning_rate": 2e-4,
            "train.schedule": "linear",
            "train.epochs": 3,
        }
    )


def notes(configs: dict[str, Config]) -> list[str]:
    """What a reader of the figures must know and would not guess."""
    lines = ["Seconds are training alone: evaluations, loading and compiling are outside the clock."]
    offered = configs[PRESET].data.max_tools
    if offered is not None:
        lines.append(
            f"The preset offers at most {offered} tools a row, {PLAIN} all of them: "
            "the preset's rows, validation too, are the easier task."
        )
    return lines
