"""Records from files, and the three splits of a run."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from data.errors import InputError
from data.files import read_jsonl
from data.record import Record


def load_records(path: Path) -> list[Record]:
    """Every record of a JSON Lines file, checked.

    Raises:
        InputError: with file:line for the first row that is wrong, or when the file has no rows or an id twice.
    """
    records: list[Record] = []
    lines: dict[str, int] = {}
    for number, row in read_jsonl(path):
        record = Record.from_dict(row, where=f"{path}:{number}")
        if record.id in lines:
            raise InputError(
                f"the id {record.id!r} is on line {lines[record.id]} already",
                where=f"{path}:{number}",
                fix="give every row its own id",
            )
        lines[record.id] = number
        records.append(record)
    if not records:
        raise InputError("the file has no rows", where=str(path))
    return records


def load_splits(
    train: Path, validation: Path | None, test: Path | None
) -> tuple[list[Record], list[Record], list[Record]]:
    """Training, validation and test records; with only one file given, it is split 80/10/10 by a stable hash.

    Raises:
        InputError: a file is wrong, or validation would be empty.
    """
    if validation is None:
        records = load_records(train)
        parts: dict[str, list[Record]] = {"train": [], "validation": [], "test": []}
        for record in records:
            parts[part_of(record.id)].append(record)
        for name in ("train", "validation"):
            if not parts[name]:
                raise InputError(
                    f"{len(records)} rows are too few to split 80/10/10: {name} is empty",
                    where=str(train),
                    fix="give data.validation=FILE, or more rows",
                )
        return parts["train"], parts["validation"], load_records(test) if test else parts["test"]
    splits = load_records(train), load_records(validation), load_records(test) if test else []
    _disjoint(splits[0], splits[1], train, validation)
    return splits


def part_of(row_id: str) -> str:
    """The split of a row by a hash of its id: 80 % train, 10 % validation, 10 % test; the same on every machine."""
    bucket = int.from_bytes(hashlib.sha256(row_id.encode()).digest()[:8], "big") % 10
    return "train" if bucket < 8 else "validation" if bucket == 8 else "test"


def _disjoint(train: Sequence[Record], validation: Sequence[Record], path: Path, other: Path) -> None:
    shared = {record.id for record in train} & {record.id for record in validation}
    if shared:
        raise InputError(
            f"{len(shared)} rows are in the training file too (for example {sorted(shared)[0]!r})",
            where=str(other),
            fix=f"validation rows must not train: remove them from {path}, or give only one file and let it be split",
        )
