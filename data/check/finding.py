"""A finding: one kind of fault, how often it occurs, where, and what to do."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from data.check.words import phrase
from data.formats.keys import SCORE, UNREAD_ROW, UNREAD_TURN, DataLoss
from data.formats.reading import Loaded
from data.record import Record
from data.stored import RowSequence
from tooltune.errors import InputError
from tooltune.words import LANGUAGES, Phrase, in_language

T = TypeVar("T")
Level = Literal["error", "warning", "note"]
EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """One kind of fault.

    Attributes:
        level: error: not fit to train on; warning: read and decide; note: good to know.
        what: the fault, in a few words.
        count: how many rows have it.
        examples: up to five, each with file:line.
    """

    level: Level
    what: Phrase
    count: int
    examples: Sequence[Phrase | str]
    fix: Phrase | str

    def to_dict(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "what": str(self.what),
            "count": self.count,
            "examples": list(map(str, self.examples)),
            "fix": str(self.fix),
        }


@dataclass(frozen=True)
class Placed:
    """A record with the file, line and split that it stands in."""

    path: Path
    line: int
    split: str
    record: Record

    @property
    def where(self) -> str:
        """file:line."""
        return f"{self.path}:{self.line}"


class PlacedRows(RowSequence[Placed]):
    """Records with their places; the records may be on disk.

    Attributes:
        records, places: as many of one as of the other; a place is file, line and split.
    """

    def __init__(self, records: Sequence[Record], places: Sequence[tuple[Path, int, str]]) -> None:
        self.records, self.places = records, places

    def __len__(self) -> int:
        return len(self.places)

    def take(self, row: int) -> Placed:
        return Placed(*self.places[row], self.records[row])


def finding(
    level: Level, kind: str, hits: Iterable[T], shown: Callable[[T], str] = str, **values: Any
) -> list[Finding]:
    """The finding as a list, empty when there is no hit; the first of them are its examples, the others are counted.

    Args:
        kind: a key of `words.yaml`; what to do has it with `.fix` behind it.
        shown: a hit as an example.
        values: what fills in its words.
    """
    examples, count = list[str](), 0
    for count, hit in enumerate(hits, 1):
        if count <= EXAMPLES:
            examples.append(shown(hit))
    return [counted(level, kind, count, examples, **values)] if count else []


def counted(level: Level, kind: str, count: int, examples: Sequence[str] = (), **values: Any) -> Finding:
    return Finding(level, phrase(kind, **values), count, list(examples), phrase(f"{kind}.fix"))


class Rejections:
    """Rows that could not be read, grouped by reason; the words in quotes and the numbers differ within a group."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, list[InputError]] = {}

    def add(self, error: InputError) -> None:
        kind = _kind(error.what)
        self.counts[kind] += 1
        if self.counts[kind] <= EXAMPLES:
            self.first.setdefault(kind, []).append(error)

    def findings(self) -> list[Finding]:
        return [_rejected(self.first[kind], count) for kind, count in self.counts.most_common()]


def _rejected(errors: list[InputError], count: int) -> Finding:
    kind: dict[str, Any] = {lang: _kind(in_language(errors[0].said, lang)) for lang in LANGUAGES}
    what = phrase("rejected", kind=Phrase(["{ko}", "{en}"], kind))
    examples = [Phrase(["{where}: {what}"] * 2, {"where": e.where, "what": e.said}) for e in errors]
    return Finding("error", what, count, examples, errors[0].advice or phrase("rejected.fix"))


def losses(files: Iterable[Loaded]) -> list[Finding]:
    """What records lost of their rows, each kind with its keys or places."""
    found: dict[DataLoss, Counter[str]] = {}
    for file in files:
        for loss, counts in file.lost.items():
            for key, n in counts.items():
                place = f"{file.path}:{key.removeprefix('line ')}" if key.startswith("line ") else key
                found.setdefault(loss, Counter())[place] += n
    return [
        Finding(loss.level, loss.said, counts.total(), [f"{key} × {n}" for key, n in counts.most_common()], loss.advice)
        if loss in (UNREAD_ROW, UNREAD_TURN, SCORE)
        else Finding(loss.level, loss.said, counts.total(), list(counts)[:EXAMPLES], loss.advice)
        for loss, counts in found.items()
    ]


def _kind(reason: str) -> str:
    reason = re.sub(r"^(turn|메시지) \d+: | \([^()]*\)|: .*", "", reason)
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+(\.\d+)?", "…", reason)


def shorten(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
