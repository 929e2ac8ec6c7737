"""A result's first table for the terminal."""

from typing import Any

from rich import table as rich_table
from rich.cells import cell_len
from rich.text import Text

from benchmarks.report.tables import tables, whole
from tooltune.page.text import short
from tooltune.words import Language, in_language


def table(result: dict[str, Any], lang: Language = "en") -> rich_table.Table:
    """The figures that answer the question; red where the run is invalid."""
    result = whole(result)
    first = tables(result)[0]
    shown = rich_table.Table(title=first.title.text(lang, short), title_justify="left")
    # Text, so that no bracket of an arm's name is read as markup.
    rows = [[Text(in_language(cell, lang, short)) for cell in row] for row in first.rows]
    for place, (name, figures) in enumerate(first.columns):
        words = [*name.text(lang).split(), *(row[place].plain for row in rows if figures)]
        narrow = max(map(cell_len, words)) if figures else None  # the heading is what wraps, not an arm's name
        shown.add_column(name.text(lang), justify="right" if figures else "left", max_width=narrow, overflow="fold")
    for row in rows:
        shown.add_row(*row, style=None if result["valid"] else "red")
    return shown
