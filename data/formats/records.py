"""The project's own records: OpenAI messages and tools with arguments as objects (see `data.record`)."""

from collections.abc import Iterable
from typing import Any

from data.formats.beside import Beside
from data.formats.conversations import from_messages
from data.validate import ROLES

NAME = "records"


def matches(row: dict[str, Any]) -> bool:
    """Whether a row is meant as a record: it says so with `meta`, or nothing in it would have to be changed."""
    return "messages" in row and ("meta" in row or ("id" in row and _clean(row)))


def read(row: dict[str, Any], beside: Beside) -> Iterable[dict[str, Any]]:
    """Mend a record whose arguments are text, whose tools lack the wrapper, …"""
    return [from_messages(row)]


def _clean(row: dict[str, Any]) -> bool:
    tools, messages = row.get("tools") or [], row["messages"]
    if not isinstance(tools, list) or not isinstance(messages, list):
        return False
    turns = [m for m in messages if isinstance(m, dict)]
    calls = [c for m in turns if isinstance(m.get("tool_calls"), list) for c in m["tool_calls"] if isinstance(c, dict)]
    functions = [c["function"] for c in calls if isinstance(c.get("function"), dict)]
    return (
        all(isinstance(tool, dict) and "function" in tool for tool in tools)
        and len(functions) == len(calls)
        and not any(isinstance(function.get("arguments"), str) for function in functions)
        and not any("<tool_call>" in str(m.get("content")) for m in turns)
        and not any(m.keys() & {"function_call", "tool_call_id"} for m in turns)
        and all(m.get("role") in ROLES for m in turns)
        and "functions" not in row
    )
