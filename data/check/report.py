"""What is wrong, or unwise, in files that somebody wants to train on: `check_files(paths) -> CheckReport`."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from data.check.balance import tally
from data.check.finding import Finding, PlacedRows, Rejections, losses
from data.check.labels import label_problems
from data.check.leaks import leaks
from data.check.lengths import Lengths, find_tokenizer, json_lengths, row_lengths, summarised
from data.check.prefix import Characters, Shared, shared_prefixes
from data.check.words import phrase
from data.formats.reading import Loaded, read_file
from data.load import evenly_spaced
from data.record import Record
from data.stored import Chosen, RecordWriter, StoredRecords
from tooltune.console import Terminal, ticking, watched
from tooltune.embedded import EMBEDDED
from tooltune.files import disk_fault, line_count
from tooltune.words import Language, Say

T = TypeVar("T")

SEARCHED = 5_000
"""Rows of a split that are searched for what they begin with alike, evenly spread."""


@dataclass
class CheckReport:
    """The outcome of a check.

    Attributes:
        files: a file each: path, format, rows, records, rejected, and how many records have no call, one, or several.
        findings: errors first.
        buckets: records by bucket, for each split.
        languages: records by language (ko, mixed, en, other), as the record says or as its script shows.
        tokens: lengths in tokens by way of writing the tools; None where no tokenizer was there.
        shared: for each split, what its rows begin with alike; in characters where no tokenizer was there.
    """

    files: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    tools: Counter[str] = field(default_factory=Counter)
    buckets: dict[str, Counter[str]] = field(default_factory=dict)
    languages: Counter[str] = field(default_factory=Counter)
    tokens: Lengths | None = None
    shared: dict[str, Shared] = field(default_factory=dict)

    @property
    def errors(self) -> list[Finding]:
        """The findings that make a file unfit to train on."""
        return [finding for finding in self.findings if finding.level == "error"]

    def to_dict(self) -> dict[str, Any]:
        return {
            "ok": not self.errors,
            "files": self.files,
            "findings": [finding.to_dict() for finding in self.findings],
            "tools": dict(self.tools.most_common()),
            "buckets": {split: dict(counts) for split, counts in self.buckets.items()},
            "languages": dict(self.languages.most_common()),
            "tokens": asdict(self.tokens) if self.tokens else None,
            "shared": {split: found.to_dict() for split, found in self.shared.items()},
        }


def check_files(
    paths: Sequence[Path], tokenizer: str | None = None, say: Say = lambda _: None, lang: Language = "en"
) -> CheckReport:
    """Check files on their own and against each other; each file is a split, or a single file's `meta.split` is.

    Args:
        tokenizer: a model folder, "embedded" or a hub name; None: the embedded model's if it is there already.
            "none" leaves the lengths out, and shared prefixes are counted in characters.
        say: told what takes a while.
        lang: of the bars that show how far it is.

    Raises:
        InputError: a file cannot be read at all, or the tokenizer cannot.
    """
    given: dict[Path, list[Path]] = {}
    for path in paths:
        given.setdefault(path.resolve(), []).append(path)
    for first, *again in given.values():
        if again:
            say(phrase("given_twice", path=first))
    with TemporaryDirectory(prefix="tooltune-check-", ignore_cleanup_errors=True) as folder:
        return _check([first for first, *_ in given.values()], tokenizer, say, lang, Path(folder) / "records.jsonl")


def _check(paths: Sequence[Path], tokenizer: str | None, say: Say, lang: Language, spool: Path) -> CheckReport:
    """Check files.

    Args:
        spool: where their records are written.
    """
    report = CheckReport()
    loaded: list[Loaded] = []
    rejected = Rejections()
    places: list[tuple[Path, int, str]] = []
    try:
        with RecordWriter(spool) as writer:
            for path in paths:
                report.files.append(_read(path, len(paths), writer, places, loaded, rejected, lang))
    except OSError as e:
        raise disk_fault(e, spool.parent) or e from None
    records = StoredRecords(spool)
    placed = PlacedRows(records, places)

    def looking(rows: Sequence[T], key: str = "bar.looking") -> Iterator[T]:
        return watched(rows, phrase(key).text(lang))

    report.tools, report.buckets, report.languages, lopsided = tally(looking(placed))
    found = [*rejected.findings(), *losses(loaded), *leaks(placed, looking)]
    found += [*label_problems(looking(placed)), *lopsided]
    report.findings = sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.level))
    if placed:
        measured = find_tokenizer(tokenizer, say)
        whole = row_lengths(looking(records, "bar.counting"), measured or Characters())
        if measured:
            as_json = json_lengths(looking(records, "bar.counting"), whole, measured)
            counts = {"signature": whole, "json": as_json}
            styles = {style: summarised(each) for style, each in counts.items()}
            report.tokens = Lengths(tokenizer or EMBEDDED, styles)
        for split in dict.fromkeys(split for _, _, split in places):
            every = [i for i, (_, _, other) in enumerate(places) if other == split]
            there = evenly_spaced(every, SEARCHED)
            if len(there) < len(every):
                say(phrase("searched", split=split, rows=len(there), of=len(every)))
            some, lengths = Chosen(records, there), [whole[i] for i in there]
            report.shared[split] = shared_prefixes(some, lengths, measured, partial(looking, key="bar.sharing"))
    return report


def _read(
    path: Path,
    files: int,
    writer: RecordWriter,
    places: list[tuple[Path, int, str]],
    loaded: list[Loaded],
    rejected: Rejections,
    lang: Language,
) -> dict[str, Any]:
    """Read a file into the writer, its places, what was lost and what was rejected where they are gathered; returns
    its line of the report."""
    calls: Counter[int] = Counter()
    before = rejected.counts.total()

    def take(line: int, record: Record) -> None:
        writer.add(record)
        split = str(record.meta.get("split") or path.name) if files == 1 else str(path)
        places.append((path, line, sys.intern(split)))
        calls[min(len(record.gold), 2)] += 1
        tick(1)

    with ticking(Terminal(stderr=True), phrase("bar.reading").text(lang), line_count(path)) as tick:
        file = read_file(path, take=take, reject=lambda entry: rejected.add(entry.error))
    loaded.append(file)
    return {
        "path": str(path),
        "format": file.format,
        "rows": file.rows,
        "records": calls.total(),
        "rejected": rejected.counts.total() - before,
        "no_call": calls[0],
        "one_call": calls[1],
        "several_calls": calls[2],
    }
