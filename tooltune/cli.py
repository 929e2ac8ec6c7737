"""What the command lines of all packages share: errors as one or two lines, and exit codes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from tooltune.errors import InputError, JobFailed
from tooltune.files import disk_fault

Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]
DEBUG = False
Lang = Annotated[Literal["ko", "en"], typer.Option(help="the language that the page opens in")]


def with_default(app: typer.Typer, words: list[str], default: str) -> list[str]:
    """A command line whose subcommand may be left out: `default` (empty: none) is put before it."""
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    given = words and words[0] in (*names, "--help")
    return words if given or not default else [default, *words]


@contextmanager
def errors_as_lines(debug: bool) -> Iterator[None]:
    """Turn errors into one or two lines and an exit code: 1 the job failed, 2 the input is wrong, 130 Ctrl-C."""
    try:
        yield
    except (InputError, JobFailed) as e:
        if debug:
            raise
        print("error: " + "\n".join(e.lines()), file=sys.stderr)
        raise typer.Exit(2 if isinstance(e, InputError) else 1) from None
    except KeyboardInterrupt:
        if debug:
            raise
        raise typer.Exit(130) from None
    except Exception as e:
        if debug:
            raise
        detail = str(e).splitlines()[0] if str(e) else ""
        lines = [f"{type(e).__name__}: {detail}", "→ this should not happen; --debug shows where"]
        if isinstance(e, OSError) and (full := disk_fault(e)):
            lines = full.lines()
        print("error: " + "\n".join(lines), file=sys.stderr)
        raise typer.Exit(1) from None
