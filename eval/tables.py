"""An evaluation in the terminal."""

from typing import Any

from rich.table import Table

METRICS = {
    "tool_name_accuracy": "Tool Name Accuracy",
    "parameter_accuracy": "Parameter Accuracy",
    "json_validity": "JSON Validity",
    "hallucination_rate": "Hallucination Rate",
    "exact_match": "Exact Match",
}
BUCKETS = {
    "T1": "same kind of sentence",
    "T2": "unseen phrasing",
    "T3": "unseen combination",
    "T4": "unseen tools",
    "T5": "no call is right",
}


def headline_table(metrics: dict[str, Any]) -> Table:
    """The five headline metrics with 95 % intervals, base beside tuned; then execution, on the rows it can ask."""
    tuned, base = metrics["tuned"], metrics["base"]
    table = Table(title=f"{metrics['run']} on {metrics['split']}, {tuned['n']} rows", title_justify="left")
    table.add_column("")
    for name in ("base", "tuned") if base else ("tuned",):
        table.add_column(name, justify="right")
    for key, label in METRICS.items():
        cells = [_rate(m["headline"][key]) for m in (base, tuned) if m]
        table.add_row(label, *cells)
    executed = metrics.get("execution") or {}
    if executed:
        table.add_row("Execution Accuracy", *[_rate(executed[m]["strict"]) for m in ("base", "tuned") if m in executed])
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
    return f"{rate['value']:.1%} ({100 * rate['low']:.1f}–{100 * rate['high']:.1f})"


def _short(rate: dict[str, Any]) -> str:
    return "–" if rate["value"] is None else f"{rate['value']:.0%}"
