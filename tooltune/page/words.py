"""Sentences in Korean and English, of which a page shows one."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup


def sentence(both: Sequence[str], values: Mapping[str, Any]) -> Markup:
    """A sentence in both languages; `values` are escaped, Markup among them is filled in as it is."""
    korean, english = both
    return in_both(Markup.escape(korean).format(**values), Markup.escape(english).format(**values))


def in_both(korean: str, english: str) -> Markup:
    """Two texts as two spans of which the page shows the one of its language; what is not Markup is escaped."""
    return Markup('<span class="ko" lang="ko">{}</span><span class="en" lang="en">{}</span>').format(korean, english)
