"""The epoch table in the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from finetune.diagnose import verdict_word, verdicts
from finetune.words import phrase
from tooltune.metrics import EPOCH_TABLE, METRICS, whole_percent
from tooltune.words import Language

HYPHENATED = {"abstention": "absten-\ntion", "hallucination": "halluci-\nnation"}


def epoch_table(rows: Sequence[dict[str, Any]], lang: Language = "en") -> Table:
    """One row an evaluation: losses, tool metrics, the verdict with hindsight; the best one starred. In 100 columns."""
    title, train_loss, eval_loss, last = (
        phrase(f"table.{name}").text(lang) for name in ("title", "train_loss", "eval_loss", "verdict")
    )
    table = Table(title=title, title_justify="left")
    rates = (_narrow(METRICS[key].column(lang)) for key in EPOCH_TABLE)
    for column in ("epoch", train_loss, eval_loss, *rates):
        table.add_column(column, justify="right")
    table.add_column(last)
    for row, word in zip(rows, verdicts(rows), strict=True):
        best = bool(row.get("best"))
        table.add_row(
            f"{row['epoch']:g}{' ★' if best else ''}",
            _loss(row["train_loss"]),
            _loss(row["eval_loss"]),
            *[whole_percent(row.get(key)) for key in EPOCH_TABLE],
            verdict_word(word, lang),
            style="bold" if best else None,
        )
    return table


def _narrow(name: str) -> str:
    return HYPHENATED.get(name) or name.replace(" ", "\n").replace("-", "-\n")


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
