"""Which row is explained by which weights of a run, and the evaluation that it is a part of."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from data.load import load_records
from data.record import Record
from data.render import Example, render
from data.template import Template
from data.tools import shown
from finetune.diagnose import best_row
from finetune.history import read_history
from finetune.rows import read_rows
from tooltune.errors import InputError
from tooltune.pretrained import load_tokenizer, resolve

Say = Callable[[str], None]

ADAPTERS = ("best", "last", "base")
SPLITS = ("validation", "train", "test")


@dataclass(frozen=True)
class Subject:
    """A row as the run saw it, and whose probabilities are asked for.

    Attributes:
        adapter: best, last, or base (no adapter).
        evaluation: the run's own evaluation with these weights, a row of the epoch table; None where there is none
            (the base model, another split than validation).
    """

    run: Path
    adapter: str
    split: str
    example: Example
    tokenizer: Any
    evaluation: dict[str, Any] | None

    @property
    def evaluation_tokens(self) -> int:
        """Supervised tokens of the whole validation split."""
        return sum(n for key, n in (self.evaluation or {}).items() if key.startswith("eval_tokens_"))


def read_subject(run: Path, row: str | None = None, *, adapter: str = "best", split: str = "validation") -> Subject:
    """The row of that id (None: the first of the split), rendered as the run rendered it.

    Raises:
        InputError: no such adapter, split or row, or the run has not finished.
    """
    for value, known, option in ((adapter, ADAPTERS, "--adapter"), (split, SPLITS, "--split")):
        if value not in known:
            raise InputError(f"no {value!r}", where=option, fix=f"one of {', '.join(known)}")
    folder = run / ("best" if adapter == "base" else adapter)
    if not (folder / "adapter_model.safetensors").is_file():
        raise InputError(
            f"the run has no {folder.name}/ adapter", where=str(run), fix="let it finish: RESUME=1 make train"
        )
    history = read_history(run)
    records = _records(history.config, split)
    record = _find(records, row, split)
    tokenizer = load_tokenizer(folder)
    known = history.manifest["template"]
    template = Template(tokenizer.chat_template, known["family"], known["origin"])
    evaluation = None
    if split == "validation" and adapter != "base":
        evaluation = best_row(history) if adapter == "best" else history.epochs[-1]
    return Subject(run, adapter, split, render(record, tokenizer, template), tokenizer, evaluation)


def load_weights(subject: Subject, say: Say) -> Any:
    """The subject's model in evaluation mode, in the precision that the run evaluated in."""
    from eval.load import add_adapter, load_model
    from finetune.device import detect

    history = read_history(subject.run)
    base = resolve(history.config.model.name, say)
    device = detect().kind
    model = load_model(
        base, dtype=history.manifest["precision"], load_in_4bit=history.config.model.load_in_4bit, device=device
    )
    return model if subject.adapter == "base" else add_adapter(model, subject.run / subject.adapter, device=device)


def _records(config: Any, split: str) -> list[Record]:
    if split == "test":
        if not config.data.test:
            raise InputError("the run's config names no data.test", where="config.yaml", fix="take another --split")
        view = partial(shown, max_tools=config.data.max_tools, descriptions=config.data.descriptions)
        return [view(record) for record in load_records(config.data.test)]
    train, validation = read_rows(config)
    return train if split == "train" else validation


def _find(records: list[Record], row: str | None, split: str) -> Record:
    if row is None:
        return records[0]
    for record in records:
        if record.id == row:
            return record
    near = difflib.get_close_matches(row, [r.id for r in records], n=3, cutoff=0.3) or [r.id for r in records[:3]]
    raise InputError(f"no row {row!r} in the {split} split", where="--row", fix=f"for example {', '.join(near)}")
