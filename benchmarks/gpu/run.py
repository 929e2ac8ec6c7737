"""Going through the steps: each leaves a folder and a summary at once, however it ends, and all together two files."""

import itertools
import json
import os
import signal
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, TypedDict

from rich.console import Console

from benchmarks.gpu.figures import key_figures
from benchmarks.gpu.steps import Step, StepScene, Words
from benchmarks.this_machine import machine
from benchmarks.watch import last_words, run_watched
from finetune.device import has_cuda
from tooltune.errors import InputError
from tooltune.files import atomic_write, dump_json, writable, write_json
from tooltune.page.text import one_line

LEFT_OUT = {".safetensors", ".bin", ".pt", ".pth", ".html", ".png"}
"""What the archive does not hold, besides checkpoints and tokenizers: weights, and pages that can be drawn again."""
SLOWER = 4
"""A rehearsal's times: a processor of few cores, on which fewer steps stand side by side."""


class Ran(TypedDict):
    """One command. `cut`: the step's time was over; `not reached`: it was over before."""

    command: str
    status: Literal["ok", "failed", "cut", "not reached"]
    reason: str | None
    seconds: float
    last: str | None
    log: str


class Summary(TypedDict):
    """What a step's JSON holds; `figures` as in `key_figures`."""

    step: str
    what: str
    rehearsal: bool
    date: str
    seconds: float
    commands: list[Ran]
    figures: list[dict[str, Any]]


@dataclass(frozen=True)
class Book:
    """One going through.

    Attributes:
        steps: by name, those that were asked for and what they need, in order.
        scratch: for compiled code; steps side by side must not write the same file.
        stop: set when the user wants to end.
    """

    steps: dict[str, Step]
    out: Path
    rehearsal: bool
    scratch: Path
    console: Console
    stop: threading.Event

    def tick(self) -> None:
        """Called while a command runs."""
        if self.stop.is_set():
            raise KeyboardInterrupt


def run_steps(
    table: dict[str, Step], names: list[str], out: Path, minutes: float | None, rehearse: bool, console: Console
) -> list[str]:
    """Go through the steps; returns the names of those that did not come to their end.

    Args:
        table: the steps to choose from.
        names: of steps; none: all.
        out: gets `STEP/` with logs and results and `STEP.json` of each step; after each wave, of all that are there,
            `gpu.json` (their summaries, the card, the versions) and `gpu.tar.gz` (everything but weights and pages).
        minutes: for all steps together, instead of their own limits.

    Raises:
        InputError: no such step; or there is no GPU, and it is no rehearsal.
        KeyboardInterrupt: the user's; the step's files are written.
    """
    if unknown := [name for name in names if name not in table]:
        raise InputError(f"no such step: {unknown[0]!r}", fix="steps: " + ", ".join(table))
    if not (rehearse or has_cuda()):
        raise InputError("this machine has no GPU", fix="--rehearse runs the same commands in miniature")
    out = out.resolve()
    writable(out, folder=True)
    out.mkdir(parents=True, exist_ok=True)
    steps = {name: table[name] for name in wanted(table, names or list(table), out)}
    failed, started, given, stop = [], time.monotonic(), 0.0, threading.Event()
    say = cache(partial(console.print, markup=False, soft_wrap=True))  # a line once, though each wave collects
    with (
        _ctrl_c_sets(stop),
        tempfile.TemporaryDirectory(prefix="runbook-") as scratch,
        ThreadPoolExecutor(1) as aside,
    ):
        here = aside.submit(machine)  # an import of torch, beside the first wave
        book = Book(steps, out, rehearse, Path(scratch), console, stop)
        for _, wave in itertools.groupby(steps, lambda name: steps[name].wave):
            names = list(wave)
            given += max(steps[name].seconds for name in names) * (SLOWER * len(names) if rehearse else 1)
            try:
                summaries = _wave(book, names, started + (60 * minutes if minutes else given))
            finally:
                collect(table, out, here, rehearse, say)
            failed += [s["step"] for s in summaries if any(ran["status"] != "ok" for ran in s["commands"])]
    console.print(f"{time.monotonic() - started:.0f} s; {out / 'gpu.json'}, {out / 'gpu.tar.gz'}", soft_wrap=True)
    return failed


def wanted(table: dict[str, Step], names: list[str], out: Path) -> list[str]:
    """The steps of that names and those that they need and that have not ended well here, in the table's order."""
    chosen = set(names)
    while (
        missing := {
            need
            for name in chosen
            for need in table[name].needs
            if need in table and not _ended_well(out / f"{need}.json")
        }
        - chosen
    ):
        chosen |= missing
    return [name for name in table if name in chosen]


def _ended_well(path: Path) -> bool:
    summary = _summary(path, lambda _: None)
    return summary is not None and all(ran["status"] == "ok" for ran in summary["commands"])


def limit(table: dict[str, Step]) -> int:
    """Seconds of all waves, one after another."""
    waves = itertools.groupby(table.values(), lambda step: step.wave)
    return sum(max(step.seconds for step in wave) for _, wave in waves)


def _wave(book: Book, names: list[str], deadline: float) -> list[Summary]:
    """Run the steps of a wave side by side, as many as there are cores; Ctrl-C ends all of them."""
    at_once = min(len(names), os.cpu_count() or 1)
    # Numeric libraries take every core each, unless told.
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // at_once))} if len(names) > 1 else {}
    with ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(_step, book, name, deadline, threads) for name in names]
    summaries = [one.result() for one in running]
    book.tick()
    return summaries


