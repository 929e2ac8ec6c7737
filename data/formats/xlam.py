"""xLAM: `query`, and `tools` and `answers` as JSON text; parameters are a flat map with Python-ish types."""

from collections.abc import Iterable
from typing import Any

from data.formats.companion_files import Beside
from data.formats.schema import tools_of
from data.formats.turns import calls_of
from data.words import fault

NAME = "xLAM"


def matches(row: dict[str, Any]) -> bool:
    return "query" in row and "answers" in row


def read(row: dict[str, Any], beside: Beside) -> Iterable[dict[str, Any]]:
    if not isinstance(row["query"], str) or not row["query"].strip():
        raise fault("query.text")
    calls = calls_of(row["answers"] if row["answers"] is not None else [])
    if not calls:
        raise fault("row.no_answer")
    messages = [{"role": "user", "content": row["query"]}, {"role": "assistant", "tool_calls": calls}]
    return [{"messages": messages, "tools": tools_of(row.get("tools"))}]
