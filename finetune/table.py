"""The epoch table in the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from finetune.diagnose import verdicts
from tooltune.metrics import EPOCH_TABLE, METRICS, whole_percent

HYPHENATED = {"abstention": "absten-\ntion", "hallucination": "halluci-\nnation"}


def epoch_table(rows: Sequence[dict[str, Any]]) -> Table:
    """One row an evaluation: losses, tool metrics, the verdict with hindsight; the best one starred. In 100 columns."""
    table = Table(title="Epochs", title_justify="left")
    for column in ("epoch", "train\nloss", "val\nloss", *(_narrow(METRICS[key].en_column) for key in EPOCH_TABLE)):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for row, word in zip(rows, verdicts(rows), strict=True):
        best = bool(row.get("best"))
        table.add_row(
            f"{row['epoch']:g}{' ★' if best else ''}",
            _loss(row["train_loss"]),
            _loss(row["eval_loss"]),
            *[whole_percent(row.get(key)) for key in EPOCH_TABLE],
            word,
            style="bold" if best else None,
        )
    return table


def _narrow(name: str) -> str:
    return HYPHENATED.get(name) or name.replace(" ", "\n").replace("-", "-\n")


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
