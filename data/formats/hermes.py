"""Hermes function calling: ShareGPT turns with `<tool_call>` blocks in the text and the tools between `<tools>` marks.

A block holds JSON or a Python dict. A text around the blocks stays as the turn's content.
"""

from collections.abc import Iterable
from typing import Any

from data.formats.companion_files import Beside
from data.formats.conversations import from_conversations, said_by

NAME = "Hermes"


def matches(row: dict[str, Any]) -> bool:
    """Whether a row's turns carry Hermes marks."""
    return any("<tool_call>" in said or (who == "system" and "<tools>" in said) for who, said in said_by(row))


def read(row: dict[str, Any], beside: Beside) -> Iterable[dict[str, Any]]:
    return [from_conversations(row)]
