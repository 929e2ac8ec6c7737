"""What the command lines of all packages share: errors as one or two lines, and exit codes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from tooltune.errors import InputError, JobFailed

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
        _tell(*e.lines())
        raise typer.Exit(2 if isinstance(e, InputError) else 1) from None
    except KeyboardInterrupt:
        if debug:
            raise
        raise typer.Exit(130) from None
    except Exception as e:
        if debug:
            raise
        detail = str(e).splitlines()[0] if str(e) else ""
        _tell(f"{type(e).__name__}: {detail}", "→ this should not happen; --debug shows where")
        raise typer.Exit(1) from None


def _tell(*lines: str) -> None:
    """An error, which may quote a row or a model."""
    from tooltune.page.text import one_line  # jinja2 comes with it

    print("error: " + "\n".join(one_line(line) for line in lines), file=sys.stderr)
