"""Reading and writing files so that nothing is half written and every fault has a place."""

import errno
import hashlib
import json
import os
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

import yaml

from tooltune.errors import InputError, JobFailed

T = TypeVar("T")
MAX_YAML = 1_000_000
"""Characters of a YAML file."""
BOM = b"\xef\xbb\xbf"
"""What some editors put before a UTF-8 text."""

FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
FAULTS = {
    **FULL,
    errno.EROFS: "it is read-only",
    errno.EFBIG: "the file is larger than this disk or `ulimit -f` allows",
    **dict.fromkeys(
        (errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE, errno.EHOSTDOWN),
        "the disk does not answer",
    ),
}
"""Faults of a disk that come in the middle of a job, when the place itself was right."""


_FULL = re.compile(r"\(os error (28|112)\)|Not enough free space to write|^\d+ requested and \d+ written$")
"""What safetensors and numpy say of a full disk, without its number."""


def disk_fault(e: Exception, where: Path | str | None = None) -> JobFailed | None:
    """What to tell of a disk that takes no more; None where the error is another.

    Args:
        where: what was being written; None: as the error says, which seldom does.
    """
    number, name = (e.errno, e.filename) if isinstance(e, OSError) else (None, None)
    if number not in FAULTS and _FULL.search(str(e)):
        number = errno.ENOSPC
    if number not in FAULTS:
        return None
    place = str(where or name or "")
    return JobFailed(
        f"{place}{': ' if place else ''}cannot be written: {FAULTS[number]}",
        f"{'make room' if number in FULL else 'mend it'} and run the same command again: it goes on from what is there",
    )


def patiently(act: Callable[[], T]) -> T:
    """Do what another program (OneDrive, a virus scanner) may forbid for as long as it looks at a file."""
    for seconds in (0.1, 0.2, 0.4, 0.8, 1.6):
        try:
            return act()
        except PermissionError:
            time.sleep(seconds)
    return act()


def user_path(text: str | Path) -> Path:
    """A path as people write it: a `~` in front is their home folder, which shells do not write out in `key=~/…`."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 (Path.expanduser raises where there is no such user)


def quoted(path: Path | str) -> str:
    """A path as it is typed in a command: quoted where it has a space or a shell metacharacter."""
    text = str(path)
    if re.fullmatch(r"[\w@%+=:,./\\-]+", text):
        return text
    return f'"{text}"' if os.name == "nt" else shlex.quote(text)


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` and rename it onto `path` when the block ends well.

    A reader sees the old file or the whole new one, never a part; on an error the old file stays.

    Raises:
        InputError: nothing can be written there.
        JobFailed: the disk is full.
    """
    path = Path(path)
    with _told(path):
        writable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    text: Any = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with os.fdopen(fd, mode, **text) as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        with suppress(OSError):  # FAT has no such modes
            Path(name).chmod(0o644)
        with _told(path):
            patiently(lambda: Path(name).replace(path))
    except BaseException as e:
        Path(name).unlink(missing_ok=True)
        if isinstance(e, OSError) and (full := disk_fault(e, path)):
            raise full from e
        raise


def writable(path: Path, *, folder: bool = False) -> None:
    """See that a file (or a folder of files) can be written here, before hours are spent on what goes into it.

    Raises:
        InputError: it is a folder (or a file), or stands in what is no folder or cannot be written to.
    """
    with _told(path):
        if path.exists() and path.is_dir() != folder:
            there, wanted = ("a file", "a folder") if folder else ("a folder", "a file")
            raise InputError(f"cannot be written: this is {there}", where=str(path), fix=f"name {wanted}")
        inside = path if path.is_dir() else next(p for p in path.absolute().parents if p.exists())
        if not inside.is_dir():
            raise NotADirectoryError(f"{inside} is a file")
        if not os.access(inside, os.W_OK):
            raise PermissionError(f"{inside} cannot be written to")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        if full := disk_fault(e, path):
            raise full from None
        fix = "name another place, where you may write"
        raise InputError(f"cannot be written ({e.strerror or e})", where=str(path), fix=fix) from None


def read_text(path: Path) -> str:
    """A UTF-8 text, with or without a byte-order mark.

    Raises:
        ValueError: it is in another encoding.
        OSError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8: save it as UTF-8, not as CP949 / EUC-KR or UTF-16") from None


def line_count(path: Path) -> int:
    """About as many rows as a file has; 0 of one that cannot be read, or a pipe, which is told when it is."""
    try:
        if not path.is_file():
            return 0
        with path.open("rb") as file:
            return sum(part.count(b"\n") for part in iter(lambda: file.read(2**20), b""))
    except OSError:
        return 0


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_digest(paths: Iterable[Path], root: Path) -> str:
    """SHA-256 over files in the order of their names: each name, relative to `root`, and what is in the file."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root).as_posix()}\0{file_digest(path)}\0".encode())
    return digest.hexdigest()


