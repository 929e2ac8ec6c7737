"""The page's sentences in Korean and English."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup


@cache
def words() -> dict[str, list[str]]:
    """Key → [Korean, English], as `words.yaml` has them."""
    read: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))
    return read


def say(key: str, **values: Any) -> Markup:
    """A sentence in both languages, as two spans of which the page shows one; `values` are escaped.

    A value that is itself Markup from `say` may be filled in: each language shows its own span of it.
    """
    korean, english = words()[key]
    return Markup('<span class="ko" lang="ko">{}</span><span class="en" lang="en">{}</span>').format(
        Markup.escape(korean).format(**values), Markup.escape(english).format(**values)
    )


def name_of(kind: str, name: str) -> Markup:
    """What a slice's name means ("T2" → unseen phrasing), or nothing where the page knows no words for it."""
    key = f"{kind}.{name}"
    return say(key) if key in words() else Markup("")
