"""The terminal during a run: our lines and progress bars go to it, the libraries' noise goes to the run's log file."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


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
            # On a pipe (CI, a log file) rich would wrap at 80 columns and break figures apart.
            yield Console(file=stream, width=None if os.isatty(heard) else 120, highlight=False)
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:  # the log's disk may be full, and the error is to be heard
            os.dup2(heard, 1)
            os.dup2(errors, 2)
            os.close(heard)
            os.close(errors)


def terminal(*, stderr: bool = False) -> Console:
    """A console for a command's own output; on a pipe (CI, a log file) rich would wrap at 80 columns and break figures
    apart."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 120, highlight=False)


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
