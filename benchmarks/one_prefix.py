"""Rows of a program with 30 tools: requests of the bundled dataset behind one system turn and one list of tools."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import data.structural
from data.record import Record
from data.structural.requests.toolsets import CORE, offer
from tooltune.errors import InputError

SOURCE = Path(data.structural.__file__).parent / "train.jsonl"
ROWS = 500
LONGEST = 4096
"""Tokens that a row may have, and 16 of them behind their prefix."""


def one_prefix(records: Sequence[Record], count: int = ROWS) -> list[Record]:
    """The first `count` rows that can stand there, with the first one's system turn and all 30 tools in Korean.

    Left out: conversations; rows whose tools were renamed; rows without a call, since with every tool at hand some of
    them have a right call after all. The others keep request and calls, which are checked against the schemas anew.

    Raises:
        InputError: there are not so many.
    """
    tools = offer(list(CORE), "ko")
    single = [row for row in records if [turn["role"] for turn in row.messages] == ["system", "user", "assistant"]]
    plain = [row for row in single if "renamed" not in row.meta and row.gold][:count]
    if len(plain) < count:
        raise InputError(f"only {len(plain)} of {len(records)} rows can share one prefix, not {count}")
    system = plain[0].messages[0]
    rows = [replace(row, messages=[system, *row.messages[1:]], tools=tools) for row in plain]
    return [Record.from_dict(row.to_dict(), where=row.id) for row in rows]
