"""docs/rows.md and its pictures from the results of `benchmarks rows`: `python -m benchmarks rows --docs`.

A test holds the page to the results.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.publish import read_results
from benchmarks.report.markdown import block, plain
from tooltune.blocks import ROOT, fill_blocks
from tooltune.embedded import embedded
from tooltune.files import atomic_write

PAGE = ROOT / "docs" / "rows.md"
IMAGES = PAGE.parent / "images"
NOTHING = "**Not measured yet.** `python -m benchmarks rows && python -m benchmarks rows --docs` fills this in."


def write_docs() -> Path:
    """Renew the page's part between its marks, and its pictures, from every result of `benchmarks/results/`, the newest
    first."""
    results = read_results()
    text = filled(PAGE.read_text(encoding="utf-8"), results)
    for name, result in results.items():
        if result["kind"] == "rows" and result["complete"]:
            _draw(IMAGES / f"{name}.webp", result)
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


def _draw(path: Path, result: dict[str, Any]) -> None:
    """The result's picture in 24 colours: a tenth of its PNG."""
    from PIL import Image

    from benchmarks.report.picture import write_picture
    from benchmarks.report.tables import whole

    with TemporaryDirectory() as folder:
        png = Path(folder) / "rows.png"
        write_picture(png, whole(result), dpi=80)
        with Image.open(png) as picture, atomic_write(path, "wb") as f:
            picture.quantize(24).convert("RGB").save(f, "WEBP", lossless=True, method=6)


def _title(model: str) -> str:
    known = embedded(model)
    return known.title if known else model


def _picture(name: str, result: dict[str, Any]) -> str:
    return f"![Accuracy by rows](images/{name}.webp)\n\n" if result["complete"] else ""
