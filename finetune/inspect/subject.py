"""Which row is explained by which weights of a run, and the evaluation that it is a part of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.load import row_of, rows_of
from data.render import Example, render
from data.splits import read_splits
from data.template import Template
from eval.trained import Trained, base_folder
from finetune.diagnose import best_row
from finetune.history import read_history
from finetune.inspect.words import say
from tooltune.errors import InputError
from tooltune.files import quoted
from tooltune.pretrained import load_tokenizer
from tooltune.run import read_config, read_manifest
from tooltune.words import Phrase

Say = Callable[[str], None]

ADAPTERS = ("best", "last", "base")


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

    def share(self, total: float) -> Phrase | None:
        """What losses whose sum is `total` make of the run's own eval_loss; None where there is none."""
        if self.evaluation is None:
            return None
        whole, epoch, tokens = self.evaluation["eval_loss"], self.evaluation["epoch"], self.evaluation_tokens
        return say("share", whole=whole, epoch=epoch, tokens=tokens, total=total, adds=total / tokens)


def read_subject(run: Path, row: str | None = None, *, adapter: str = "best", split: str = "validation") -> Subject:
    """The row of that id (None: the first of the split), rendered as the run rendered it.

    Raises:
        InputError: no such adapter, split or row, or the run has not finished.
    """
    if adapter not in ADAPTERS:
        raise InputError(f"no {adapter!r}", where="--adapter", fix=f"one of {', '.join(ADAPTERS)}")
    folder = run / ("best" if adapter == "base" else adapter)
    if not (folder / "adapter_model.safetensors").is_file():
        raise InputError(
            f"the run has no {folder.name}/ adapter",
            where=str(run),
            fix=f"let it finish: python -m finetune train --resume {quoted(run)}",
        )
    history = read_history(run)
    records = rows_of(read_splits(history.config.data), split)
    record = records[0] if row is None else row_of(records, row, f"the {split} split")
    tokenizer = load_tokenizer(folder)
    saved = history.manifest["template"]
    template = Template(tokenizer.chat_template, saved["family"], saved["origin"])
    evaluation = None
    if split == "validation" and adapter != "base":
        evaluation = best_row(history) if adapter == "best" else history.epochs[-1]
    return Subject(run, adapter, split, render(record, tokenizer, template), tokenizer, evaluation)


def load_weights(subject: Subject, say: Say, model_name: str | None = None) -> Any:
    """The subject's model in evaluation mode, in the precision that the run evaluated in.

    A run whose frozen weights waited in main memory while it trained is asked on the processor, where all of them are:
    one row takes little time, and plain transformers would need a larger card.

    Args:
        model_name: where the run's base model is now; None: where it was.
    """
    from eval.load import add_adapter, load_model
    from finetune.device import detect

    renamed = [f"model.name={model_name}"] if model_name else None
    run = Trained(subject.run, read_config(subject.run, renamed), read_manifest(subject.run))
    device, base = "cpu" if run.swapped else detect().kind, base_folder(run, say)
    model = load_model(base, dtype=run.manifest["precision"], load_in_4bit=run.config.model.load_in_4bit, device=device)
    return model if subject.adapter == "base" else add_adapter(model, subject.run / subject.adapter, device=device)
