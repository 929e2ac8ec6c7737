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
from finetune.words import phrase
from tooltune.config import Config
from tooltune.pretrained import load_tokenizer, resolve
from tooltune.words import Phrase


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
    folder = resolve(config.model.name, say, weights=False)  # they were looked at before
    tokenizer = load_tokenizer(folder, say)
    template = choose_template(tokenizer, config.data.tools_style, preference=config.data.template)
    origin = phrase(f"origin.{template.origin}")
    say(phrase("rows.template", origin=origin, family=template.family, reason=template.reason))
    check_roundtrip([*train_rows, *validation], tokenizer, template)
    limits = partial(render_all, max_length=config.data.max_length, too_long=config.data.too_long)
    rendered_train, rendered_validation = (limits(rows, tokenizer, template) for rows in splits)
    align_end_token(tokenizer, rendered_train.examples)
    if line := cut_answers(rendered_validation.examples, config.eval.max_new_tokens):
        say(line)
    kept = {example.id for example in rendered_validation.examples}
    scored = evenly_spaced([r for r in validation if r.id in kept], config.eval.generate)
    return Prepared(folder, tokenizer, template, rendered_train, rendered_validation, scored)


def cut_answers(examples: Sequence[Example], most: int) -> Phrase | None:
    """What to say where right answers have more than `most` tokens: generation would cut them off."""
    lengths = [sum(1 for _ in takewhile(lambda label: label != IGNORED, reversed(e.labels))) for e in examples]
    long = [n for n in lengths if n > most]
    if not long:
        return None
    return phrase("rows.cut_answers", n=len(long), of=len(lengths), most=most, longest=max(long))


def describe_rows(split: str, rendered: Rendered, max_length: int) -> Phrase:
    """One line on a rendered split ("train" or "validation"), dropped rows included."""
    lengths = sorted(len(e.input_ids) for e in rendered.examples)
    some = ", ".join(f"{row} ({n})" for row, n in rendered.dropped[:3])
    dropped = phrase("rows.dropped", n=len(rendered.dropped), most=max_length, some=some) if some else ""
    figures = {"rows": len(lengths), "median": lengths[len(lengths) // 2], "longest": lengths[-1]}
    return phrase("rows.split", split=phrase(f"split.{split}"), dropped=dropped, **figures)
