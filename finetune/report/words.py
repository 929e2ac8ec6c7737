"""The page's sentences in Korean and English."""

from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tooltune.metrics import column_names, names
from tooltune.page import sentence
from tooltune.words import read_words


@cache
def words() -> dict[str, list[str]]:
    """Key → [Korean, English], as `words.yaml` has them, and the names of metrics: short, and whole for figures and
    lines."""
    return column_names() | names("figure.") | names("line.") | read_words(Path(__file__).with_name("words.yaml"))


def say(key: str, **values: Any) -> Markup:
    """A sentence in both languages; `values` are escaped, Markup among them is filled in as it is."""
    return sentence(words()[key], values)
