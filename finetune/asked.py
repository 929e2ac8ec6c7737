"""A run's model ready to be asked on the command line: what `ask` and `chat` begin with."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from data.record import Record
from data.splits import read_splits
from eval.asking import Decoding, Messages, Model, Tools
from eval.constrained import library
from eval.judged import Answer
from eval.trained import Trained, load_tuned, prepare, read_trained
from finetune.context import Context, read_context
from finetune.llama_answers import llama_cpp
from finetune.words import phrase
from tooltune.console import Terminal, quiet
from tooltune.page.text import visible
from tooltune.words import Language, Say, saying


@dataclass(frozen=True)
class ReadyModel:
    """A loaded model, what stands before its requests, and where to write.

    Attributes:
        splits: the run's rows.
        console: standard output, for answers alone.
        terminal: standard error, where `say` writes its lines.
    """

    model: Model
    context: Context
    splits: Mapping[str, Sequence[Record]]
    console: Console
    terminal: Console
    say: Say
    lang: Language

    def answer(self, messages: Messages, tools: Tools) -> Answer:
        return self.answers([messages], tools)[0]

    def answers(self, conversations: Sequence[Messages], tools: Tools) -> list[Answer]:
        """What the model answers; on a terminal something turns meanwhile."""
        with self.terminal.status(phrase("ask.answering").text(self.lang)):
            return self.model.answers(conversations, tools)


@contextmanager
def asking(
    folder: Path,
    row: str | None = None,
    tools: Path | None = None,
    *,
    base: str | None = None,
    llama: bool = False,
    constrained: bool = False,
    lang: Language,
) -> Iterator[ReadyModel]:
    """Load a run's model to ask it under the context of a row or a file of tools; the libraries' noise goes to its log.

    Args:
        base: where the run's base model is now, if it moved.
        llama: through llama.cpp, not through transformers.
        constrained: hold calls to the tools' schemas while they are written; by transformers.

    Raises:
        InputError: the run cannot be asked, there is no such context, or xgrammar is not installed where it is needed.
        NoRoom: memory does not suffice.
    """
    if constrained:
        library()  # before the model is loaded
    trained = read_trained(folder, base)
    # standard error goes to the log
    heard = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="replace")
    with heard as notes, quiet(folder / "log.txt") as console:
        say = saying(lambda line: print(visible(line), file=notes, flush=True), lang)
        terminal = Terminal(file=notes)
        splits = read_splits(trained.config.data)
        context = read_context(trained, splits, row, tools)
        say(context.described(folder.name))
        say(phrase("ask.loading"))
        with llama_cpp(trained, say, terminal) if llama else _transformers(trained, say, constrained) as writer:
            model = Model(trained, writer)
            say(phrase("ask.reading", n=len(context.tools)))
            model.read(context.system, context.tools)
            say(phrase("ask.valid"))
            yield ReadyModel(model, context, splits, console, terminal, say, lang)


@contextmanager
def _transformers(trained: Trained, say: Say, constrained: bool) -> Iterator[Decoding]:
    prepare(trained)
    yield Decoding(trained, load_tuned(trained, say), say, constrained=constrained)
