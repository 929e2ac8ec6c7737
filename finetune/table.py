"""The epoch table in the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table


def epoch_table(rows: Sequence[dict[str, Any]]) -> Table:
    """One row an evaluation: losses, tool metrics, verdict; the best one marked."""
    table = Table(title="Epochs", title_justify="left")
    for column in ("epoch", "train loss", "val loss", "tool name", "JSON", "parameters", "hallucinated", "exact"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for row in rows:
        rates = ("tool_name_accuracy", "json_validity", "parameter_accuracy", "hallucination_rate", "exact_match")
        table.add_row(
            f"{row['epoch']:g}",
            _loss(row["train_loss"]),
            _loss(row["eval_loss"]),
            *["–" if row.get(name) is None else f"{row[name]:.0%}" for name in rates],
            row["verdict"] + (" ★ best" if row.get("best") else ""),
        )
    return table


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
