"""What the upper half of the page shows, arranged from `metrics.json`."""

from collections import Counter
from typing import Any

from eval.scoring.sample import EXTRA, NONE
from eval.scoring.stats import rate
from tooltune.metrics import BY_KIND, COMPARED, METRICS
from tooltune.page.text import MAX_NAME, short, visible

SHOWN = (
    "exact_match",
    *BY_KIND,
    "tool_name_accuracy",
    "parameter_accuracy",
    "json_validity",
    "hallucination_rate",
)
ACCEPTED = ("coerced_integer", "order_differs")
MAX_COLUMNS = 60
MAX_ROWS = 100
"""Names across and down a table: a dataset may have a thousand tools, and a broken model invents more."""

OTHER = "(other)"


def p_text(p: float) -> tuple[str, bool]:
    """A p-value as it is read, and whether it lies below what is written."""
    return ("0.1%", True) if p < 0.001 else (f"{100 * p:.1f}%" if p < 0.1 else f"{100 * p:.0f}%", False)


def metric_rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """The headline figures, each with the tuned rate and, where there are, base, repaired and the probe's.

    Those of `BY_KIND` are there where the split has both kinds. Execution stands last and brings its outcomes, where
    the rows have a domain.
    """
    tuned, base = metrics["tuned"], metrics["base"]
    probe = probe_rate(metrics)
    rows = [
        {
            "key": key,
            "tuned": tuned["headline"][key],
            "base": base["headline"][key] if base else None,
            "repaired": tuned["repaired"].get(key) if key not in ("hallucination_rate", "abstention") else None,
            "probe": probe if key == "exact_match" else None,
            "lower": METRICS[key].lower,
        }
        for key in SHOWN
        if key not in BY_KIND or tuned["headline"]["balanced"]["value"] is not None
    ]
    executed = metrics.get("execution")
    if executed and executed["tuned"]["n"]:
        ran = executed["tuned"]
        rows.append(
            {
                "key": "execution",
                "tuned": ran["strict"],
                "base": executed["base"]["strict"] if base else None,
                "repaired": None,
                "probe": None,
                "lower": False,
                "summed": ran["summed"],
                "outcomes": ran["outcomes"],
            }
        )
    return rows


