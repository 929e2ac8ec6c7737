"""xLAM: `query`, and `tools` and `answers` as JSON text; parameters are a flat map with Python-ish types."""

from collections.abc import Iterable
from typing import Any

from data.formats.companion_files import Beside
from data.formats.schema import tools_of
from data.formats.turns import calls_of
from tooltune.errors import InputError

NAME = "xLAM"


def matches(row: dict[str, Any]) -> bool:
    """Whether a row has a query and answers."""
    return "query" in row and "answers" in row


def read(row: dict[str, Any], beside: Beside) -> Iterable[dict[str, Any]]:
    """One record a row."""
    if not isinstance(row["query"], str) or not row["query"].strip():
        raise InputError("the query is not text")
    calls = calls_of(row["answers"] if row["answers"] is not None else [])
    if not calls:
        raise InputError(
            "the row has no call and no text answer, so there is nothing to learn from it",
            fix="give the text that is right here as a record or in the OpenAI form",
        )
    messages = [{"role": "user", "content": row["query"]}, {"role": "assistant", "tool_calls": calls}]
    return [{"messages": messages, "tools": tools_of(row.get("tools"))}]
