"""What the token views say, in Korean and English."""

from pathlib import Path
from typing import Any

from tooltune.words import Phrase, read_words


def words() -> dict[str, list[str]]:
    """Key → [Korean, English], as `words.yaml` has them."""
    return read_words(Path(__file__).with_name("words.yaml"))


def say(key: str, **values: Any) -> Phrase:
    """A sentence of `words.yaml`."""
    return Phrase(words()[key], values)
