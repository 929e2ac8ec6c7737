"""Records from files, and the three splits of a run."""

import difflib
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from data.formats.reading import read_file
from data.record import Record
from data.tools import with_visible_tools
from tooltune.config import DataSection
from tooltune.console import say
from tooltune.errors import InputError
from tooltune.files import dump_json

Item = TypeVar("Item")
SPLITS = ("train", "validation", "test")


def to_stderr(line: str) -> None:
    """Say a line where it does not mix with a command's output."""
    say(line, stderr=True)


def load_records(path: Path, say: Callable[[str], None] = to_stderr) -> list[Record]:
    """Every record of a file, checked; other formats than records are recognised and read (see `data.formats`).

    Args:
        say: told one line when the file is not records: its format, and how many rows it has; and one for each kind of
            thing that rows lose.

    Raises:
        InputError: with file:line for the first row that is wrong, or when the file has no rows or an id twice.
    """
    loaded = read_file(path)
    wrong = len(loaded.rejected)
    if loaded.format != "records":
        say(f"{path}: {loaded.format}, {loaded.rows} rows read as {len(loaded.records)} records, {wrong} rejected")
    for line in loaded.lines():
        say(line)
    if wrong:
        error = loaded.rejected[0].error
        if loaded.format == "records":
            raise error
        more = f" (the first of {wrong} rejected rows)" if wrong > 1 else ""
        raise InputError(
            error.what + more,
            where=error.where,
            fix=f"correct the row, or set wrong rows aside with `python -m data convert {path} --to records`",
        )
    return [record for _, record in loaded.records]


def load_splits(
    train: Path, validation: Path | None, test: Path | None
) -> tuple[list[Record], list[Record], list[Record]]:
    """Training, validation and test records.

    Without a validation file the training file is split 80/10/10 by a stable hash of the ids, a conversation that
    stands there twice staying in one part; a test file takes the place of the hashed test part.

    Raises:
        InputError: a file is wrong, training or validation would be empty, or a row of theirs trains too.
    """
    records = load_records(train)
    apart = load_records(validation) if validation else None
    given = load_records(test) if test else None
    if apart is None:
        parts: dict[str, list[Record]] = {"train": [], "validation": [], "test": []}
        first: dict[str, str] = {}
        for record in records:
            parts[part_of(first.setdefault(dump_json(record.messages), record.id))].append(record)
        for name in ("train", "validation"):
            if not parts[name]:
                raise InputError(
                    f"{len(records)} rows are too few to split 80/10/10: {name} is empty",
                    where=str(train),
                    fix="give data.validation=FILE, or more rows",
                )
        splits = parts["train"], parts["validation"], parts["test"] if given is None else given
    else:
        splits = records, apart, given or []
    for rows, path in ((apart, validation), (given, test)):
        if rows and path:
            _disjoint(splits[0], rows, train, path)
    return splits


def read_splits(data: DataSection, test: Path | None = None) -> dict[str, list[Record]]:
    """The rows of a run, by split, with their tools as the model sees them; under `train` those that train.

    Args:
        test: a file that takes the place of the test split.

    Raises:
        InputError: as `load_splits`.
    """
    for path in (data.train, data.validation, test or data.test):
        if path and not path.exists():
            fix = "name it with data.train=FILE and the like; a run's place for it stands in its config.yaml"
            raise InputError("no such file", where=str(path), fix=fix)
    train, validation, rows = load_splits(data.train, data.validation, test or data.test)
    parts = zip(SPLITS, (train[: data.limit], validation, rows), strict=True)
    return {
        name: [with_visible_tools(r, max_tools=data.max_tools, descriptions=data.descriptions) for r in part]
        for name, part in parts
    }


def rows_of(splits: Mapping[str, list[Record]], split: str) -> list[Record]:
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
    known = {record.id: record for record in records}
    if row in known:
        return known[row]
    near = difflib.get_close_matches(row, known, n=3, cutoff=0.3) or list(known)[:3]
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


def _disjoint(train: Sequence[Record], other: Sequence[Record], path: Path, where: Path) -> None:
    # An id that is a number only counts, from 0 in each file.
    ids = {record.id for record in train if not record.id.isdigit()}
    turns = {dump_json(record.messages) for record in train}
    shared = sorted(record.id for record in other if record.id in ids or dump_json(record.messages) in turns)
    if shared:
        raise InputError(
            f"{len(shared)} rows are among the training rows of {path} too (for example {shared[0]!r})",
            where=str(where),
            fix="a row that is trained on measures nothing: remove it from one of the two files",
        )
