"""What training and its pages of results say, in Korean and English."""

from pathlib import Path
from typing import Any

from tooltune.words import Phrase, read_words

WORDS = Path(__file__).with_name("words.yaml")


def phrase(key: str, **values: Any) -> Phrase:
    """A sentence of `words.yaml`."""
    return Phrase(read_words(WORDS)[key], values)
