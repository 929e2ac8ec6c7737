"""The page itself: template, style, script and data in one file."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from data.files import atomic_write
from data.record import Record
from eval.generate import Output
from eval.report import figures
from eval.report.samples import REASONS, sample_entries
from eval.report.text import script_json, visible
from eval.report.words import name_of, say, words

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
    """Write the evaluation report: one HTML file that needs nothing beside it and no network.

    The page carries its own style and script, allowed by their hashes and nothing else, so that no text of a model or
    a dataset can ever run in it.

    Args:
        path: the file to write.
        metrics: what a run's metrics.json holds: run, split, model, family, settings, seconds; `tuned`, `base` (may be
            null) as `score` returns them; `compare` (base against tuned) and `probe` or null.
        records: the rows of the split; those without a verdict are left out.
        outputs: "tuned" and "base" → id → what the model wrote.
        lang: the language that the page opens in, ko or en; the reader can switch.
    """
    script, style = _asset("page.js"), _asset("page.css") + _asset("samples.css")
    data = {
        **sample_entries(records, metrics, outputs),
        "words": {key: both for key, both in words().items() if key.startswith(SCRIPT_WORDS)},
        "reasons": REASONS,
    }
    page = (
        _environment()
        .get_template("page.html")
        .render(
            lang=lang,
            policy="; ".join(
                [
                    "default-src 'none'",
                    f"script-src '{_hash(script)}'",
                    f"style-src '{_hash(style)}'",
                    "img-src data:",
                    "base-uri 'none'",
                    "form-action 'none'",
                ]
            ),
            script=Markup(script),
            style=Markup(style),
            data=Markup(script_json(data)),
            metrics=metrics,
            n=metrics["tuned"]["n"],
            rows=figures.metric_rows(metrics),
            probe=figures.probe_rate(metrics),
            compared=figures.compare_rows(metrics),
            slices=figures.slice_tables(metrics),
            confusion=figures.confusion(metrics),
            apart=figures.apart_rows(metrics),
            more=figures.more_rows(metrics),
        )
    )
    with atomic_write(path) as f:
        f.write(page)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": figures.percent,
        "p_text": figures.p_text,
        "facts": figures.facts,
        "visible": lambda text: visible(str(text)),
    }
    environment.globals |= {"say": say, "name_of": name_of}
    return environment


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The text's digest as a Content-Security-Policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
