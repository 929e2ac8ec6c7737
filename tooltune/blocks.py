"""The parts of the pages that are made from measured files: what stands between two marks is replaced.

A block begins with `<!-- KIND: NAME -->` and ends with the next `<!-- end -->`.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tooltune.files import atomic_write
from tooltune.words import Language

ROOT = Path(__file__).resolve().parent.parent
PAGES: dict[Language, tuple[Path, ...]] = {
    "en": (ROOT / "README.md", ROOT / "docs" / "results.md"),
    "ko": (ROOT / "README.ko.md", ROOT / "docs" / "results.ko.md"),
}
"""The pages that show measured figures, in each language."""
END = "<!-- end -->"


def renew_pages(filled: Callable[[str, Language], str]) -> list[Path]:
    """Rewrite every page as `filled(text, language)`; returns those that changed."""
    changed = []
    for language, pages in PAGES.items():
        for page in pages:
            before = page.read_text(encoding="utf-8")
            if (text := filled(before, language)) != before:
                with atomic_write(page) as f:
                    f.write(text)
                changed.append(page)
    return changed


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


def shown_in_both(kind: str, name: str) -> bool:
    """Whether a page of each language has a mark for this block."""
    mark = _begin(kind, name)
    return all(any(mark in page.read_text(encoding="utf-8") for page in pages) for pages in PAGES.values())


def _begin(kind: str, name: str) -> str:
    return f"<!-- {kind}: {name} -->"
