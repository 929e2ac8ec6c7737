"""Checkpoints that are whole or not there: each file has its SHA-256 in `SHA256SUMS`, which is written last.

`sha256sum --check SHA256SUMS` in a checkpoint's folder tells the same as `fault`.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from finetune.words import phrase
from tooltune.errors import JobFailed
from tooltune.files import atomic_write, file_digest, patiently
from tooltune.words import Say

SUMS = "SHA256SUMS"
UNLOGGED = "unlogged.json"
"""The losses since the last logged step, without which the next logged mean would be another."""
RANDOM, RANDOM_OF_FIRST = "rng_state.pth", "rng_state_0.pth"
"""The library's names for the random state of one process, and of the first of several; the others write none."""
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
NEEDED = (*ADAPTER, "optimizer.pt", RANDOM, "scheduler.pt", "trainer_state.json", UNLOGGED)
"""Without one of these a run would go on from another state than the one that it was stopped in."""
UNWRITTEN = ("inline_container", "PytorchStreamWriter", "Error while serializing")
"""What torch and safetensors say where a file cannot be written; torch does not say why."""
KEPT = 2
"""The newest checkpoints that stay, besides the best: if the newest is broken, the one before it is not far back."""


def last_checkpoint(run: Path, say: Say = lambda _: None) -> Path | None:
    """The newest checkpoint of a run that is whole, as is the adapter of the best checkpoint so far.

    Args:
        say: told of each newer one, why it is passed over.
    """
    for checkpoint in _newest_first(run / "checkpoints"):
        found = fault(checkpoint) or _fault_of_best(checkpoint)
        if not found:
            return checkpoint
        say(phrase("run.passed_over", name=checkpoint.name, why=found))
    return None


def step_of(checkpoint: Path) -> int:
    """The optimizer step that a checkpoint's folder is named after."""
    return int(checkpoint.name.rsplit("-", 1)[1])


def fault(checkpoint: Path, names: tuple[str, ...] = ()) -> str:
    """What is wrong with a checkpoint, the first file by name; empty where it is whole.

    Args:
        names: look at these files alone.
    """
    try:
        lines = (checkpoint / SUMS).read_text(encoding="utf-8").splitlines()
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except FileNotFoundError:
        return f"it has no {SUMS}: it was cut while it was written, or an older version wrote it"
    except (OSError, ValueError):
        return f"{SUMS} is broken"
    needed = {*NEEDED} - ({RANDOM} if RANDOM_OF_FIRST in sums else set())
    for name in names or sorted({*sums, *needed}):
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        try:
            digest = file_digest(path)
        except OSError as e:
            return f"{name} cannot be read ({e.strerror})"
        if digest != sums.get(name):
            return f"{name} is not what was written: it was cut or changed since"
    return ""


@contextmanager
def written_whole(checkpoint: Path) -> Iterator[None]:
    """Around the writing of a checkpoint's files: at the end it is sealed, and on an error what was there is back.

    A process that is killed meanwhile leaves a folder without sums, and beside it what it was to replace: `put_back`.

    Raises:
        JobFailed: the disk is full, or takes no more for another reason.
    """
    before = checkpoint.with_name(f".{checkpoint.name}")
    see_that_it_is_there(checkpoint.parent.parent)
    if checkpoint.exists():
        shutil.rmtree(before, ignore_errors=True)
        patiently(lambda: checkpoint.replace(before))
    try:
        yield
        _seal(checkpoint)
    except BaseException as e:
        free = _free(checkpoint.parent)
        shutil.rmtree(checkpoint, ignore_errors=True)
        if before.exists():
            before.replace(checkpoint)
        if isinstance(e, OSError) or any(sign in str(e) for sign in UNWRITTEN):
            raise JobFailed(
                f"{checkpoint} cannot be written ({str(e).splitlines()[0]}){free}",
                "make room and run the same command again: it goes on from the checkpoint before",
            ) from e
        raise
    shutil.rmtree(before, ignore_errors=True)


def see_that_it_is_there(run: Path) -> None:
    """Begin no other run, as libraries would, where a run's folder stood that was renamed or removed while it trained.

    Raises:
        JobFailed: it was.
    """
    if not run.exists():
        what = f"{run} is not there any more: it was renamed or removed while it trained"
        raise JobFailed(what, "give it its name back and run the same command again, or go on with --resume FOLDER")


def _free(folder: Path) -> str:
    try:
        return f"; {shutil.disk_usage(folder).free / 2**20:.0f} MiB were free there"
    except OSError:  # the disk is gone
        return ""


def put_back(run: Path) -> None:
    """Mend what a kill has left in a run's folder: a checkpoint that was being written again is the one before."""
    for before in _named(run / "checkpoints", "."):
        checkpoint = before.with_name(before.name.removeprefix("."))
        if fault(checkpoint):
            shutil.rmtree(checkpoint, ignore_errors=True)
            before.replace(checkpoint)
        shutil.rmtree(before, ignore_errors=True)


def prune(checkpoints: Path) -> None:
    """Remove all checkpoints but the newest whole ones (`KEPT`) and the best one that each of these knows.

    The best of the one before may be another than the newest's, and is needed if the newest is broken.
    """
    whole = (path for path in _newest_first(checkpoints) if not fault(path))
    newest = list(islice(whole, KEPT))
    kept = {step_of(path) for path in newest} | {_best_step(path) for path in newest}
    for checkpoint in _newest_first(checkpoints):
        if step_of(checkpoint) not in kept:
            remove(checkpoint)


def remove_after(run: Path, step: int) -> None:
    """Remove the checkpoints of later steps, which a run that goes on from `step` makes again."""
    for checkpoint in _newest_first(run / "checkpoints"):
        if step_of(checkpoint) > step:
            remove(checkpoint)


def remove(checkpoint: Path) -> None:
    """Remove a checkpoint; its sums go first, so that one of which another program holds a file is none, and is removed
    with those that come."""
    patiently(lambda: (checkpoint / SUMS).unlink(missing_ok=True))
    shutil.rmtree(checkpoint, ignore_errors=True)


def _newest_first(checkpoints: Path) -> list[Path]:
    return sorted(_named(checkpoints), key=step_of, reverse=True)


def _named(checkpoints: Path, before: str = "") -> list[Path]:
    """The folders of checkpoints; a copy of one under another name (checkpoint-12-old) is none."""
    name = re.compile(rf"{re.escape(before)}checkpoint-\d+")
    return [path for path in checkpoints.glob(f"{before}*") if name.fullmatch(path.name) and path.is_dir()]


def _fault_of_best(checkpoint: Path) -> str:
    """What is wrong with the adapter that the run would have to end with, had it no better one to come."""
    best = _best_step(checkpoint)
    if best in (None, step_of(checkpoint)):
        return ""
    found = fault(checkpoint.with_name(f"checkpoint-{best}"), ADAPTER)
    return f"its best checkpoint so far is checkpoint-{best}, of which {found}" if found else ""


def _best_step(checkpoint: Path) -> int | None:
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    best: int | None = state["best_global_step"]
    return best


def _seal(checkpoint: Path) -> None:
    """Write the sums of all files, which are on the disk by then."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file())
    for path in files:
        _to_disk(path)
    with atomic_write(checkpoint / SUMS) as f:
        f.writelines(f"{file_digest(path)}  {path.relative_to(checkpoint).as_posix()}\n" for path in files)


def _to_disk(path: Path) -> None:
    with path.open("r+b") as f:
        os.fsync(f.fileno())
