"""`python -m benchmarks record`: the results of `benchmarks/results/` into docs/results.md and its Korean twin.

A block `<!-- bench: NAME -->` … `<!-- end -->` shows `benchmarks/results/NAME.json`: where it was measured, the table,
the verdict. A test compares the pages with the files.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.report import write_report
from benchmarks.report.markdown import block
from benchmarks.results import RESULTS
from tooltune.blocks import fill_blocks, renew_pages, shown_in_both
from tooltune.cli import DEBUG, Debug, errors_as_lines
from tooltune.console import say
from tooltune.errors import InputError
from tooltune.files import read_text
from tooltune.words import Language

KIND = "bench"


def record_command(
    pages: Annotated[bool, typer.Option("--pages", help="draw each result's page and picture beside it, too")] = False,
    debug: Debug = DEBUG,
) -> None:
    """Put the results of benchmarks/results/ between their marks in docs/results.md and docs/results.ko.md."""
    with errors_as_lines(debug):
        shown, unmarked = record()
        if pages:
            for name, result in read_results().items():
                write_report(result, RESULTS / f"{name}.json")
        say(f"Written: docs/results.md, docs/results.ko.md ({', '.join(shown) or 'no result has a mark'})")
        if unmarked:
            say(f"Without a mark `<!-- {KIND}: NAME -->`: {', '.join(unmarked)}")


def record() -> tuple[list[str], list[str]]:
    """Renew every block.

    Returns:
        The names of the results that are shown in both languages, and of those that are not.
    """
    results = read_results()
    renew_pages(lambda text, language: filled(text, language, results))
    shown = [name for name in results if shown_in_both(KIND, name)]
    return shown, [name for name in results if name not in shown]


def filled(text: str, language: Language, results: dict[str, dict[str, Any]]) -> str:
    """A page's text with the block of each result renewed.

    Args:
        results: name → result.
    """
    return fill_blocks(text, KIND, {name: block(result, language) for name, result in results.items()})


def read_results(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Every result of the folder by its file's name.

    Raises:
        InputError: a file is no JSON object.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            result = json.loads(read_text(path) or "{}")
            if not isinstance(result, dict):
                raise ValueError(f"it holds a {type(result).__name__}")
        except (OSError, ValueError, RecursionError) as e:
            raise InputError(f"no JSON object: {e}", where=str(path), fix="measure again, or delete it") from None
        if result:  # else nothing is measured yet
            found[path.stem] = result
    return found
