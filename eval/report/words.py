"""The page's sentences in Korean and English."""

from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tooltune.metrics import names
from tooltune.page import sentence
from tooltune.words import read_words


@cache
def words() -> dict[str, list[str]]:
    """Key → [Korean, English], as `words.yaml` has them, and the names of metrics."""
    return names() | read_words(Path(__file__).with_name("words.yaml"))


def say(key: str, **values: Any) -> Markup:
    """A sentence in both languages, as two spans of which the page shows one; `values` are escaped.

    A value that is itself Markup from `say` may be filled in: each language shows its own span of it.
    """
    return sentence(words()[key], values)


def name_of(kind: str, name: str) -> Markup:
    """What a slice's name means ("T2" → unseen phrasing), or nothing where the page knows no words for it."""
    key = f"{kind}.{name}"
    return say(key) if key in words() else Markup("")
