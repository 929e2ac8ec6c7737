"""Making a run folder, and what proves what is in it."""

import hashlib
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tooltune.errors import InputError
from tooltune.run import Environment, runs_dir

PACKAGES = ("torch", "unsloth", "unsloth_zoo", "transformers", "trl", "peft", "datasets", "bitsandbytes", "accelerate")
NEEDED_BYTES = 500 * 1024**2


def create_run(name: str | None, preset: str) -> Path:
    """Make a new run folder; `runs/latest` names it only when it begins to train.

    Raises:
        InputError: the name is taken, or the disk is too full for checkpoints.
    """
    runs = runs_dir()
    folder = runs / (name or f"{preset}-{time.strftime('%Y%m%d-%H%M%S')}")
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
        begun = (folder / "config.yaml").is_file()
        way = (
            f"go on with it: python -m finetune train --resume {folder}" if begun else "delete it: nothing was trained"
        )
        raise InputError(
            "a run of this name exists" if begun else "a folder of this name exists",
            where=str(folder),
            fix=f"choose another name=…, or {way}",
        ) from None
    except OSError as e:
        raise InputError(f"the run's folder cannot be made ({e.strerror})", where=str(folder)) from None
    return folder


@contextmanager
def hold(run: Path) -> Iterator[None]:
    """Keep a run's folder for this process while it trains; what a process that is gone left there does not count.

    Raises:
        InputError: another process trains this run.
    """
    import psutil

    path = run / "training.pid"
    me = psutil.Process()
    try:
        pid, started = path.read_text(encoding="utf-8").split()
        other = psutil.Process(int(pid))
        alive = other.status() != psutil.STATUS_ZOMBIE and abs(other.create_time() - float(started)) < 2
        if alive and other != me:  # a process's number is given again, with the time when it began it is its own
            raise InputError(
                f"this run is being trained by process {pid}", where=str(run), fix="wait for it, or stop it with Ctrl-C"
            )
    except (FileNotFoundError, ValueError, psutil.Error):
        pass
    path.write_text(f"{me.pid} {me.create_time()}\n", encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint of a run; one that was cut while it was written has no trainer_state.json."""
    found = [p for p in (folder / "checkpoints").glob("checkpoint-*") if (p / "trainer_state.json").is_file()]
    return max(found, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """The optimizer step that a checkpoint's folder is named after."""
    return int(checkpoint.name.rsplit("-", 1)[1])


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
