"""The report of a benchmark: Markdown, a picture and a page beside its JSON, and a table for the terminal."""

from pathlib import Path
from typing import Any

from benchmarks.report.terminal import table

__all__ = ["table", "write_report"]


def write_report(result: dict[str, Any], json_path: Path, *, lang: str = "ko") -> list[Path]:
    """Write the result's Markdown, picture and page beside its JSON.

    Args:
        result: as the file holds it; of any kind.
        json_path: where the JSON is or will be; only the endings differ.
        lang: the language that the page opens in, ko or en. Markdown and picture are in English.

    Returns:
        The files written: .md, .png, .html.
    """
    from benchmarks.report.markdown import markdown
    from benchmarks.report.page import write_page
    from benchmarks.report.picture import write_picture
    from benchmarks.report.tables import whole
    from tooltune.files import atomic_write

    result = whole(result)
    paths = [json_path.with_suffix(end) for end in (".md", ".png", ".html")]
    with atomic_write(paths[0]) as f:
        f.write(markdown(result, "en"))
    write_picture(paths[1], result)
    write_page(paths[2], result, lang=lang)
    return paths
