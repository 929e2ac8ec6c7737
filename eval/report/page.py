"""The page itself: what its template, its script and its reader need."""

from pathlib import Path
from typing import Any

from data.record import Record
from eval.generate import Output
from eval.report import figures
from eval.report.samples import REASONS, sample_entries
from eval.report.words import name_of, say, words
from tooltune.files import atomic_write
from tooltune.metrics import BY_KIND, percent
from tooltune.page import render

HERE = Path(__file__).parent

SCRIPT_WORDS = (
    "samples.",
    "filter.",
    "sample.",
    "role.",
    "row.",
    "reason.",
    "bucket.",
    "lang.",
    "phenomenon.",
    "tool.",
)
"""Keys that the page's script needs."""


def write_report(
    path: Path,
    metrics: dict[str, Any],
    records: list[Record],
    outputs: dict[str, dict[str, Output]],
    *,
    lang: str = "ko",
) -> None:
    """Write the evaluation report: one HTML file that needs nothing beside it and no network (`tooltune.page`).

    Args:
        metrics: what a run's metrics.json holds: run, split, model, family, settings, seconds; `tuned`, `base` (may be
            null) as `score` returns them; `compare` (base against tuned) and `probe` or null.
        records: the rows of the split; those without a verdict are left out.
        outputs: "tuned" and "base" → id → what the model wrote.
        lang: the language that the page opens in, ko or en; the reader can switch.
    """
    data = {
        **sample_entries(records, metrics, outputs),
        "words": {key: both for key, both in words().items() if key.startswith(SCRIPT_WORDS)},
        "reasons": REASONS,
    }
    page = render(
        HERE,
        lang=lang,
        styles=("samples.css",),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        data=data,
        filters={"percent": percent, "p_text": figures.p_text, "facts": figures.facts},
        say=say,
        name_of=name_of,
        metrics=metrics,
        n=metrics["tuned"]["n"],
        rows=figures.metric_rows(metrics),
        probe=figures.probe_rate(metrics),
        compared=figures.compare_rows(metrics),
        slices=figures.slice_tables(metrics),
        by_kind=BY_KIND,
        confusion=figures.confusion(metrics),
        apart=figures.apart_rows(metrics),
        more=figures.more_rows(metrics),
    )
    with atomic_write(path) as f:
        f.write(page)
