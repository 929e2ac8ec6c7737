"""From a finished run to a file in `docs/measured/`, and from there into docs/results.md and the README's short table.

`python -m finetune record RUN` does both. A test compares the pages with the files.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eval.compare_runs import read_metrics
from eval.words import bucket_name
from finetune.diagnose import verdict_word, verdicts
from finetune.history import read_history
from finetune.report.trained import trained
from finetune.words import phrase
from tooltune.blocks import ROOT, fill_blocks, renew_pages
from tooltune.errors import InputError
from tooltune.files import quoted, write_measured
from tooltune.metrics import BY_KIND, METRICS, Metric, rate_text, whole_percent
from tooltune.words import Language, Phrase

MEASURED = ROOT / "docs" / "measured"
HEADLINE = (*BY_KIND, "tool_name_accuracy", "json_validity", "execution_accuracy")
"""What the README shows of a run; docs/results.md shows all."""
EPOCH_RATES = ("tool_name_accuracy", "json_validity", "parameter_accuracy", *BY_KIND, "hallucination_rate")
"""Columns of the table of epochs, those that were measured."""


def record(run: Path) -> list[Path]:
    """Write `docs/measured/<preset>.json` from a finished run and its evaluation, if any, and renew the pages.

    Returns:
        The files that changed: a page without a block of this name, say, is not among them.

    Raises:
        InputError: the run is not finished.
    """
    history = read_history(run)
    end, manifest = history.end, history.manifest
    if end is None or "best" not in manifest:
        raise InputError(
            "the run is not finished", where=str(run), fix=f"python -m finetune train --resume {quoted(run)}"
        )
    took = trained(history)
    whole = took if took and not took.parts else None
    measured = {
        "preset": _preset(run),
        "config": history.config.portable() | {"name": None},
        "device": manifest["device"],
        "packages": manifest["packages"],
        "git_commit": manifest["git_commit"],
        "rows": manifest["rows"],
        "steps": end["global_step"],
        "train_runtime": whole.seconds if whole else None,
        "train_samples_per_second": whole.samples_per_second if whole else None,
        "parts": {"step_seconds": round(took.seconds, 1), "samples_per_second": took.samples_per_second}
        if took and took.parts
        else None,  # of a resumed run the trainer's clock knows the last part only
        "peak_memory": manifest["peak_memory"],
        "epochs": history.epochs,
        "evaluation": _evaluation(run),
    }
    path = MEASURED / f"{_preset(run)}.json"
    before = path.read_bytes() if path.is_file() else None
    write_measured(path, measured)
    return [*([] if path.read_bytes() == before else [path]), *renew_pages(filled)]


def _preset(run: Path) -> str:
    run = run.resolve()  # `latest` is a link
    return run.name.rsplit("-", 2)[0] if re.search(r"-\d{8}-\d{6}$", run.name) else run.name


def _evaluation(run: Path) -> dict[str, Any] | None:
    """What the pages show of the test split's evaluation; None where there is none."""
    path = run / "eval" / "test" / "metrics.json"
    if not path.is_file():
        return None
    scores = read_metrics(path)
    models = [name for name in ("base", "tuned") if scores[name]]
    headline = {name: dict(scores[name]["headline"]) for name in models}
    if scores["execution"]:
        for name in models:
            headline[name]["execution_accuracy"] = scores["execution"][name]["strict"]
    return {
        "n": scores["tuned"]["n"],
        "seconds": scores["seconds"],
        "headline": headline,
        "no_attempt": {name: scores[name]["apart"]["no_attempt"] for name in models},
        "buckets": scores["tuned"]["slices"]["bucket"],
        "probe": scores["probe"],
    }


def filled(text: str, language: Language) -> str:
    """A page's text with the blocks of each `docs/measured/*.json` renewed: `measured`, all tables, and `headline`."""
    found = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(MEASURED.glob("*.json"))}
    short = {name: headline(m["evaluation"], language) for name, m in found.items() if m["evaluation"]}
    text = fill_blocks(text, "headline", short)
    return fill_blocks(text, "measured", {name: tables(m, language) for name, m in found.items()})


