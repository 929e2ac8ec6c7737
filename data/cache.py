"""What was made of files once, kept for the next start: a folder an entry, named after a digest of all that went in.

An entry is written under another name and renamed when it is whole, so a process that is killed leaves nothing that is
taken for one; two processes that want the same entry make it once. The folders that were not used for longest go when
all of them together are larger than `MOST`.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tooltune.errors import InputError
from tooltune.files import dump_json, files_digest, patiently, write_json

MOST = 10 * 2**30
"""Bytes of all entries together; the one in use is kept, whatever its size."""
ROOT = Path(__file__).resolve().parent.parent


def cache_dir() -> Path:
    """Where entries are kept: TOOLTUNE_CACHE, else in the user's cache. It may be deleted at any time between runs."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tooltune" / "rows"
    return Path(os.environ.get("TOOLTUNE_CACHE") or home)


def kept(kind: str, facts: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
    """The folder of an entry, which `make` fills if it is not there.

    Args:
        kind: how its name begins.
        facts: all that decides what is in it, as JSON. What is not among them must not change it.

    Raises:
        InputError: it cannot be written; or what `make` raises.
    """
    from filelock import FileLock

    folder = cache_dir() / f"{kind}-{hashlib.sha256(dump_json(facts).encode()).hexdigest()[:32]}"
    with _told():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if not _whole(folder):
                _fill(folder, facts, make)
            os.utime(folder)
    _prune(folder)
    return folder


def code_digest(*packages: str, without: Collection[str] = ()) -> str:
    """A digest of the source of this project's packages, templates and uncommitted changes included.

    Args:
        without: names of folders whose files do not count.
    """
    files = (path for package in packages for path in (ROOT / package).rglob("*") if path.suffix in (".py", ".jinja"))
    return files_digest((path for path in files if not {*path.relative_to(ROOT).parts} & {*without}), ROOT)


def _whole(folder: Path) -> bool:
    """Whether an entry has all its files at their full size: a machine that lost power may have cut them."""
    try:
        sizes = json.loads((folder / "entry.json").read_text(encoding="utf-8"))["bytes"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError):
        return False


def _fill(folder: Path, facts: Mapping[str, Any], make: Callable[[Path], None]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    unfinished.mkdir(mode=0o700)
    try:
        make(unfinished)
        write_json(
            unfinished / "entry.json",
            {"facts": facts, "bytes": {path.name: path.stat().st_size for path in sorted(unfinished.iterdir())}},
        )
        patiently(lambda: unfinished.rename(folder))
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _prune(used: Path) -> None:
    """Remove what was not used for longest, and what killed processes have left.

    An entry is renamed before its files go, so that a part of one is never taken for it.
    """
    from filelock import FileLock, Timeout

    entries = [p for p in used.parent.glob("[!.]*-*") if p != used and p.is_dir()]
    total = _bytes(used)
    with suppress(OSError):  # another process prunes too, or (on Windows) an entry is open
        for path in sorted(entries, key=lambda p: p.stat().st_mtime, reverse=True):
            total += _bytes(path)
            if total > MOST:
                path.rename(path.with_name(f".{path.name}"))
    for path in used.parent.glob(".*-*"):
        if path.is_dir():
            with suppress(Timeout, OSError), FileLock(path.with_name(f"{path.name}.lock"), timeout=0):
                shutil.rmtree(path, ignore_errors=True)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise InputError(
            f"what is made of rows cannot be kept here ({e.strerror or e})",
            where=str(cache_dir()),
            fix="free some space, or set TOOLTUNE_CACHE to another folder, where you may write",
        ) from None
