"""TRL prompt/completion: both as turns, or as text; `tools` beside them.

A prompt that is text is the user's request, a completion that is text the assistant's answer (Hermes marks are read).
"""

from collections.abc import Iterable
from typing import Any

from data.formats.companion_files import Beside
from data.formats.conversations import record_of, with_system
from data.formats.turns import read_turns

NAME = "TRL prompt/completion"


def matches(row: dict[str, Any]) -> bool:
    return "prompt" in row and "completion" in row


def read(row: dict[str, Any], beside: Beside) -> Iterable[dict[str, Any]]:
    turns = [*_turns(row["prompt"], "user"), *_turns(row["completion"], "assistant")]
    return [record_of(with_system(read_turns(turns), row.get("system")), row.get("tools"))]


def _turns(value: Any, role: str) -> list[Any]:
    if isinstance(value, str):
        return [{"role": role, "content": value.strip()}]
    return value if isinstance(value, list) else [value]
