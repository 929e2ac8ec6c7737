"""The epoch table in the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from finetune.diagnose import verdicts

RATES = {
    "tool_name_accuracy": "tool\nname",
    "json_validity": "JSON",
    "must_call_exact": "must-\ncall\nexact",
    "abstention": "absten-\ntion",
    "balanced": "balanced",
    "hallucination_rate": "halluci-\nnated",
}


def epoch_table(rows: Sequence[dict[str, Any]]) -> Table:
    """One row an evaluation: losses, tool metrics, the verdict with hindsight; the best one starred. In 100 columns."""
    table = Table(title="Epochs", title_justify="left")
    for column in ("epoch", "train\nloss", "val\nloss", *RATES.values()):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for row, word in zip(rows, verdicts(rows), strict=True):
        best = bool(row.get("best"))
        table.add_row(
            f"{row['epoch']:g}{' ★' if best else ''}",
            _loss(row["train_loss"]),
            _loss(row["eval_loss"]),
            *["–" if row.get(name) is None else f"{row[name]:.0%}" for name in RATES],
            word,
            style="bold" if best else None,
        )
    return table


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
