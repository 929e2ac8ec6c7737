"""Records from files, and the three splits of a run."""

import difflib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from data.formats.reading import Rejected, read_file
from data.record import Record
from data.words import phrase
from tooltune.console import say
from tooltune.errors import InputError
from tooltune.files import dump_json, quoted
from tooltune.words import Say

Item = TypeVar("Item")
SPLITS = ("train", "validation", "test")
_HELD_OUT = ("test", "validation", "val", "valid", "dev", "eval")


def to_stderr(line: Any) -> None:
    """Say a line where it does not mix with a command's output."""
    say(line, stderr=True)


def load_records(path: Path, say: Say = to_stderr) -> list[Record]:
    """Every record of a file, checked; other formats than records are recognised and read (see `data.formats`).

    Args:
        say: told one line when the file is not records: its format, and how many rows it has; and one for each kind of
            thing that rows lose.

    Raises:
        InputError: with file:line for the first row that is wrong, or when the file has no rows or an id twice.
    """
    records: list[Record] = []
    stream_records(path, records.append, say)
    return records


def stream_records(path: Path, take: Callable[[Record], None], say: Say) -> None:
    """Hand on each record of a file as it is read; what `load_records` returns, in bounded memory.

    Raises:
        InputError: as `load_records`; or what `take` raises.
    """
    wrong: list[Rejected] = []
    counts = Counter(records=0, rejected=0)

    def taken(line: int, record: Record) -> None:
        counts["records"] += 1
        if not wrong:
            take(record)

    def rejected(entry: Rejected) -> None:
        counts["rejected"] += 1
        if not wrong:
            wrong.append(entry)

    loaded = read_file(path, take=taken, reject=rejected)
    if loaded.format != "records":
        say(phrase("read", path=path, form=loaded.format, rows=loaded.rows, **counts))
    for line in loaded.lines():
        say(line)
    if wrong:
        error = wrong[0].error
        if loaded.format == "records":
            raise error
        more = f" (the first of {counts['rejected']} rejected rows)" if counts["rejected"] > 1 else ""
        raise InputError(
            error.what + more,
            where=error.where,
            fix=f"correct the row, or set wrong rows aside with `python -m data convert {quoted(path)} --to records`",
        )


def load_splits(
    train: Path, validation: Path | None, test: Path | None
) -> tuple[list[Record], list[Record], list[Record]]:
    """Training, validation and test records; see `stream_splits`."""
    parts: dict[str, list[Record]] = {name: [] for name in SPLITS}
    stream_splits(train, validation, test, lambda split, record: parts[split].append(record), to_stderr)
    return parts["train"], parts["validation"], parts["test"]


def stream_splits(
    train: Path,
    validation: Path | None,
    test: Path | None,
    put: Callable[[str, Record], None],
    say: Say,
) -> None:
    """Hand on each record of a run with its split, as it is read.

    Without a validation file the training file is split 80/10/10 by a stable hash of the ids, a conversation that
    stands there twice staying in one part; a test file takes the place of the hashed test part.

    Raises:
        InputError: a file is wrong, training or validation would be empty, or a row of validation or test is among the
            training rows.
    """
    counts: Counter[str] = Counter()
    part: dict[bytes, str] = {}  # of a conversation
    ids: set[str] = set()  # those that train
    meant: Counter[str] = Counter()  # rows that train and say that they are of another split

    def place(record: Record) -> None:
        turns = _digest(record)
        split = "train" if validation else part_of(record.id)
        split = part.setdefault(turns, split)
        counts[split] += 1
        named = str(record.meta.get("split"))
        meant[named] += split == "train" and named.lower() in _HELD_OUT
        if split == "train" and not record.id.isdigit():  # a number only counts, from 0 in each file
            ids.add(record.id)
        if split != "test" or test is None:
            put(split, record)

    stream_records(train, place, say)
    for named, n in (+meant).items():
        say(phrase("split.named", path=train, named=repr(named), n=n))
    for name in ("train", "validation"):
        if validation is None and not counts[name]:
            raise InputError(
                f"{counts.total()} rows are too few to split 80/10/10: {name} is empty",
                where=str(train),
                fix="give data.validation=FILE, or more rows",
            )
    for split, path in (("validation", validation), ("test", test)):
        if path is None:
            continue
        shared: list[str] = []

        def apart(record: Record, split: str = split, shared: list[str] = shared) -> None:
            if record.id in ids or part.get(_digest(record)) == "train":
                shared.append(record.id)
            put(split, record)

        stream_records(path, apart, say)
        if shared:
            raise InputError(
                f"{len(shared)} rows are among the training rows of {train} too (for example {min(shared)!r})",
                where=str(path),
                fix="a row that is trained on measures nothing: remove it from one of the two files",
            )


def _digest(record: Record) -> bytes:
    return hashlib.sha256(dump_json(record.messages).encode()).digest()[:16]


def rows_of(splits: Mapping[str, Sequence[Record]], split: str) -> Sequence[Record]:
    """The rows of a split.

    Raises:
        InputError: there is no such split, or it has no rows.
    """
    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}", where="--split", fix=f"one of {', '.join(SPLITS)}")
    if not splits[split]:
        raise InputError(f"the run has no {split} rows", where=f"data.{split}", fix="name another with --split")
    return splits[split]


def row_of(records: Iterable[Record], row: str, among: str) -> Record:
    """The row of an id.

    Args:
        among: what the rows are, for the error.

    Raises:
        InputError: there is no such row; with ids that look like it.
    """
    ids: list[str] = []
    for record in records:
        if record.id == row:
            return record
        ids.append(record.id)
    near = difflib.get_close_matches(row, ids, n=3, cutoff=0.3) or ids[:3]
    raise InputError(f"no row {row!r} in {among}", where="--row", fix=f"for example {', '.join(near)}")


def evenly_spaced(items: Sequence[Item], most: int | None) -> list[Item]:
    """At most `most` items (None: all), evenly spread over the list: the same ones every time."""
    if most is None or len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]


def part_of(row_id: str) -> str:
    """The split of a row by a hash of its id: 80 % train, 10 % validation, 10 % test; the same on every machine."""
    bucket = int.from_bytes(hashlib.sha256(row_id.encode()).digest()[:8], "big") % 10
    return "train" if bucket < 8 else "validation" if bucket == 8 else "test"
