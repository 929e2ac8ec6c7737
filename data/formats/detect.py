"""Which format a file has: the one that most of its first rows match."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

from data.formats import formats
from data.formats.marks import is_preference
from tooltune.errors import InputError

SAMPLE = 200
"""Rows that are looked at."""


def detect(rows: Iterable[Any], path: Path) -> ModuleType:
    """The format's module; records first where two formats match equally many rows.

    Raises:
        InputError: no row has a known form; names the first row's keys and the formats.
    """
    sample = list(islice(rows, SAMPLE))
    objects = [row for row in sample if isinstance(row, dict)]
    hits = Counter({name: sum(module.matches(row) for row in objects) for name, module in formats().items()})
    best = max(formats(), key=lambda name: (hits[name], name == "records"))
    if hits[best]:
        return formats()[best]
    if not sample:
        raise InputError("the file has no rows", where=str(path))
    if any(map(is_preference, objects)):
        raise InputError(
            "preference rows (chosen/rejected) without the turns before the answers; they compare two answers",
            where=str(path),
            fix="write the chosen answer as the last turn of `messages`",
        )
    keys = ", ".join(map(repr, list(objects[0])[:12])) if objects else ""
    seen = f"the first row's keys are {keys}" if keys else "no row is an object with keys"
    others = ", ".join(sorted(formats().keys() - {"records"}))
    raise InputError(
        f"not a known format; {seen}",
        where=str(path),
        fix=f"a record is {{id, messages, tools, meta}}; read as well: {others}",
    )
