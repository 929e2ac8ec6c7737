"""Sentences in Korean and English, of which a page shows one."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup


@cache
def read_words(path: Path) -> dict[str, list[str]]:
    """Key → [Korean, English], as a `words.yaml` has them."""
    read: dict[str, list[str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return read


def sentence(both: Sequence[str], values: Mapping[str, Any]) -> Markup:
    """A sentence in both languages; `values` are escaped, Markup among them is filled in as it is."""
    korean, english = both
    return in_both(Markup.escape(korean).format(**values), Markup.escape(english).format(**values))


def in_both(korean: str, english: str) -> Markup:
    """Two texts as two spans of which the page shows the one of its language; what is not Markup is escaped."""
    return Markup('<span class="ko" lang="ko">{}</span><span class="en" lang="en">{}</span>').format(korean, english)
