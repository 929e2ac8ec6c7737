"""The rows of a file, each with its line: JSON Lines, or one JSON document (a list, or objects one after the other).

A row that cannot be read comes back as an error with its text, so that it is never lost and the next ones are read.
JSON Lines are read line by line, however many there are; a document is read whole.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from data.formats.literals import check_depth, decoder, excerpt, unwritable
from data.words import fault, phrase
from tooltune.errors import InputError
from tooltune.files import BOM

MAX_FILE = 2**30
"""Bytes of a document, or of a line, that is read at once."""
HEAD = 2**16
"""Bytes at the start of a file that tell what it is."""
MAX_ROW = 8 * 2**20
"""Characters of one row."""


@dataclass(frozen=True)
class Row:
    """One row as it stands in a file.

    Attributes:
        line: counted from 1.
        text: the row's own text; what was not UTF-8 in it is replaced.
        value: the parsed value; None where there is an error.
    """

    line: int
    text: str
    value: Any = None
    error: InputError | None = None


def rows_of(path: Path) -> Iterator[Row]:
    """Every row of a file.

    Raises:
        InputError: the file is missing, is no file or no text, or is a document, or has a line, larger than MAX_FILE.
    """
    with _opened(path) as file:
        head = file.read(HEAD).removeprefix(BOM)
        if path.suffix.lower() in (".csv", ".tsv"):
            raise InputError("a table is not read", where=str(path), fix=_LINES)
        if other := next((what for start, what in _OTHER.items() if head.startswith(start)), None):
            raise InputError(f"this is {other}", where=str(path), fix=_UTF8 if "UTF" in other else _LINES)
        document = head.lstrip()[:1] == b"[" or _spread(head)
        file.seek(0)
        if not document:
            yield from _lines(file, path)
            return
        raw = _bounded(file.read(MAX_FILE + 1), path).removeprefix(BOM)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as e:
        number = raw.count(b"\n", 0, e.start) + 1
        raise InputError("the file is not UTF-8", where=f"{path}:{number}", fix=_UTF8) from None
    yield from _document(text, path)


_UTF8 = "save the file as UTF-8 (not CP949 / EUC-KR, not UTF-16)"
_LINES = (
    "write JSON Lines, one JSON object a line (from a spreadsheet: examples/from_spreadsheet.py; "
    "from Parquet or Arrow: to_json of the package datasets)"
)
_OTHER = {
    b"PK\x03\x04": "a spreadsheet (.xlsx) or a ZIP archive, not text",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet (.xls), not text",
    b"PAR1": "a Parquet file, not text",
    b"ARROW1": "an Arrow file, not text",
    b"\x28\xb5\x2f\xfd": "compressed (zstd)",
    b"\x1f\x8b": "compressed (gzip)",
    b"\xff\xfe": "UTF-16, as PowerShell's > writes it",
    b"\xfe\xff": "UTF-16",
    b"%PDF": "a PDF, not text",
    b"version https://git-lfs": "a Git LFS pointer, not the file (git lfs pull)",
}
"""The first bytes of files that people give by mistake."""


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError("a pipe or a device, not a file", where=str(path), fix="save its rows in a file")
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("no such file", where=str(path), fix="check the path") from None
    except OSError as e:
        raise InputError(f"cannot be read as a file ({e.strerror})", where=str(path), fix="check the path") from None
    except ValueError:  # a zero byte in the path
        raise InputError("no such file", where=repr(str(path)), fix="check the path") from None
    with file:
        yield file


def _lines(file: IO[bytes], path: Path) -> Iterator[Row]:
    for number, line in enumerate(iter(lambda: file.readline(MAX_FILE + 1), b""), start=1):
        line = _bounded(line, path).removeprefix(BOM)  # files that were joined have one in the middle
        if line.strip():
            yield _row(line, number, path)


def _bounded(raw: bytes, path: Path) -> bytes:
    if len(raw) > MAX_FILE:
        raise InputError(
            f"a document, or a line, of more than {MAX_FILE / 2**30:.0f} GiB is not read",
            where=str(path),
            fix="write JSON Lines, one JSON object a line",
        )
    return raw


def _spread(raw: bytes) -> bool:
    """Whether the first object goes over several lines, as far as the start of a file shows it."""
    first = raw.lstrip().split(b"\n", 1)[0].strip()
    return first.startswith(b"{") and b"\n" in raw.strip() and (first == b"{" or first.endswith((b",", b"{", b"[")))


def _row(line: bytes, number: int, path: Path) -> Row:
    where = f"{path}:{number}"
    try:
        text = line.decode("utf-8").strip()
    except UnicodeDecodeError:
        error = fault("line.utf8", where)
        return Row(number, line.decode("utf-8", "replace").strip(), error=error)
    if len(text) > MAX_ROW:
        return _checked(Row(number, text), path)
    twice: list[str] = []
    try:
        return _checked(Row(number, text, decoder(twice).decode(text)), path, twice)
    except (ValueError, RecursionError) as e:
        return Row(number, text, error=_not_json(e, where, "line.json"))


def _document(text: str, path: Path) -> Iterator[Row]:
    """The objects of a JSON list, or of a sequence of objects."""
    pos, line = 0, 1
    while True:
        start = pos
        while pos < len(text) and (text[pos].isspace() or text[pos] in "[,]\ufeff"):
            pos += 1
        line += text.count("\n", start, pos)
        if pos >= len(text):
            return
        try:
            twice: list[str] = []
            value, end = decoder(twice).raw_decode(text, pos)
        except (ValueError, RecursionError) as e:
            yield Row(line, text[pos:].strip(), error=_not_json(e, f"{path}:{line}", "rest.json"))
            return
        yield _checked(Row(line, text[pos:end], value), path, twice)
        line += text.count("\n", pos, end)
        pos = end


def _checked(row: Row, path: Path, twice: Sequence[str] = ()) -> Row:
    why = unwritable(row.value) or (phrase("has.twice", key=excerpt(twice[0])) if twice else None)
    if len(row.text) > MAX_ROW:
        why = phrase("has.long")
    elif not why:
        try:
            check_depth(row.value, "")
        except InputError:
            why = phrase("has.deep")
    return Row(row.line, row.text, error=fault("row.has", f"{path}:{row.line}", fault=why)) if why else row


def _not_json(e: Exception, where: str, kind: str) -> InputError:
    detail = phrase("has.nested") if isinstance(e, RecursionError) else str(e).splitlines()[0][:120]
    if isinstance(e, json.JSONDecodeError):
        detail = phrase("json.place", said=e.msg, column=e.colno)
    return fault(kind, where, detail=detail)
