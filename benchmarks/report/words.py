"""What the reports say, in Korean and English."""

from functools import cache
from pathlib import Path
from typing import Any

from tooltune.metrics import BY_KIND, names
from tooltune.words import Phrase, read_words


@cache
def words() -> dict[str, list[str]]:
    """Key → [Korean, English], as `words.yaml` has them, and the names of metrics."""
    rates = names("rate.", ("tool_name_accuracy", *BY_KIND, "json_validity"))
    return rates | read_words(Path(__file__).with_name("words.yaml"))


def say(key: str, **values: Any) -> Phrase:
    """The phrase of a key.

    Raises:
        KeyError: `words.yaml` has no such key.
    """
    return Phrase(words()[key], values)
