"""ShareGPT rows: `conversations` of {from, value}; calls are turns "function_call", results "observation".

The tools are a column `tools` (text or list), the system text a column `system` or the first turn.
"""

from collections.abc import Iterable
from typing import Any

from data.formats import hermes, toolace
from data.formats.companion_files import Beside
from data.formats.conversations import from_conversations

NAME = "ShareGPT"


def matches(row: dict[str, Any]) -> bool:
    """Whether a row has conversations, without the marks of Hermes or ToolACE."""
    return "conversations" in row and not hermes.matches(row) and not toolace.matches(row)


def read(row: dict[str, Any], beside: Beside) -> Iterable[dict[str, Any]]:
    return [from_conversations(row)]
