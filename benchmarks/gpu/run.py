"""Going through the steps: each leaves a folder, a summary and an archive at once, however it ends."""

import os
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypedDict

from rich.console import Console
from rich.progress import Progress

from benchmarks.gpu.steps import STEPS, Step, Words
from benchmarks.machine import machine
from benchmarks.watch import last_words, run_watched
from data.console import progress
from data.errors import InputError
from data.files import atomic_write, write_json

WEIGHTS = {".safetensors", ".bin", ".pt", ".pth"}
"""What no archive holds, besides checkpoints: adapters and optimizer states stay where they were trained."""


class Ran(TypedDict):
    """One command. `cut`: the step's time was over; `not reached`: it was over before."""

    command: str
    status: Literal["ok", "failed", "cut", "not reached"]
    reason: str | None
    seconds: float
    log: str


class Summary(TypedDict):
    """What a step's JSON holds."""

    step: str
    what: str
    rehearsal: bool
    date: str
    device: dict[str, Any]
    environment: dict[str, Any]
    minutes: float
    seconds: float
    commands: list[Ran]


def run_steps(names: list[str], out: Path, minutes: float | None, rehearse: bool, console: Console) -> list[str]:
    """Go through the steps; returns the names of those that did not come to their end.

    Args:
        out: gets `STEP/` with the commands' logs and results, `STEP.json` and `STEP.tar.gz` (all of it but weights).
        minutes: for each step, instead of its own.

    Raises:
        InputError: no such step; or there is no GPU, and it is no rehearsal.
        KeyboardInterrupt: the user's; the step's files are written.
    """
    if unknown := [name for name in names if name not in STEPS]:
        raise InputError(f"no such step: {unknown[0]!r}", fix="steps: " + ", ".join(STEPS))
    here = machine()
    if here["device"]["kind"] != "cuda" and not rehearse:
        raise InputError(
            "no GPU is here", where=here["device"]["name"], fix="--rehearse tries the commands in miniature"
        )
    out = out.resolve()
    failed = []
    for name in names:
        step = STEPS[name]
        limit = 60 * (minutes or step.minutes * (5 if rehearse else 1))  # a CPU is slower at the same miniature
        summary = _run(name, step, out, limit, rehearse, here, console)
        if any(ran["status"] != "ok" for ran in summary["commands"]):
            failed.append(name)
    return failed


def _run(
    name: str, step: Step, out: Path, limit: float, rehearse: bool, here: dict[str, Any], console: Console
) -> Summary:
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    groups = (step.rehearsed if rehearse else step.real)(folder)
    console.print(f"{name}: {step.what}; at most {limit / 60:g} min")
    summary: Summary = {
        "step": name,
        "what": step.what,
        "rehearsal": rehearse,
        "date": time.strftime("%Y-%m-%d"),
        "device": here["device"],
        "environment": here["environment"],
        "minutes": limit / 60,
        "seconds": 0.0,
        "commands": [],
    }
    started = time.monotonic()
    try:
        with progress(console) as bar:
            task = bar.add_task(name, total=round(limit), note="")
            for group in groups:
                left = limit - (time.monotonic() - started)
                first = len(summary["commands"])
                for ran in _side_by_side(group, folder, first, left, started, bar, task):
                    summary["commands"].append(ran)
                    console.print(f"  {ran['status']}, {ran['seconds']:.0f} s: {ran['command']}", soft_wrap=True)
                    if ran["reason"]:
                        console.print(f"    {ran['reason']}", markup=False, soft_wrap=True)
    finally:
        summary["seconds"] = round(time.monotonic() - started, 1)
        write_json(out / f"{name}.json", summary)
        pack(folder, out / f"{name}.tar.gz")
        console.print(f"  {out / name}.json, .tar.gz", soft_wrap=True)
    return summary


def _side_by_side(
    group: list[Words], folder: Path, first: int, left: float, started: float, bar: Progress, task: Any
) -> list[Ran]:
    """Run a group to the end of its last command; Ctrl-C ends all of them."""
    stop = threading.Event()

    def tick() -> None:
        bar.update(task, completed=round(time.monotonic() - started))
        if stop.is_set():
            raise KeyboardInterrupt

    with ThreadPoolExecutor(len(group)) as pool:
        logs = [folder / f"{first + n + 1}.log" for n in range(len(group))]
        running = [pool.submit(_command, words, log, left, tick) for words, log in zip(group, logs, strict=True)]
        try:
            return [one.result() for one in running]
        except KeyboardInterrupt:
            stop.set()
            raise


def _command(words: Words, log: Path, left: float, tick: Any) -> Ran:
    ran: Ran = {
        "command": "python -m " + " ".join(words),
        "status": "not reached",
        "reason": None,
        "seconds": 0.0,
        "log": log.name,
    }
    if left <= 0:
        return ran
    log.unlink(missing_ok=True)
    started = time.monotonic()
    env = os.environ | {"TOOLTUNE_RUNS": str(log.parent / "runs")}  # so that a step's runs travel with it
    command_line = [sys.executable, "-m", *words]
    ended = run_watched(command_line, log, timeout_s=left, limit_gib=None, tick=tick, env=env)
    ran["seconds"] = round(time.monotonic() - started, 1)
    if ended.status == "hung":
        ran["status"], ran["reason"] = "cut", f"the step's time was over; last said: {last_words(log)}"
    else:
        ran["status"], ran["reason"] = "ok" if ended.status == "ok" else "failed", ended.reason
    return ran


def pack(folder: Path, archive: Path) -> None:
    """Put a step's files into an archive to take home, weights left out."""

    def small(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        path = Path(entry.name)
        return None if path.suffix in WEIGHTS or "checkpoints" in path.parts or entry.issym() else entry

    with atomic_write(archive, "wb") as f, tarfile.open(fileobj=f, mode="w:gz") as tar:
        tar.add(folder, arcname=folder.name, filter=small)