@contextmanager
def _ctrl_c_sets(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C, pressed once or more, is heard by the threads that watch the commands: were it raised here, a second one
    would end this process and leave the commands running."""
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _step(book: Book, name: str, deadline: float, more: dict[str, str]) -> Summary:
    step, folder = book.steps[name], book.out / name
    folder.mkdir(exist_ok=True)
    env = {"TOOLTUNE_RUNS": str(folder / "runs"), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    cache = {"XDG_CACHE_HOME": str(book.scratch / name)} if more else {}
    summary: Summary = {
        "step": name,
        "what": step.what,
        "rehearsal": book.rehearsal,
        "date": time.strftime("%Y-%m-%d"),
        "seconds": 0.0,
        "commands": [],
        "figures": [],
    }
    started = time.monotonic()
    try:
        for number, words in enumerate(step.commands(StepScene(book.out, folder, book.rehearsal)), 1):
            log = folder / f"{number}.log"
            ran = _command(book, words, log, deadline, os.environ | env | cache | more)
            summary["commands"].append(ran)
            book.console.print(_said(name, ran, log), markup=False, highlight=False, soft_wrap=True)
    finally:
        summary["seconds"] = round(time.monotonic() - started, 1)
        summary["figures"] = _figures(folder, [book.out / own for own in (*step.needs, name)])
        write_json(book.out / f"{name}.json", summary)
    return summary


def _figures(folder: Path, evaluated: list[Path]) -> list[dict[str, Any]]:
    """The key figures; of a command that was ended half a file may be there, which must not end the others."""
    try:
        return key_figures(folder, evaluated)
    except (OSError, ValueError, KeyError, TypeError, InputError) as e:
        return [{"unreadable": f"{type(e).__name__}: {e}"}]


def _command(book: Book, words: Words, log: Path, deadline: float, env: dict[str, str]) -> Ran:
    ran: Ran = {
        "command": "python -m " + " ".join(words),
        "status": "not reached",
        "reason": None,
        "seconds": 0.0,
        "last": None,
        "log": f"{log.parent.name}/{log.name}",
    }
    started = time.monotonic()
    if started >= deadline or book.stop.is_set():
        return ran
    log.unlink(missing_ok=True)
    command_line = [sys.executable, "-m", *words]
    ended = run_watched(command_line, log, timeout_s=deadline - started, limit_gib=None, tick=book.tick, env=env)
    ran["seconds"], ran["last"] = round(time.monotonic() - started, 1), last_words(log)
    if ended.status == "hung":
        ran["status"], ran["reason"] = "cut", "the step's time was over"
    else:
        ran["status"], ran["reason"] = "ok" if ended.status == "ok" else "failed", ended.reason
    return ran


def _said(name: str, ran: Ran, log: Path) -> str:
    line = f"{name}: {ran['status']}, {ran['seconds']:.0f} s: {ran['command']}"
    if ran["status"] in ("ok", "not reached"):
        return line
    tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-12:]
    return "\n    ".join([f"{line}\n  {ran['reason']}", *(text[-200:] for text in tail)])


def collect(
    table: dict[str, Step], out: Path, here: "Future[dict[str, Any]]", rehearsal: bool, say: Callable[[str], None]
) -> None:
    """Write `gpu.json` and `gpu.tar.gz` of all steps that are in the folder, those of earlier calls included.

    Args:
        say: told of each step whose summary is missing or cannot be used; the others are collected.
    """
    there = [name for name in table if (out / f"{name}.json").exists() or (out / name).is_dir()]
    summaries = [summary for name in there if (summary := _summary(out / f"{name}.json", say))]
    write_json(out / "gpu.json", {"rehearsal": rehearsal, **here.result(), "steps": summaries})
    pack(out, [out / name for name in there if (out / name).is_dir()], out / "gpu.tar.gz")


def _summary(path: Path, say: Callable[[str], None]) -> Summary | None:
    """A step's summary; None where there is none, or another program, version or hand has written the file."""
    try:
        summary: Summary = json.loads(path.read_text(encoding="utf-8"))
        dump_json(summary).encode()  # NaN and half characters could not be written again
        whole = {*Summary.__annotations__} <= {*summary}
        whole = whole and all({*Ran.__annotations__} <= {*ran} for ran in summary["commands"])
        if whole and summary["step"] == path.stem:
            return summary
        what = "it is no summary of this step"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        what = f"{type(e).__name__}: {e}"
    say(f"left out: {path}: {one_line(what)}; delete it and run `python -m benchmarks.gpu {path.stem}` again")
    return None


def pack(out: Path, folders: list[Path], archive: Path) -> None:
    """Put the steps' folders and the summary into an archive to take home."""

    def small(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        path = Path(entry.name)
        heavy = path.suffix in LEFT_OUT or path.name == "tokenizer.json" or "checkpoints" in path.parts
        return None if heavy or entry.issym() else entry

    with atomic_write(archive, "wb") as f, tarfile.open(fileobj=f, mode="w:gz") as tar:
        for path in [out / "gpu.json", *folders]:
            tar.add(path, arcname=path.name, filter=small)
