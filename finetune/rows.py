"""The rows of a run: read, checked, rendered."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any

from rich.console import Console

from data.cache import code_digest, kept
from data.load import evenly_spaced
from data.record import Record
from data.render import IGNORED, Example, Rendered, align_end_token, render_all, stream_examples
from data.splits import read_splits
from data.stored import ExampleWriter, StoredExamples, StoredRecords, lengths_of
from data.template import Template
from finetune.words import phrase
from tooltune.config import Config
from tooltune.console import Terminal, Tick, ticking
from tooltune.errors import InputError
from tooltune.files import file_digest, write_json
from tooltune.pretrained import load_tokenizer, resolve
from tooltune.words import Language, Phrase

Splits = tuple[Sequence[Record], Sequence[Record]]
"""Training and validation records."""


@dataclass
class Prepared:
    """Everything a run needs except the model's weights."""

    folder: Path  # of the base model
    tokenizer: Any
    template: Template
    train: Rendered
    validation: Rendered
    scored: list[Record]  # the fixed slice of validation that is generated at each evaluation


def read_rows(config: Config, lang: Language = "en") -> tuple[StoredRecords, StoredRecords]:
    """The training and validation records, as the model will see their tools; a test file is only looked at for rows
    that train too."""
    splits = read_splits(config.data, lang=lang)
    return splits["train"], splits["validation"]


def prepare(
    config: Config, splits: Splits, say: Any, console: Console | None = None, lang: Language = "en"
) -> Prepared:
    """Model folder, tokenizer, template and rendered rows, every row checked to come back through the parser.

    Where both splits are those of files (`read_rows`), their rendered rows stay on disk too, for the next start.

    Args:
        console, lang: where a bar shows how far rendering has come, and in which language.
    """
    from eval.roundtrip import check_turn, choose_template

    train_rows, validation = splits
    folder = resolve(config.model.name, say, weights=False)  # they were looked at before
    tokenizer = load_tokenizer(folder, say)
    template = choose_template(tokenizer, config.data.tools_style, preference=config.data.template)
    origin = phrase(f"origin.{template.origin}")
    say(phrase("rows.template", origin=origin, family=template.family, reason=template.reason))
    how: dict[str, Any] = {"max_length": config.data.max_length, "too_long": config.data.too_long, "check": check_turn}
    if isinstance(train_rows, StoredRecords) and isinstance(validation, StoredRecords):
        train, valid = _on_disk(train_rows, validation, folder, tokenizer, template, how, console, lang)
    else:
        train, valid = (render_all(rows, tokenizer, template, **how) for rows in splits)
    align_end_token(tokenizer, train.examples)
    if line := cut_answers(valid.examples, config.eval.max_new_tokens):
        say(line)
    left_out = {row for row, _ in valid.dropped}
    places = [n for n, record in enumerate(validation) if record.id not in left_out]
    scored = [validation[n] for n in evenly_spaced(places, config.eval.generate)]
    return Prepared(folder, tokenizer, template, train, valid, scored)


def _on_disk(
    train: StoredRecords,
    validation: StoredRecords,
    model: Path,
    tokenizer: Any,
    template: Template,
    how: dict[str, Any],
    console: Console | None,
    lang: Language,
) -> tuple[Rendered, Rendered]:
    """The rendered rows of two splits, from the cache where they are there."""
    splits = {"train": train, "validation": validation}
    limits = {name: value for name, value in how.items() if name != "check"}
    facts = limits | {
        "records": train.path.parent.name,
        "template": [template.source, template.family],
        "tokenizer": {path.name: file_digest(path) for path in _tokenizer_files(model)},
        "code": code_digest("tooltune", "data", "eval"),
        "packages": {name: version(name) for name in ("transformers", "tokenizers", "jinja2", "datasets")},
    }

    def write(new: Path) -> None:
        dropped = {}
        what = phrase("rows.rendering").text(lang)
        with ticking(console or Terminal(stderr=True), what, len(train) + len(validation)) as tick:
            for name, rows in splits.items():
                with ExampleWriter(new / f"{name}.arrow") as writer:
                    try:
                        dropped[name] = stream_examples(_told(rows, tick), tokenizer, template, writer.add, **how)
                    except InputError as e:
                        raise e.at(f"data.{name}") from None
        write_json(new / "dropped.json", dropped)

    folder = kept("tokens", facts, write)
    dropped = json.loads((folder / "dropped.json").read_text(encoding="utf-8"))

    def read(name: str) -> Rendered:
        return Rendered(StoredExamples(folder / f"{name}.arrow"), [(row, tokens) for row, tokens in dropped[name]])

    return read("train"), read("validation")


def _told(rows: Iterable[Record], tick: Tick) -> Iterator[Record]:
    for row in rows:
        yield row
        tick(1)


def _tokenizer_files(model: Path) -> list[Path]:
    """What a tokenizer is made of: all files of a model's folder but its weights."""
    return sorted(path for path in model.iterdir() if path.suffix in (".json", ".txt", ".model", ".jinja", ".tiktoken"))


def cut_answers(examples: Sequence[Example], most: int) -> Phrase | None:
    """What to say where right answers have more than `most` tokens: generation would cut them off."""
    lengths = [sum(1 for _ in takewhile(lambda label: label != IGNORED, reversed(e.labels))) for e in examples]
    long = [n for n in lengths if n > most]
    if not long:
        return None
    return phrase("rows.cut_answers", n=len(long), of=len(lengths), most=most, longest=max(long))


def describe_rows(split: str, rendered: Rendered, max_length: int) -> Phrase:
    """One line on a rendered split ("train" or "validation"), dropped rows included."""
    lengths = sorted(lengths_of(rendered.examples))
    some = ", ".join(f"{row} ({n})" for row, n in rendered.dropped[:3])
    dropped = phrase("rows.dropped", n=len(rendered.dropped), most=max_length, some=some) if some else ""
    figures = {"rows": len(lengths), "median": lengths[len(lengths) // 2], "longest": lengths[-1]}
    return phrase("rows.split", split=phrase(f"split.{split}"), dropped=dropped, **figures)
