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
    """A sentence in both languages; `values` are escaped, Markup among them is filled in as it is."""
    korean, english = words()[key]
    return in_both(Markup.escape(korean).format(**values), Markup.escape(english).format(**values))


def in_both(korean: str, english: str) -> Markup:
    """Two texts as two spans of which the page shows the one of its language; what is not Markup is escaped."""
    return Markup('<span class="ko" lang="ko">{}</span><span class="en" lang="en">{}</span>').format(korean, english)