def probe_rate(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """What look-up alone solves of the whole split."""
    probe = metrics.get("probe")
    return rate(probe["solved"], probe["n"]) if probe else None


def compare_rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """The paired comparison of each figure: the four counts with where they start on a bar, and what the test says."""
    compared = metrics["compare"]
    if not compared or not compared["n"]:
        return []
    rows = []
    for key, metric in COMPARED.items():
        if key not in compared:
            continue
        pair, at, parts = compared[key], 0.0, []
        for part in ("both", "only_b", "only_a", "neither"):
            share = 100 * pair[part] / pair["a"]["n"]
            parts.append({"key": part, "count": pair[part], "x": at, "width": share})
            at += share
        rows.append(
            {"metric": metric.key, "n": pair["a"]["n"], "parts": parts, "verdict": _verdict(pair), "p": pair["p_value"]}
        )
    return rows


def _verdict(pair: dict[str, Any]) -> str:
    if pair["only_a"] + pair["only_b"] == 0:
        return "same"
    if pair["p_value"] >= 0.05:
        return "unclear"
    return "clear_better" if pair["only_b"] > pair["only_a"] else "clear_worse"


def slice_tables(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """One table a kind that the data knows; buckets come first and open.

    `mixed` where one of its rows has samples with a call and samples without, so that these are shown apart.
    """
    tables = []
    solved = (metrics.get("probe") or {}).get("by_bucket") or {}
    for kind in ("bucket", "lang", "phenomenon", "tool"):
        base = metrics["base"]["slices"].get(kind, {}) if metrics["base"] else {}
        rows = [
            {
                "name": short(name, MAX_NAME),
                "figures": figures,
                "base": base[name]["exact_match"] if name in base else None,
                "probe": _share(solved.get(name)) if kind == "bucket" else None,
            }
            for name, figures in metrics["tuned"]["slices"].get(kind, {}).items()
        ]
        if kind in ("phenomenon", "tool"):
            rows.sort(key=lambda row: -row["figures"]["n"])
        if rows:
            probed = any(row["probe"] is not None for row in rows)
            mixed = any(row["figures"]["balanced"]["value"] is not None for row in rows)
            tables.append({"kind": kind, "n": len(rows), "rows": rows[:MAX_ROWS], "probe": probed, "mixed": mixed})
    return tables


def _share(solved: Any) -> float | None:
    """A bucket's share, which stands there as a fraction or as `{"solved", "n"}`."""
    if isinstance(solved, dict):
        return solved["solved"] / solved["n"] if solved["n"] else None
    return None if solved is None else float(solved)


def confusion(metrics: dict[str, Any]) -> dict[str, Any]:
    """The table of names; `quiet` marks rows without a confusion and columns that no confusion leads to.

    A row counts its right calls apart. A cell is None or `{"count", "heat", "right", "called"}`; heat goes from 1 to 5
    with the count. The column for "no call" comes first. Of very many names the most confused stay, then the most
    frequent; `left_out` counts the rows that are not shown, and a last column holds the called names that are not.
    """
    table: dict[str, dict[str, int]] = metrics["tuned"]["confusion"]
    wrong: Counter[str] = Counter()
    for gold, cells in table.items():
        wrong.update({called: count for called, count in cells.items() if called != gold})
    due = sorted(table, key=lambda gold: (set(table[gold]) == {gold}, -sum(table[gold].values())))
    kept = set(list(dict.fromkeys([*(name for name, _ in wrong.most_common(MAX_COLUMNS)), *due]))[:MAX_COLUMNS])
    columns = [(name, name not in wrong) for name in sorted(kept, key=lambda name: (name != NONE, name))]
    if any(called not in kept for cells in table.values() for called in cells):
        columns.append((OTHER, wrong.keys() <= kept))
    most = max((count for gold, cells in table.items() for called, count in cells.items() if called != gold), default=1)
    rows = []
    for gold in sorted(due[:MAX_ROWS], key=lambda name: (name in (NONE, EXTRA), name)):
        cells = table[gold] | {OTHER: sum(count for name, count in table[gold].items() if name not in kept)}
        rows.append(
            {
                "name": short(gold, MAX_NAME),
                "quiet": set(table[gold]) == {gold},
                "right": table[gold].get(gold, 0),
                "n": sum(table[gold].values()),
                "cells": [(_cell(gold, name, cells.get(name, 0), most), quiet) for name, quiet in columns],
            }
        )
    return {
        "rows": rows,
        "columns": [(short(name, MAX_NAME), quiet) for name, quiet in columns],
        "any": bool(wrong),
        "left_out": len(table) - len(rows),
    }


def _cell(gold: str, called: str, count: int, most: int) -> dict[str, Any] | None:
    if not count:
        return None
    heat = min(5, -(-5 * count // most))
    return {"count": count, "heat": heat, "right": called == gold, "called": short(called, MAX_NAME)}


def apart_rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """Faults first, then what is accepted."""
    base = metrics["base"]
    return [
        {
            "key": key,
            "tuned": figure,
            "base": base["apart"][key] if base else None,
            "fine": key in ACCEPTED,
        }
        for key, figure in metrics["tuned"]["apart"].items()
    ]


def more_rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures behind the headline, strict reading where there are two."""
    return [
        {
            "key": key,
            "tuned": _at(metrics["tuned"], path),
            "base": _at(metrics["base"], path) if metrics["base"] else None,
        }
        for key, path in _MORE.items()
    ]


_MORE = {
    "unknown_tool": "hallucination.all_samples.unknown_tool",
    "unknown_argument": "hallucination.all_samples.unknown_argument",
    "given_name": "strict.parameter_accuracy_given_name",
    "calls_precision": "strict.calls.precision",
    "calls_recall": "strict.calls.recall",
    "parameters_precision": "strict.parameters.precision",
    "parameters_recall": "strict.parameters.recall",
}


def _at(scores: dict[str, Any], path: str) -> dict[str, Any]:
    found = scores
    for key in path.split("."):
        found = found[key]
    return found


def facts(values: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Settings and times as pairs of words."""
    return [
        (visible(str(k)), f"{v:.1f}" if isinstance(v, float) and v >= 10 else visible(str(v)))
        for k, v in (values or {}).items()
    ]
