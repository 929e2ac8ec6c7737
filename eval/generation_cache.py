"""Answers kept line by line, so that an evaluation that was killed goes on: JSON Lines under a line of settings.

Each answer carries a digest of its question: a row whose request or tools were changed since is asked again.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tooltune.errors import InputError
from tooltune.files import dump_json, read_text, write_jsonl


@dataclass(frozen=True)
class Kept:
    """What an earlier evaluation left.

    Attributes:
        rows: id → row, with its `id` and `question`; empty where the settings differ.
        changed: the names of the settings that differ from those asked for now.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)


def question_digest(question: Any) -> str:
    """Sixteen hexadecimal digits that stand for what was asked (anything that JSON can write)."""
    return hashlib.sha256(dump_json(question).encode()).hexdigest()[:16]


def read_kept(path: Path, settings: dict[str, Any]) -> Kept:
    """The answers in a file; a last line that was cut in the middle is passed over.

    Raises:
        InputError: the file holds something else.
    """
    try:
        whole = read_text(path).split("\n")[:-1] if path.exists() else []
        if not whole:
            return Kept()
        head, *rows = [json.loads(line) for line in whole]
        before = dict(head["settings"])
        kept = {row["id"]: dict(row) for row in rows}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        raise InputError("these are not the answers of an evaluation", where=str(path), fix="remove the file") from None
    changed = sorted(key for key in before.keys() | settings.keys() if before.get(key) != settings.get(key))
    return Kept({}, changed) if changed else Kept(kept)


def still_valid(kept: Kept, questions: dict[str, str]) -> tuple[dict[str, dict[str, Any]], int]:
    """The rows that answer `questions` (id → digest) as they are now, other ids' rows among them; how many do not."""
    rows = {i: row for i, row in kept.rows.items() if i not in questions or row.get("question") == questions[i]}
    return rows, len(kept.rows) - len(rows)


def rewrite_kept(path: Path, settings: dict[str, Any], rows: Iterable[dict[str, Any]]) -> None:
    """Write the settings and the answers that stay; further ones can then be appended."""
    write_jsonl(path, [{"settings": settings}, *rows])
