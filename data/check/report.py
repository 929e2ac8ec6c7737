"""What is wrong, or unwise, in files that somebody wants to train on: `check_files(paths) -> CheckReport`."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data.check.balance import lopsided, tally
from data.check.finding import Finding, Placed, losses, rejections
from data.check.labels import label_problems
from data.check.leaks import leaks
from data.check.lengths import Lengths, find_tokenizer, row_lengths, summarised
from data.check.prefix import Characters, Shared, shared_prefixes
from data.formats.reading import Loaded, read_file
from tooltune.embedded import EMBEDDED


@dataclass
class CheckReport:
    """The outcome of a check.

    Attributes:
        files: a file each: path, format, rows, records, rejected, and how many records have no call, one, or several.
        findings: errors first.
        tools: calls by tool.
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
        """The report as JSON."""
        return {
            "ok": not self.errors,
            "files": self.files,
            "findings": [asdict(finding) for finding in self.findings],
            "tools": dict(self.tools.most_common()),
            "buckets": {split: dict(counts) for split, counts in self.buckets.items()},
            "languages": dict(self.languages.most_common()),
            "tokens": asdict(self.tokens) if self.tokens else None,
            "shared": {split: asdict(found) | {"sentence": found.sentence()} for split, found in self.shared.items()},
        }


def check_files(
    paths: Sequence[Path], tokenizer: str | None = None, say: Callable[[str], None] = lambda _: None
) -> CheckReport:
    """Check files on their own and against each other; each file is a split, or a single file's `meta.split` is.

    Args:
        tokenizer: a model folder, "embedded" or a hub name; None: the embedded model's if it is there already.
            "none" leaves the lengths out, and shared prefixes are counted in characters.
        say: told what takes a while.

    Raises:
        InputError: a file cannot be read at all, or the tokenizer cannot.
    """
    given: dict[Path, list[Path]] = {}
    for path in paths:
        given.setdefault(path.resolve(), []).append(path)
    for first, *again in given.values():
        if again:
            say(f"{first} is given twice and checked once")
    loaded = [read_file(first) for first, *_ in given.values()]
    placed = [
        Placed(file.path, line, _split(file, record.meta, len(loaded)), record)
        for file in loaded
        for line, record in file.records
    ]
    report = CheckReport(files=[_file(file) for file in loaded])
    report.tools, report.buckets, report.languages = tally(placed)
    found = [*rejections(loaded), *losses(loaded), *leaks(placed), *label_problems(placed), *lopsided(placed)]
    report.findings = sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.level))
    if placed:
        measured = find_tokenizer(tokenizer, say)
        records = [row.record for row in placed]
        whole = row_lengths(records, measured or Characters(), "signature")
        if measured:
            counts = {"signature": whole, "json": row_lengths(records, measured, "json")}
            styles = {style: summarised(each) for style, each in counts.items()}
            report.tokens = Lengths(tokenizer or EMBEDDED, styles)
        for split in dict.fromkeys(row.split for row in placed):
            there = [i for i, row in enumerate(placed) if row.split == split]
            rows, lengths = [records[i] for i in there], [whole[i] for i in there]
            report.shared[split] = shared_prefixes(rows, lengths, measured)
    return report


def _split(file: Loaded, meta: dict[str, Any], files: int) -> str:
    return str(meta.get("split") or file.path.name) if files == 1 else str(file.path)


def _file(file: Loaded) -> dict[str, Any]:
    calls = Counter(min(len(record.gold), 2) for _, record in file.records)
    return {
        "path": str(file.path),
        "format": file.format,
        "rows": file.rows,
        "records": len(file.records),
        "rejected": len(file.rejected),
        "no_call": calls[0],
        "one_call": calls[1],
        "several_calls": calls[2],
    }
