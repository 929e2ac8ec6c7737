"""Reading and writing files so that nothing is half written and every fault has a place."""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from data.errors import InputError


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` and rename it onto `path` when the block ends well.

    A reader sees the old file or the whole new one, never a part; on an error the old file stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    text: Any = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with os.fdopen(fd, mode, **text) as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def dump_json(value: Any, *, indent: int | None = None) -> str:
    """JSON as this project writes it: literal Hangul, NaN refused, keys in the order given."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def write_json(path: str | Path, value: Any) -> None:
    """Write one JSON value, indented, atomically."""
    with atomic_write(path) as f:
        f.write(dump_json(value, indent=2) + "\n")


def write_jsonl(path: str | Path, rows: Iterable[Any]) -> None:
    """Write JSON Lines, UTF-8, atomically."""
    with atomic_write(path) as f:
        for row in rows:
            f.write(dump_json(row) + "\n")


def read_jsonl(path: str | Path) -> Iterator[tuple[int, Any]]:
    """Yield (line number from 1, value) for each non-empty line.

    Read with `json` and never through Arrow, which merges structs and fills absent keys with null.

    Raises:
        InputError: the file is missing, not UTF-8, or a line is not JSON (with file:line and column).
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file", where=str(path), fix="check the path") from None
    except (IsADirectoryError, PermissionError) as e:
        raise InputError(f"cannot be read as a file ({e.strerror})", where=str(path)) from None
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except UnicodeDecodeError:
            raise InputError(
                "the line is not UTF-8", where=f"{path}:{number}", fix="save the file as UTF-8 (not CP949 / EUC-KR)"
            ) from None
        except (json.JSONDecodeError, RecursionError) as e:
            detail = f"{e.msg}, column {e.colno}" if isinstance(e, json.JSONDecodeError) else "nested too deeply"
            raise InputError(
                f"the line is not JSON ({detail})", where=f"{path}:{number}", fix="each line must be one JSON object"
            ) from None
