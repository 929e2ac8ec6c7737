"""What the command lines of all packages share: their start, JSON output, errors as one or two lines, exit codes."""

import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer

from tooltune.errors import InputError, JobFailed
from tooltune.files import dump_json, user_path

Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]
DEBUG = False
BaseModel = Annotated[str | None, typer.Option("--model", help="where the run's base model is now, if it moved")]
Lang = Annotated[Literal["ko", "en"], typer.Option(help="the language that the page opens in")]


def printable() -> None:
    """Have "?" written for what standard output and standard error cannot say in their encoding (cp949, cp1252), where
    Python would raise an error after the work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def start(app: typer.Typer, words: list[str] | None = None, name: str | None = None) -> None:
    """Call a command line: the entry of each `python -m PACKAGE`.

    Args:
        words: None: those that Python was called with.
        name: what its help calls it; None: as it was called.
    """
    printable()
    app(list(map(_at_home, sys.argv[1:] if words is None else words)), prog_name=name)


def _at_home(word: str) -> str:
    """`~/FILE` and `--option=~/FILE` with the home folder written out, which cmd.exe and PowerShell never do, and other
    shells not behind `=`."""
    option, separator, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{separator}{user_path(value)}" if re.match(r"~[\\/]", value) else word


def print_json(value: Any) -> None:
    """Write a value to standard output as JSON, indented."""
    print(json_for(sys.stdout.encoding, value, indent=2))


def json_for(encoding: str, value: Any, *, indent: int | None = None) -> str:
    """JSON for a stream: with literal Hangul in UTF-8, in another encoding (cp949) as ASCII, which loses nothing."""
    text = dump_json(value, indent=indent)
    if encoding.lower().startswith("utf"):
        return text
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)


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
        print(f"error: {type(e).__name__}: {detail}\n→ this should not happen; --debug shows where", file=sys.stderr)
        raise typer.Exit(1) from None
