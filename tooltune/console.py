"""The terminal: what is shown of models and rows is shown as text, and during a run the libraries' noise goes to its
log file."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment

from tooltune.page.text import one_line, visible


class Terminal(Console):
    """A console that no text can command: control and direction characters are written out, and neither rich's markup
    nor its names of emoji are read, unless `markup` is asked for.

    On a pipe (CI, a log file) rich would wrap at 80 columns and break figures apart: there it has `width` columns.
    """

    def __init__(self, *, width: int = 120, markup: bool = False, **options: Any) -> None:
        stream = options.get("file") or (sys.stderr if options.get("stderr") else sys.stdout)
        columns = None if stream.isatty() else width
        super().__init__(width=columns, markup=markup, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            plain = segment.control or segment.text.isprintable()
            yield segment if plain else Segment(visible(segment.text), segment.style)


@contextmanager
def quiet(log: Path) -> Iterator[Console]:
    """Send everything written to stdout and stderr to `log`, native code's output too; yield a console that is heard.

    The redirection is at the level of file descriptors, because CUDA, bitsandbytes and compilers write past Python.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    heard = os.dup(1)
    errors = os.dup(2)
    with log.open("ab") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    try:
        with os.fdopen(os.dup(heard), "w", encoding="utf-8", errors="replace") as stream:
            yield Terminal(file=stream)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(heard, 1)
        os.dup2(errors, 2)
        os.close(heard)
        os.close(errors)


def say(line: str, *, stderr: bool = False) -> None:
    """Print one line, which may hold text of models or rows."""
    print(one_line(line), file=sys.stderr if stderr else sys.stdout, flush=True)


def progress(console: Console) -> Progress:
    """A progress bar with elapsed time and ETA; nothing is drawn where the output is not a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not console.is_terminal,
    )
