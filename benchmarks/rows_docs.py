"""docs/rows.md from the results of `benchmarks rows`: `python -m benchmarks rows --docs`.

A test holds the page to the results.
"""

from pathlib import Path
from typing import Any

from benchmarks.publish import read_results
from benchmarks.report.markdown import block, plain
from tooltune.blocks import ROOT, fill_blocks
from tooltune.embedded import embedded
from tooltune.files import atomic_write

PAGE = ROOT / "docs" / "rows.md"
NOTHING = "**Not measured yet.** `python -m benchmarks rows && python -m benchmarks rows --docs` fills this in."


def write_docs() -> Path:
    """Renew the page's part between its marks from every result of `benchmarks/results/`, the newest first."""
    text = filled(PAGE.read_text(encoding="utf-8"), read_results())
    with atomic_write(PAGE) as f:
        f.write(text)
    return PAGE


def filled(text: str, results: dict[str, dict[str, Any]]) -> str:
    """The page's text with the measured part renewed.

    Args:
        results: name → result, of any kind, in the order of their dates.
    """
    parts = [
        f"### {plain(_title(result['config']['model']['name']))}\n\n{_picture(name, result)}{block(result, 'en')}"
        for name, result in reversed(results.items())
        if result["kind"] == "rows"
    ]
    return fill_blocks(text, "rows", {"results": "\n\n".join(parts) or NOTHING})


def _title(model: str) -> str:
    known = embedded(model)
    return known.title if known else model


def _picture(name: str, result: dict[str, Any]) -> str:
    return f"![Accuracy by rows](../benchmarks/results/{name}.png)\n\n" if result["complete"] else ""
