"""OpenAI chat rows: `{"messages": [...], "tools": [...]}`, arguments as an object or as text.

A text `system` beside the messages is the system turn. LLaMA-Factory's content parts ({"type": "tool_call", "value"})
are read. The older spelling (`functions`, `function_call`, role "function") and Hermes marks in the text are read too.
"""

from collections.abc import Iterable
from typing import Any

from data.formats import records
from data.formats.companion_files import Beside
from data.formats.conversations import from_messages

NAME = "OpenAI messages"


def matches(row: dict[str, Any]) -> bool:
    """Whether a row has messages and is not a record already."""
    return "messages" in row and not records.matches(row)


def read(row: dict[str, Any], beside: Beside) -> Iterable[dict[str, Any]]:
    return [from_messages(row)]
