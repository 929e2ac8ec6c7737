"""The project's own records: OpenAI messages and tools with arguments as objects (see `data.record`)."""

from collections.abc import Iterable
from typing import Any

from data.formats.companion_files import Beside
from data.formats.conversations import from_messages
from data.validate import check_row
from tooltune.errors import InputError

NAME = "records"


def matches(row: dict[str, Any]) -> bool:
    """Whether a row is meant as a record: it says so with `meta`, or nothing in it would have to be changed."""
    return "messages" in row and ("meta" in row or _clean(row))


def read(row: dict[str, Any], beside: Beside) -> Iterable[dict[str, Any]]:
    """Mend a record whose arguments are text, whose tools lack the wrapper, …"""
    return [from_messages(row)]


def _clean(row: dict[str, Any]) -> bool:
    try:
        check_row(row, "")
    except InputError:
        return False
    return not any("tool_call_id" in m or "<tool_call>" in (m.get("content") or "") for m in row["messages"])
