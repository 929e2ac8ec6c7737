"""The end of every benchmark command: the report beside the result's file, and what the terminal says of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report.terminal import table
from benchmarks.report.verdict import told
from benchmarks.report.words import say
from tooltune.cli import print_json

if TYPE_CHECKING:
    from tooltune.console import Terminal


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


def finish(result: dict[str, Any], path: Path, console: "Terminal", *, as_json: bool, more: Sequence[str] = ()) -> None:
    """Write the report, and print the result: as JSON, or as its table, the verdict and where the files are.

    Args:
        path: of the result's file.
        more: lines that follow the verdict.
    """
    written = write_report(result, path)
    if as_json:
        print_json(result)
    else:
        console.print(table(result, console.lang))
        console.print(told(result, console.lang), markup=False, soft_wrap=True)
        for line in more:
            console.print(line, markup=False, style="dim")
        console.print(say("told.files", path=path, report=written[-1]), markup=False, soft_wrap=True)
