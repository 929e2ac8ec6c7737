"""The parts of the READMEs that are made from measured files: what stands between two marks is replaced.

A block begins with `<!-- KIND: NAME -->` and ends with the next `<!-- end -->`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
READMES: dict[Literal["en", "ko"], Path] = {"en": ROOT / "README.md", "ko": ROOT / "README.ko.md"}
END = "<!-- end -->"


def fill_blocks(text: str, kind: str, blocks: Mapping[str, str]) -> str:
    """The text with each named block of this kind renewed; a name without a mark in the text changes nothing.

    Args:
        blocks: name → Markdown.
    """
    for name, block in blocks.items():
        begin = _begin(kind, name)
        whole = f"{begin}\n{block}\n{END}"
        text = re.sub(re.escape(begin) + r".*?" + re.escape(END), lambda _, whole=whole: whole, text, flags=re.DOTALL)  # type: ignore[misc]
    return text


def has_block(text: str, kind: str, name: str) -> bool:
    """Whether the text has a mark for this block."""
    return _begin(kind, name) in text


def _begin(kind: str, name: str) -> str:
    return f"<!-- {kind}: {name} -->"
