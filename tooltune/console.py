"""The terminal: what is shown of models and rows is shown as text, during a run the libraries' noise goes to its log
file; and what is typed or piped to a command."""

import io
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

from tooltune.errors import InputError
from tooltune.files import BOM
from tooltune.page.text import one_line, visible
from tooltune.words import Language, Phrase

T = TypeVar("T")


class Heard:
    """A terminal that may be closed, or a pipe whose reader may end: a run of hours goes on and says nothing (`lost`:
    why)."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.late = stream, ""
        self.lost: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def flush(self) -> None:
        """Nothing: what is written is flushed."""

    def write(self, text: str) -> None:
        text, self.late = self.late + text, ""
        try:
            self.stream.write(text)
            self.stream.flush()
        except RuntimeError:  # Ctrl-C while a line waits for a terminal that was halted: its answer comes with the next
            self.late = text
        except OSError as e:
            self.lost = e
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


class Terminal(Console):
    """A console that no text can command: control and direction characters are written out, and neither rich's markup
    nor its names of emoji are read, unless `markup` is asked for.

    On a pipe (CI, a log file) rich would wrap at 80 columns and break figures apart: there it has `width` columns.
    Phrases are printed in `lang`.
    """

    def __init__(self, *, width: int = 120, markup: bool = False, lang: Language = "en", **options: Any) -> None:
        stream = options.get("file") or (sys.stderr if options.get("stderr") else sys.stdout)
        columns = None if stream.isatty() else width
        super().__init__(width=columns, markup=markup, emoji=False, highlight=False, **options)
        self.lang: Language = lang

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(Text(x.text(self.lang)) if isinstance(x, Phrase) else x for x in objects), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            plain = segment.control or segment.text.isprintable()
            yield segment if plain else Segment(visible(segment.text), segment.style)


@contextmanager
def quiet(log: Path) -> Iterator[Console]:
    """Send everything written to stdout and stderr to `log`, native code's output too; yield a console that is heard.

    The redirection is at the level of file descriptors, because CUDA, bitsandbytes and compilers write past Python. The
    log is UTF-8 and the console has the encoding of standard output, "?" standing for what that cannot say.
    """
    encoding = sys.stdout.encoding
    old = Console().legacy_windows  # a console without escape sequences; asked while standard output is the console
    sys.stdout.flush()
    sys.stderr.flush()
    heard = os.dup(1)
    errors = os.dup(2)
    with log.open("ab") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    try:
        with (
            _in_utf8("stdout"),
            _in_utf8("stderr"),
            os.fdopen(os.dup(heard), "w", encoding=encoding, errors="replace") as stream,
        ):
            yield Terminal(file=Heard(stream), legacy_windows=False, force_terminal=False if old else None)
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:  # the log's disk may be full, and the error is to be heard
            os.dup2(heard, 1)
            os.dup2(errors, 2)
            os.close(heard)
            os.close(errors)


def say(line: Any, *, stderr: bool = False) -> None:
    """Print one line, a phrase in English; it may hold text of models or rows."""
    print(one_line(str(line)), file=sys.stderr if stderr else sys.stdout, flush=True)


@contextmanager
def _in_utf8(name: str) -> Iterator[None]:
    """Have a standard stream write UTF-8 for a while, as log files are read.

    Python's stream of a Windows console takes its descriptor for a console, and raises an error where that leads to a
    file (CPython, Modules/_io/winconsoleio.c: write): another stands in for it.
    """
    stream = getattr(sys, name)
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    if type(getattr(stream.buffer, "raw", None)).__name__ == "_WindowsConsoleIO":
        setattr(sys, name, os.fdopen(stream.fileno(), "w", 1, "utf-8", "replace", closefd=False))
        try:
            yield
        finally:
            written = getattr(sys, name)
            setattr(sys, name, stream)
            written.flush()
        return
    before = stream.encoding, stream.errors
    stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        yield
    finally:
        stream.reconfigure(encoding=before[0], errors=before[1])


def input_lines() -> Iterator[str]:
    """The lines of standard input. Those of a pipe are UTF-8 where they can be, else of the pipe's own encoding: on
    Windows a file is in one or the other, whatever the system's is.

    Raises:
        InputError: a line is neither.
    """
    if sys.stdin.isatty():
        yield from sys.stdin
        return
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield _decoded(line.removeprefix(BOM), sys.stdin.encoding)
        except UnicodeDecodeError:
            what = f"neither UTF-8 nor {sys.stdin.encoding}"
            raise InputError(what, where=f"standard input, line {number}", fix="save it as UTF-8") from None


def _decoded(line: bytes, encoding: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode(encoding)


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


PATIENCE = 2.0
"""Seconds after which a bar shows how far many rows are."""
Tick = Callable[[int], None]


@contextmanager
def ticking(console: Console, what: str, total: int) -> Iterator[Tick]:
    """A bar over what takes longer than `PATIENCE`; yields what is told how much more of it is done."""
    with progress(console) as bar:
        task = bar.add_task(what, total=total, note="", visible=False)
        begun = drawn = time.monotonic()
        done = 0

        def tick(more: int) -> None:
            nonlocal done, drawn
            done += more
            now = time.monotonic()
            if now - drawn > 0.1 or done == total:  # rich takes longer over an update than many a row takes
                drawn = now
                bar.update(task, completed=done, visible=now - begun > PATIENCE)

        yield tick


def watched(rows: Sequence[T], what: str, console: Console | None = None) -> Generator[T, None, None]:
    """The rows one after the other, with such a bar, on standard error when left out. It goes when they are closed."""
    with ticking(console or Terminal(stderr=True), what, len(rows)) as tick:
        for row in rows:
            yield row
            tick(1)
