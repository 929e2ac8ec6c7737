"""What the command lines of all packages share: errors as one or two lines, and exit codes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal, NoReturn

import typer

from tooltune.errors import InputError, JobFailed

Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]
DEBUG = False
Lang = Annotated[Literal["ko", "en"], typer.Option(help="the language that the page opens in")]
TerminalLang = Annotated[
    Literal["ko", "en"] | None, typer.Option(help="of what it says here; the system's when left out")
]


def new_app() -> typer.Typer:
    """An app for a package's commands, to be run by `start`."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def start(app: typer.Typer, called: str, words: list[str] | None = None) -> NoReturn:
    """Run an app and leave with its exit code: help without words, and a wrong option as lines like any other error.

    Args:
        called: how it is called: `python -m eval`.
        words: None: those of the command line.
    """
    given = sys.argv[1:] if words is None else words
    try:
        # None is left to typer, which expands patterns of files on Windows.
        code = app(words if given else ["--help"], prog_name=called, standalone_mode=False)
    except typer.TyperException as e:
        command = f"{called} {given[0]}" if given[0] in _names(app) else called
        said = " ".join(e.format_message().split()).removesuffix(".").replace("Value error, ", "")
        wrong = InputError(said[0].lower() + said[1:], where=command, fix=f"{command} --help says what it takes")
        print("error: " + "\n".join(wrong.lines()), file=sys.stderr)
        code = e.exit_code
    sys.exit(code)


def _names(app: typer.Typer) -> set[str]:
    return {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}


def with_default(app: typer.Typer, words: list[str], default: str) -> list[str]:
    """A command line whose subcommand may be left out: `default` (empty: none) is put before it."""
    given = words and words[0] in (*_names(app), "--help")
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
        print(f"error: {type(e).__name__}: {detail}\n→ this should not happen; --debug shows where", file=sys.stderr)
        raise typer.Exit(1) from None
