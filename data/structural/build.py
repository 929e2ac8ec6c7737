"""Build the dataset: train, validation and test rows of structural requests, the same bytes on every machine.

Validation and test stand as they were first built, so that scores of models trained on later training rows compare.
Another seed builds all three from nothing. `python -m data build` writes the files beside this one.
"""

import hashlib
import json
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any

from data.structural.make_row import make_row
from data.structural.proof import split_leaks as checks
from data.structural.requests import sessions
from data.structural.requests.splits import SPLITS, Bucket, quota
from tooltune.files import atomic_write, read_jsonl, write_json

SEED = 20261
HERE = Path(__file__).parent
Rows = dict[str, list[dict[str, Any]]]


def frozen() -> Rows:
    """The committed rows of validation and test."""
    return {s: [row for _, row in read_jsonl(HERE / f"{s}.jsonl")] for s in ("validation", "test")}


def build_split(
    split: str, seed: int, seen: "checks.Seen", limit: int = 0, *, own_lists: bool = False
) -> Iterator[dict[str, Any]]:
    """The rows of one split in order.

    Args:
        seen: what other splits said.
        limit: cuts each bucket for a sample.
        own_lists: each training row gets a list of tools of its own, where a session's rows have one in common.
    """
    number = 0
    for bucket in SPLITS[split]:
        kinds = quota(bucket)
        kinds = kinds[:limit] if limit else kinds
        if split == "train":
            yield from _in_sessions(bucket, kinds, seed, seen, own_lists)
            continue
        for kind in kinds:
            row = make_row(split, bucket, kind, number, seed, seen)
            assert row
            yield row
            number += 1


def _in_sessions(
    bucket: Bucket, kinds: list[str], seed: int, seen: "checks.Seen", own_lists: bool
) -> Iterator[dict[str, Any]]:
    """Training rows, session by session; their kinds come in the order of the quota, so each session has a mix."""
    drawn, done = sessions.Drawn(), 0
    for session_number in count():
        session = sessions.start(session_number, seed, drawn)
        for number, kind in list(enumerate(kinds))[done : done + session.size]:
            if make_row("train", bucket, kind, number, seed, seen, session) is None:
                break
        for rows in [[row] for row in session.rows] if own_lists else [session.rows]:
            seen.toolsets.add(tuple(sorted(session.offer(rows, seen.toolsets))))
        yield from session.rows
        done += len(session.rows)
        if done == len(kinds):
            return


def build(out_dir: str | Path, seed: int = SEED, limit: int = 0, *, own_lists: bool = False) -> tuple[Rows, list[str]]:
    """Write train.jsonl, validation.jsonl, test.jsonl and digests.json to a folder.

    With the dataset's own seed training rows alone are drawn, away from those of validation and test, which stay
    whole, whatever the limit. `own_lists`: see `build_split`; everything but the lists is as without.

    Returns:
        The rows by split, and one line for each draft that the engine or the second reader refused.
    """
    out, fixed = Path(out_dir), frozen() if seed == SEED else {}
    seen = checks.Seen.of(chain.from_iterable(fixed.values()))
    rows: Rows = {}
    for split in ("train", "test", "validation"):
        rows[split] = fixed.get(split) or list(build_split(split, seed, seen, limit, own_lists=own_lists))
        with atomic_write(out / f"{split}.jsonl") as file:
            file.writelines(line(row) for row in rows[split])
    write_json(out / "digests.json", {s: digest(rows[s]) for s in ("train", "validation", "test")})
    return rows, seen.failed


def digest(rows: list[dict[str, Any]]) -> str:
    """SHA-256 of a split's rows as they stand in its file."""
    return hashlib.sha256("".join(map(line, rows)).encode("utf-8")).hexdigest()


def line(row: dict[str, Any]) -> str:
    """A row as its file has it: compact JSON, literal Hangul."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
