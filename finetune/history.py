"""What a run has written so far, read back: for the report, the findings and the table of runs."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.load import to_stderr
from tooltune.config import Config
from tooltune.errors import InputError
from tooltune.files import read_jsonl, read_text
from tooltune.run import Manifest, read_config, read_manifest


@dataclass(frozen=True)
class History:
    """A run folder's figures. Numbers that were not finite stand as the text "nan", "inf" or "-inf".

    Attributes:
        steps: the events with a training `loss`: step, epoch, loss, grad_norm, learning_rate, samples_per_second and
            the system's figures.
        evaluations: the events with an `eval_loss`.
        end: the event that closes a finished training (`train_runtime`, …); None while it runs or when it was cut.
        rows: id and tokens of each training row, in the order that row numbers count; empty where they were not kept.
    """

    name: str
    config: Config
    manifest: Manifest
    steps: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    epochs: list[dict[str, Any]]
    end: dict[str, Any] | None
    rows: list[dict[str, Any]]


def read_history(run: Path, say: Callable[[str], None] = to_stderr) -> History:
    """Read a run folder; a run that is still going on is read as far as it got.

    Args:
        say: told of a last line that was cut off, as a power cut leaves it.

    Raises:
        InputError: the folder holds no run that began to train, or a file of it is missing or broken.
    """
    manifest = read_manifest(run)
    config = read_config(run)
    events = _rows(run / "metrics.jsonl", say)
    ends = [e for e in events if "train_runtime" in e]
    return History(
        name=run.name,
        config=config,
        manifest=manifest,
        steps=[e for e in events if "loss" in e],
        evaluations=[e for e in events if "eval_loss" in e],
        epochs=_rows(run / "epochs.jsonl", say),
        end=ends[-1] if ends else None,
        rows=_row_ids(run / "rows.json"),
    )


def rows_of_step(history: History, step: int) -> list[str]:
    """The ids of the rows of optimizer step `step` (from 1); empty where the run did not keep its rows."""
    from finetune.batching import epoch_order

    if not history.rows:
        return []
    train = history.config.train
    batch = train.micro_batch * train.accumulation
    per_epoch = -(-len(history.rows) // batch)
    shared = "family" in history.rows[0]
    families = [row["family"] for row in history.rows] if shared else None
    order = epoch_order(train, [row["tokens"] for row in history.rows], families)
    order.set_epoch((step - 1) // per_epoch)
    at = (step - 1) % per_epoch * batch
    return [history.rows[i]["id"] for i in order.order()[at : at + batch]]


def _rows(path: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    return [row for _, row in read_jsonl(path, torn=say)] if path.exists() else []


def _row_ids(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        rows: list[dict[str, Any]] = json.loads(read_text(path))
    except (OSError, ValueError) as e:
        raise InputError(f"the file is broken ({e})", where=str(path), fix="delete it: it only names rows") from None
    return rows
