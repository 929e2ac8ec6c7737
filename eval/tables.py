"""An evaluation in the terminal."""

from typing import Any

from rich.table import Table

METRICS = {
    "tool_name_accuracy": "Tool Name Accuracy",
    "parameter_accuracy": "Parameter Accuracy",
    "json_validity": "JSON Validity",
    "hallucination_rate": "Hallucination Rate",
    "exact_match": "Exact Match",
    "must_call_exact": "Must-call Exact (a call is due)",
    "abstention": "Abstention (none is due)",
    "balanced": "Balanced (harmonic mean)",
}
BUCKETS = {
    "T1": "same kind of sentence",
    "T2": "unseen phrasing",
    "T3": "unseen combination",
    "T4": "unseen tools",
    "T5": "no call is right",
}


def headline_table(metrics: dict[str, Any]) -> Table:
    """The headline metrics with 95 % intervals, base beside tuned; then execution, on the rows it can ask."""
    tuned, base = metrics["tuned"], metrics["base"]
    columns = {name: m["headline"] for name, m in (("base", base), ("tuned", tuned)) if m}
    return rates_table(f"{metrics['run']} on {metrics['split']}, {tuned['n']} rows", columns, metrics.get("execution"))


def rates_table(
    title: str, columns: dict[str, dict[str, Any]], executed: dict[str, dict[str, Any]] | None = None
) -> Table:
    """The headline metrics, a column for each result; one that a result does not have is a dash.

    Args:
        executed: what `execution_accuracy` found, by column; where it was asked, its own row.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for key, label in METRICS.items():
        table.add_row(label, *[_rate(rates[key]) if key in rates else "–" for rates in columns.values()])
    if executed:
        rates = [executed[name]["strict"] for name in columns]
        table.add_row(f"Execution Accuracy ({rates[0]['n']} rows)", *map(_rate, rates))
    return table


def apart_table(apart: dict[str, Any]) -> Table:
    """The faults and oddities that were found, those found nowhere left out."""
    table = Table(title="Besides", title_justify="left")
    for column in ("", "rows", "of", "times"):
        table.add_column(column, justify="right" if column else "left")
    for key, found in apart.items():
        if found["count"]:
            table.add_row(key.replace("_", " "), str(found["count"]), str(found["n"]), str(found.get("total", "")))
    return table


def compare_table(result: dict[str, Any], labels: dict[str, str]) -> Table:
    """What `scoring.compare` gives for the figures in `labels`, under the names `result["a"]` and `result["b"]`.

    A figure a row: both rates, the difference in points, the samples that one alone gets right, McNemar's p-value.
    """
    a, b = result["a"], result["b"]
    title = f"{a} against {b} on the same {result['n']} rows, strict reading"
    table = Table(title=title, title_justify="left", caption="p: McNemar, exact", caption_justify="left")
    table.add_column("")
    for column in (a, b):
        table.add_column(column, justify="right", min_width=len("(10.0–20.0)"))  # 80 columns wrap it there, at worst
    for column in ("points", f"only\n{a}", f"only\n{b}", "p"):
        table.add_column(column, justify="right")
    for key, label in labels.items():
        pair = result[key]
        n = pair["a"]["n"]
        table.add_row(
            label if n == result["n"] else f"{label}\n({n} rows)",
            _rate(pair["a"]),
            _rate(pair["b"]),
            f"{100 * pair['difference']:+.1f}",
            str(pair["only_a"]),
            str(pair["only_b"]),
            f"{pair['p_value']:.4f}",
        )
    return table


def bucket_table(metrics: dict[str, Any]) -> Table:
    """Tool names, JSON and exact match by bucket, with the no-model probe beside them."""
    table = Table(title="By bucket (tuned)", title_justify="left")
    for column in ("bucket", "rows", "tool name", "JSON", "exact", "no-model probe"):
        table.add_column(column, justify="left" if column == "bucket" else "right")
    probe = (metrics["probe"] or {}).get("by_bucket", {})
    for name, row in sorted(metrics["tuned"]["slices"].get("bucket", {}).items()):
        share = f"{probe[name]:.0%}" if name in probe else "–"
        rates = [_short(row[k]) for k in ("tool_name_accuracy", "json_validity", "exact_match")]
        table.add_row(f"{name} {BUCKETS.get(name, '')}", str(row["n"]), *rates, share)
    return table


def _rate(rate: dict[str, Any]) -> str:
    if rate["value"] is None:
        return "–"
    interval = f" ({100 * rate['low']:.1f}–{100 * rate['high']:.1f})" if rate["low"] is not None else ""
    return f"{rate['value']:.1%}{interval}"


def _short(rate: dict[str, Any]) -> str:
    return "–" if rate["value"] is None else f"{rate['value']:.0%}"
