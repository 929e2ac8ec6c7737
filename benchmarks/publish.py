"""`python -m benchmarks record`: the results of `benchmarks/results/` into the READMEs.

A block `<!-- bench: NAME -->` … `<!-- end -->` shows `benchmarks/results/NAME.json`: where it was measured, the table,
the verdict. A test holds the READMEs to the files.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.report import write_report
from benchmarks.report.markdown import block
from benchmarks.results import RESULTS
from tooltune.blocks import READMES, fill_blocks, has_block
from tooltune.cli import DEBUG, Debug, errors_as_lines
from tooltune.errors import InputError
from tooltune.files import atomic_write

KIND = "bench"


def record_command(
    pages: Annotated[bool, typer.Option("--pages", help="draw each result's page and picture beside it, too")] = False,
    debug: Debug = DEBUG,
) -> None:
    """Put the results of benchmarks/results/ between their marks in both READMEs."""
    with errors_as_lines(debug):
        shown, unmarked = record()
        if pages:
            for name, result in read_results().items():
                write_report(result, RESULTS / f"{name}.json")
        typer.echo(f"Written: README.md, README.ko.md ({', '.join(shown) or 'no result has a mark'})")
        if unmarked:
            typer.echo(f"Without a mark `<!-- {KIND}: NAME -->`: {', '.join(unmarked)}")


def record() -> tuple[list[str], list[str]]:
    """Renew every block.

    Returns:
        The names of the results that both READMEs show, and of those that one or both do not.
    """
    results = read_results()
    texts = {language: readme.read_text(encoding="utf-8") for language, readme in READMES.items()}
    for language, readme in READMES.items():
        with atomic_write(readme) as f:
            f.write(filled(texts[language], language, results))
    shown = [name for name in results if all(has_block(text, KIND, name) for text in texts.values())]
    return shown, [name for name in results if name not in shown]


def filled(text: str, language: str, results: dict[str, dict[str, Any]]) -> str:
    """A README's text with the block of each result renewed.

    Args:
        language: ko or en.
        results: name → result.
    """
    return fill_blocks(text, KIND, {name: block(result, language) for name, result in results.items()})


def read_results(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Every result of the folder by its file's name.

    Raises:
        InputError: a file is not JSON.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as e:
            raise InputError(f"not JSON: {e}", where=str(path), fix="measure again, or delete it") from None
    return found
