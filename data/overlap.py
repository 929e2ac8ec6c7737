"""How alike two requests are, by their characters: what leak checks and the look-up baseline compare."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any


def user_text(messages: Iterable[dict[str, Any]]) -> str:
    return " / ".join(m["content"] for m in messages if m["role"] == "user")


def normalised(text: str) -> str:
    """A text without case, width or spaces."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text).lower())


def grams(text: str) -> frozenset[str]:
    return frozenset(text[i : i + 3] for i in range(len(text) - 2)) or frozenset((text,))


def shape(text: str) -> frozenset[str]:
    """The character 3-grams of a text without its numbers."""
    return grams(re.sub(r"\d+(?:\.\d+)?|\s", "", text.lower()))


def near(one: frozenset[str], other: frozenset[str], limit: float = 0.8) -> bool:
    """Whether the Jaccard index of two sets of 3-grams is above a limit."""
    small, large = sorted((len(one), len(other)))
    if small <= limit * large:  # too few to reach it
        return False
    both = len(one & other)
    return both > limit * (len(one) + len(other) - both)
