"""Making a run folder, and what proves what is in it."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import chain, count
from pathlib import Path
from typing import Any

from tooltune.errors import InputError
from tooltune.files import quoted
from tooltune.run import Environment, find_run, latest_name, read_manifest, runs_dir

PACKAGES = ("torch", "unsloth", "unsloth_zoo", "transformers", "trl", "peft", "datasets", "bitsandbytes", "accelerate")
NEEDED_BYTES = 500 * 1024**2
LOCK = "training.lock"
BEFORE_TRAINING = ("log.txt", LOCK, ".manifest.json.")
"""What the names in a run's folder begin with that was killed while it loaded."""


def cut_off(name: str | None) -> Path | None:
    """The folder of the run of this name, if it began to train and did not come to its end."""
    # os.path: Path.is_file raises where a name is too long
    if name is None or not os.path.isfile(runs_dir() / name / "manifest.json"):  # noqa: PTH113
        return None
    folder = runs_dir() / name
    return None if "wall_seconds" in read_manifest(folder) else folder  # which is written last


def newest_cut_off() -> bool:
    """Whether the newest run did not come to its end. One that is broken keeps no other from its start."""
    try:
        return cut_off(find_run().name) is not None
    except InputError:
        return False


def create_run(name: str | None, preset: str) -> Path:
    """Make a new run folder, or take one in which nothing was trained; `runs/latest` names it only when it begins.

    Raises:
        InputError: the name is taken, or the disk is too full for checkpoints.
    """
    preset = re.sub(r"[^\w.]+", "-", preset).strip(".-") or "run"  # a file of the user's, whatever its name
    runs, stamp = runs_dir(), f"{preset}-{time.strftime('%Y%m%d-%H%M%S')}"
    stamps = chain([stamp], (f"{stamp}-{number}" for number in count(2)))  # the clock may have been put back
    folder = runs / (name or next(free for free in stamps if not (runs / free).exists()))
    latest_name(runs)
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise InputError(
            f"runs cannot be kept here ({e.strerror})", where=str(runs), fix="set TOOLTUNE_RUNS to another folder"
        ) from None
    free = shutil.disk_usage(runs).free
    if free < NEEDED_BYTES:
        raise InputError(
            f"{free / 1024**2:.0f} MiB are free on the disk, a run needs {NEEDED_BYTES / 1024**2:.0f}",
            where=str(runs),
            fix="free some space, or set TOOLTUNE_RUNS to a folder on another disk",
        )
    try:
        folder.mkdir()
    except FileExistsError:
        if folder.is_dir() and all(path.name.startswith(BEFORE_TRAINING) for path in folder.iterdir()):
            return folder
        begun = (folder / "config.yaml").is_file()
        way = (
            f"go on with it: python -m finetune train --resume {quoted(folder)}"
            if begun
            else "delete it: nothing was trained"
        )
        raise InputError(
            f"a {'run' if begun else 'folder' if folder.is_dir() else 'file'} of this name exists",
            where=str(folder),
            fix=f"choose another name=…, or {way}",
        ) from None
    except OSError as e:
        raise InputError(f"the run's folder cannot be made ({e.strerror})", where=str(folder)) from None
    return folder


@contextmanager
def hold(run: Path) -> Iterator[None]:
    """Keep a run's folder for this process while it trains; a process that is gone holds nothing.

    Raises:
        InputError: another process trains this run, or nothing can be written in its folder.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(run / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            "this run is being trained by another process", where=str(run), fix="wait for it, or stop it with Ctrl-C"
        ) from None
    except OSError as e:
        fix = "name another place, where you may write"
        raise InputError(
            f"nothing can be written in the run's folder ({e.strerror})", where=str(run), fix=fix
        ) from None
    try:
        yield
    finally:
        lock.release()


def adapter_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of the adapter's tensors in a folder, in order of name."""
    from safetensors.torch import load_file

    return tensors_digest(load_file(folder / "adapter_model.safetensors"))


def tensors_digest(tensors: dict[str, Any]) -> str:
    """SHA-256 over names and float32 bytes, in order of name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def environment() -> Environment:
    """Versions of this machine's software, and the commit."""
    import torch

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in PACKAGES},
        "cuda": torch.version.cuda,
        "driver": _driver(),
        "git_commit": _git_commit(),
    }


def _driver() -> str | None:
    import pynvml

    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None


def _git_commit() -> str | None:
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10)
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() + ("+changes" if dirty.stdout.strip() else "") if done.returncode == 0 else None
