"""Rows that stay on disk, so that any number of them takes a bounded part of the memory.

Records are lines of JSON, found by where they begin. Rendered rows are an Arrow file of the `datasets` library, mapped
into memory: the system reads the pages that are needed, and takes them back when memory is short.
"""

import json
from abc import abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypeVar, overload

from data.record import Record
from data.render import IGNORED, Example
from tooltune.files import dump_json

T = TypeVar("T")
BATCH = 512
"""Rendered rows that are written at once."""


class RowSequence(Sequence[T]):
    """A sequence whose items are made when they are taken, a new object each time."""

    @abstractmethod
    def take(self, row: int) -> T:
        """The item of a row from 0 to the length less one."""

    @overload
    def __getitem__(self, row: int) -> T: ...

    @overload
    def __getitem__(self, row: slice) -> list[T]: ...

    def __getitem__(self, row: int | slice) -> T | list[T]:
        rows = range(len(self))
        return [self.take(n) for n in rows[row]] if isinstance(row, slice) else self.take(rows[row])


class Chosen(RowSequence[T]):
    """Some rows of a sequence, by number."""

    def __init__(self, rows: Sequence[T], numbers: Sequence[int]) -> None:
        self.rows, self.numbers = rows, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, row: int) -> T:
        """One of them."""
        return self.rows[self.numbers[row]]


class RecordWriter:
    """Writes records one after the other: `path`, and beside it where each of them begins."""

    def __init__(self, path: Path) -> None:
        self.path, self.starts = path, array("Q")

    def __enter__(self) -> Self:
        self.file = self.path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        _starts_of(self.path).write_bytes(self.starts.tobytes())

    def add(self, record: Record) -> None:
        self.starts.append(self.file.tell())
        self.file.write(dump_json(record.to_dict()).encode() + b"\n")


class StoredRecords(RowSequence[Record]):
    """What a `RecordWriter` wrote. A record is parsed when it is taken, and a new object each time.

    Attributes:
        path: which says what they were made of, where they are an entry of the cache.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.starts = array("Q", _starts_of(path).read_bytes())
        self.file = path.open("rb")  # stays open, so that the file may be removed meanwhile

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, row: int) -> Record:
        self.file.seek(self.starts[row])
        return Record(**json.loads(self.file.readline()))


class ExampleWriter:
    """Writes rendered rows to an Arrow file: id, input_ids and roles, from which the labels follow."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        from datasets import Features, List, Value
        from datasets.arrow_writer import ArrowWriter

        columns = {"id": Value("string"), "input_ids": List(Value("int32")), "roles": List(Value("int8"))}
        self.writer = ArrowWriter(path=str(self.path), features=Features(columns), writer_batch_size=BATCH)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.writer.finalize()
        self.writer.close()

    def add(self, example: Example) -> None:
        self.writer.write({"id": example.id, "input_ids": example.input_ids, "roles": example.roles})


class StoredExamples(RowSequence[Example]):
    """What an `ExampleWriter` wrote. The fields of a row are arrays (int32, int8) that are looked at where they lie.

    Attributes:
        dataset: the same rows as a `datasets.Dataset`.
        lengths: tokens of each row, int64.
    """

    def __init__(self, path: Path) -> None:
        import numpy as np
        from datasets import Dataset

        self.dataset: Any = Dataset.from_file(str(path))
        columns = [self.dataset.data.column(name).chunks for name in ("input_ids", "roles")]
        self._parts = [
            (ids.offsets.to_numpy(), ids.values.to_numpy(), roles.values.to_numpy())
            for ids, roles in zip(*columns, strict=True)
        ]
        self._first = [0]  # row of each part
        for offsets, _, _ in self._parts:
            self._first.append(self._first[-1] + len(offsets) - 1)
        self.lengths: Any = np.concatenate([np.diff(offsets) for offsets, _, _ in self._parts]).astype(np.int64)
        self.ids: list[str] = self.dataset.data.column("id").to_pylist()

    def __len__(self) -> int:
        return self._first[-1]

    def take(self, row: int) -> Example:
        import numpy as np

        part = bisect_right(self._first, row) - 1
        offsets, ids, roles = self._parts[part]
        start, end = offsets[row - self._first[part] :][:2]
        ids, roles = ids[start:end], roles[start:end]
        labels: Any = np.where(roles == 0, IGNORED, ids)
        return Example(self.ids[row], ids, labels, roles)


def lengths_of(rows: Sequence[Example]) -> list[int]:
    """Tokens of each row; rows on disk are not read for it."""
    if isinstance(rows, StoredExamples):
        return list(map(int, rows.lengths))
    return [len(row.input_ids) for row in rows]


def _starts_of(path: Path) -> Path:
    return path.with_suffix(".starts")
