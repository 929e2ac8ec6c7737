"""Waiting for a worker: how long, how much memory, and what its end means."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import Status
from finetune.device import GIB

POLL_S = 0.2
APART: dict[str, Any] = {"start_new_session": True}
"""A process in a group of its own: the terminal's Ctrl-C is for the benchmark, which then ends the worker."""
if sys.platform == "win32":
    APART = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}


@dataclass(frozen=True)
class Ended:
    """How a process ended; `ok` says only that it did so by itself with exit code 0."""

    status: Status
    reason: str | None


def run_watched(
    command: list[str],
    log: Path,
    *,
    timeout_s: float,
    limit_gib: float | None,
    tick: Callable[[], None],
    env: dict[str, str] | None = None,
) -> Ended:
    """Run a command to its end, or end it: after `timeout_s`, above `limit_gib` of its own memory, or on Ctrl-C.

    Args:
        log: gets its output, UTF-8.
        limit_gib: of the process and its children together; None: whatever the system allows.
        tick: called a few times a second.
        env: the process's environment; None: this one's.

    Raises:
        KeyboardInterrupt: the user's; the process has been ended.
    """
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**(os.environ if env is None else env), "PYTHONIOENCODING": "utf-8:replace"},
            **APART,
        )
        try:
            return _wait(process, timeout_s, limit_gib, tick, log)
        finally:
            _end(process)


def _wait(
    process: "subprocess.Popen[bytes]",
    timeout_s: float,
    limit_gib: float | None,
    tick: Callable[[], None],
    log: Path,
) -> Ended:
    started = time.monotonic()
    while True:
        try:
            return _meaning(process.wait(timeout=POLL_S), log)
        except subprocess.TimeoutExpired:
            tick()
        if time.monotonic() - started > timeout_s:
            return Ended("hung", f"not done after {timeout_s:.0f} s, ended")
        held = own_gib(process.pid)
        if limit_gib is not None and held > limit_gib:
            return Ended("out of memory", f"took more than {limit_gib:.1f} GiB of main memory, ended")


def own_gib(pid: int) -> float:
    """What a process and its children hold of main memory for themselves, GiB; 0 when it has just ended.

    Without what files are mapped to: of a checkpoint the system takes that back when memory is wanted.
    """
    import psutil

    held = 0
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    for member in family:
        try:
            held += _own(member)
        except psutil.NoSuchProcess:
            continue
    return held / GIB


def _own(process: Any) -> int:
    """Bytes. Under Linux from one short line of /proc: USS would walk all pages, a few times a second."""
    if sys.platform == "linux":
        memory = process.memory_info()
        return int(memory.rss - memory.shared)
    return int(process.memory_full_info().uss)


def _meaning(code: int, log: Path) -> Ended:
    if code == 0:
        return Ended("ok", None)
    if code < 0:
        name = signal.Signals(-code).name
        if -code == getattr(signal, "SIGKILL", None):
            return Ended("out of memory", f"the system ended it ({name}), as it does when main memory runs out")
        return Ended("crashed", f"{name}; {last_words(log)}")
    return Ended("crashed", f"exit code {code}; {last_words(log)}")


def last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "it wrote nothing")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the process with all its children; nothing happens when it has ended."""
    import psutil

    if process.poll() is not None:
        return
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.kill()
    for child in family:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()