def dump_json(value: Any, *, indent: int | None = None, separators: tuple[str, str] | None = None) -> str:
    """JSON as this project writes it: literal Hangul, NaN refused, keys in the order given."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)


def write_json(path: str | Path, value: Any) -> None:
    """Write one JSON value atomically, indented."""
    with atomic_write(path) as f:
        f.write(dump_json(value, indent=2) + "\n")


def write_measured(path: str | Path, result: dict[str, Any]) -> None:
    """Write what was measured atomically, on one line, to `six_digits`."""
    with atomic_write(path) as f:
        f.write(dump_json(six_digits(result), separators=(",", ":")) + "\n")


def six_digits(value: Any) -> Any:
    """A JSON value with every float to six significant digits, but for what stands under `config`."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: inner if key == "config" else six_digits(inner) for key, inner in value.items()}
    return [six_digits(inner) for inner in value] if isinstance(value, list | tuple) else value


def write_jsonl(path: str | Path, rows: Iterable[Any]) -> None:
    """Write JSON Lines, UTF-8, atomically."""
    with atomic_write(path) as f:
        for row in rows:
            f.write(dump_json(row) + "\n")


def append_jsonl(path: str | Path, row: Any) -> None:
    """Write one more line, which is on the disk afterwards; a kill in the middle leaves a torn one (`read_jsonl`).

    Raises:
        JobFailed: the disk is full.
    """
    try:
        with patiently(lambda: Path(path).open("a", encoding="utf-8", newline="\n")) as f:
            f.write(dump_json(row) + "\n")
            f.flush()
            os.fsync(f.fileno())
    except OSError as e:
        if full := disk_fault(e, path):
            raise full from e
        raise


def read_jsonl(path: str | Path, *, torn: Callable[[str], None] | None = None) -> Iterator[tuple[int, Any]]:
    """Yield (line number from 1, value) for each non-empty line.

    Read with `json` and never through Arrow, which merges structs and fills absent keys with null.

    Args:
        torn: told of a last line that was cut off while it was written (it is not JSON and has no end), which is then
            left out; None: such a line is an error like any other.

    Raises:
        InputError: the file is missing, not UTF-8, or a line is not JSON, or has a key twice in one object (with
            file:line and column).
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file", where=str(path), fix="check the path") from None
    except OSError as e:
        raise InputError(f"cannot be read as a file ({e.strerror})", where=str(path), fix="check the path") from None
    lines = raw.split(b"\n")
    for number, line in enumerate(lines, start=1):
        line = line.removeprefix(BOM)  # files that were joined have one in the middle
        if not line.strip():
            continue
        try:
            value = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as e:
            if not torn or number < len(lines):
                raise _no_json(e, f"{path}:{number}") from None
            torn(f"{path}:{number}: the last line was cut off while it was written; it is left out")
        else:
            yield number, value


def read_yaml(text: str) -> Any:
    """The value that a YAML text spells. Aliases (`*name`) are refused: a kilobyte of them can stand for terabytes.

    Raises:
        ValueError: it is no YAML, is longer than `MAX_YAML`, or has an alias; in one line.
    """
    if len(text) > MAX_YAML:
        raise ValueError(f"{len(text):,} characters are more than the {MAX_YAML:,} that are read")
    try:
        return yaml.load(text, Loader=_WithoutAliases)  # noqa: S506 - a SafeLoader
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as e:
        # PyYAML takes 2024-13-45 for a date and 0x_ for a number, and Python then raises
        raise ValueError(" ".join(str(e).split())) from None


class _WithoutAliases(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*name), which is not read")
        return super().compose_node(parent, index)


def _once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(items)
    if len(value) < len(items):
        raise ValueError("a key twice in one object")
    return value


def _no_json(e: Exception, where: str) -> InputError:
    if isinstance(e, UnicodeDecodeError):
        return InputError("the line is not UTF-8", where=where, fix="save the file as UTF-8 (not CP949 / EUC-KR)")
    detail = f"{e.msg}, column {e.colno}" if isinstance(e, json.JSONDecodeError) else str(e)
    detail = "nested too deeply" if isinstance(e, RecursionError) else detail
    return InputError(f"the line is not JSON ({detail})", where=where, fix="each line must be one JSON object")
