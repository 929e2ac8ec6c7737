"""The rows of a run: read, checked, rendered."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from data.load import evenly_spaced, read_splits
from data.record import Record
from data.render import IGNORED, Example, Rendered, align_end_token, render_all
from data.template import Template
from tooltune.config import Config
from tooltune.pretrained import load_tokenizer, resolve


@dataclass
class Prepared:
    """Everything a run needs except the model's weights."""

    folder: Path  # of the base model
    tokenizer: Any
    template: Template
    train: Rendered
    validation: Rendered
    scored: list[Record]  # the fixed slice of validation that is generated at each evaluation


def read_rows(config: Config) -> tuple[list[Record], list[Record]]:
    """The training and validation records, as the model will see their tools; a test file is only looked at for rows
    that train too."""
    splits = read_splits(config.data)
    return splits["train"], splits["validation"]


def prepare(config: Config, splits: tuple[list[Record], list[Record]], say: Any) -> Prepared:
    """Model folder, tokenizer, template and rendered rows, every row checked to come back through the parser."""
    from eval.roundtrip import check_roundtrip, choose_template

    train_rows, validation = splits
    folder = resolve(config.model.name, say)
    tokenizer = load_tokenizer(folder, say)
    template = choose_template(tokenizer, config.data.tools_style, preference=config.data.template)
    say(f"Chat template: {template.origin} ({template.family}); {template.reason}")
    check_roundtrip([*train_rows, *validation], tokenizer, template)
    limits = partial(render_all, max_length=config.data.max_length, too_long=config.data.too_long)
    rendered_train, rendered_validation = (limits(rows, tokenizer, template) for rows in splits)
    align_end_token(tokenizer, rendered_train.examples)
    if line := cut_answers(rendered_validation.examples, config.eval.max_new_tokens):
        say(line)
    kept = {example.id for example in rendered_validation.examples}
    scored = evenly_spaced([r for r in validation if r.id in kept], config.eval.generate)
    return Prepared(folder, tokenizer, template, rendered_train, rendered_validation, scored)


def cut_answers(examples: Sequence[Example], most: int) -> str | None:
    """What to say where right answers have more than `most` tokens: generation would cut them off."""
    lengths = [sum(1 for _ in takewhile(lambda label: label != IGNORED, reversed(e.labels))) for e in examples]
    long = [n for n in lengths if n > most]
    if not long:
        return None
    return (
        f"{len(long)} of {len(lengths)} right answers in validation are longer than eval.max_new_tokens={most} and can "
        f"only count as wrong; eval.max_new_tokens={max(long)} holds them all"
    )


def describe_rows(name: str, rendered: Rendered, max_length: int) -> str:
    """One line on a rendered split, dropped rows included."""
    lengths = sorted(len(e.input_ids) for e in rendered.examples)
    line = f"{name}: {len(lengths)} rows, median {lengths[len(lengths) // 2]} tokens, longest {lengths[-1]}"
    if rendered.dropped:
        some = ", ".join(f"{row} ({n})" for row, n in rendered.dropped[:3])
        line += f"; {len(rendered.dropped)} longer than {max_length} tokens were left out: {some}"
    return line
