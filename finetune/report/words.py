"""The page's sentences in Korean and English."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from tooltune.page import read_words, sentence


def words() -> dict[str, list[str]]:
    """Key → [Korean, English], as `words.yaml` has them."""
    return read_words(Path(__file__).with_name("words.yaml"))


def say(key: str, **values: Any) -> Markup:
    """A sentence in both languages; `values` are escaped, Markup among them is filled in as it is."""
    return sentence(words()[key], values)