def headline(evaluation: dict[str, Any], language: Language) -> str:
    """Markdown: the figures of the README's short table, base beside tuned."""
    return "\n".join([_said("head", language), *_metric_lines(evaluation, language, HEADLINE)])


def tables(measured: dict[str, Any], language: Language) -> str:
    """Markdown: one line on the run, base beside tuned and the test's buckets where it was evaluated, the epochs."""
    memory = measured["peak_memory"]
    line = phrase(
        "measured.line",
        device=measured["device"]["name"],
        rows=measured["rows"]["train"],
        steps=measured["steps"],
        time=_time(measured),
        memory=memory["gpu_reserved_gib"] or memory["rss_gib"],
    ).text(language)
    scores: list[str] = []
    if evaluation := measured["evaluation"]:
        asked = "evaluated" if "base" in evaluation["seconds"] else "evaluated_tuned"
        line += _said(asked, language, n=evaluation["n"], **evaluation["seconds"])
        scores = [*_scores(evaluation, language), ""]
    return "\n".join([f"{line}.", "", *scores, *_epochs(measured["epochs"], language)])


def _said(key: str, language: Language, **values: Any) -> str:
    return phrase(f"measured.{key}", **values).text(language)


def _time(measured: dict[str, Any]) -> Phrase | str:
    if seconds := measured["train_runtime"]:
        return phrase("measured.time", minutes=seconds / 60, rate=measured["train_samples_per_second"])
    if parts := measured.get("parts"):
        return phrase("measured.parts", minutes=parts["step_seconds"] / 60, rate=parts["samples_per_second"])
    return ""


def _scores(evaluation: dict[str, Any], language: Language) -> list[str]:
    shares = evaluation["probe"]["by_bucket"]
    rates = ("tool_name_accuracy", "json_validity", "exact_match")
    buckets = [
        f"| {bucket_name(name).text(language)} | {row['n']} "
        f"| {' | '.join(whole_percent(row[key]['value']) for key in rates)} | {shares[name]:.0%} |"
        for name, row in sorted(evaluation["buckets"].items())
    ]
    metrics = _metric_lines(evaluation, language, evaluation["headline"]["tuned"])
    return [_said("head", language), *metrics, "", _said("bucket_head", language), *buckets]


def _metric_lines(evaluation: dict[str, Any], language: Language, keys: Iterable[str]) -> list[str]:
    tuned = evaluation["headline"]["tuned"]
    base = evaluation["headline"].get("base") or {key: {"value": None} for key in tuned}
    return [
        f"| {_metric(key).name(language)} | {rate_text(base[key])} | {_after(key, base[key], tuned[key], language)} |"
        for key in keys
        if key in tuned
    ]


def _metric(key: str) -> Metric:
    """A metric; that of executed calls has a key of its own in `docs/measured/`."""
    return METRICS["execution" if key == "execution_accuracy" else key]


def _epochs(table: list[dict[str, Any]], language: Language) -> list[str]:
    rates = [key for key in EPOCH_RATES if any(key in row for row in table)]
    columns = " | ".join(METRICS[key].column(language) for key in rates)
    rows = [
        f"| {row['epoch']:g} | {row['train_loss']:.3f} | {row['eval_loss']:.3f} | "
        + " | ".join(whole_percent(row.get(key)) for key in rates)
        + f" | {verdict_word(word, language)}{' ★' if row['best'] else ''} |"
        for row, word in zip(table, verdicts(table), strict=True)
    ]
    return [_said("epoch_head", language, rates=columns), "|---" * (4 + len(rates)) + "|", *rows]


def _after(key: str, base: dict[str, Any], tuned: dict[str, Any], language: Language) -> str:
    """The rate after training, bold where it is better than before; where it is worse, that is said."""
    if None in (base["value"], tuned["value"]) or base["value"] == tuned["value"]:
        return rate_text(tuned)
    better = (tuned["value"] < base["value"]) == _metric(key).lower
    return f"**{rate_text(tuned)}**" if better else f"{rate_text(tuned)}, {_said('worse', language)}"
