"""What the command lines of all packages share: their start, JSON output, errors as one or two lines, exit codes."""

import getpass
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from tooltune.errors import InputError, JobFailed
from tooltune.files import disk_fault, user_path
from tooltune.page.text import shown_json
from tooltune.words import Language, system_language

Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]
DEBUG = False
BaseModel = Annotated[str | None, typer.Option("--model", help="where the run's base model is now, if it moved")]
TerminalLang = Annotated[
    Language,
    typer.Option(
        callback=lambda given: given or system_language(), help="of what it says here; the system's when left out"
    ),
]
PageLang = Annotated[
    Language | None,
    typer.Option(help="of the terminal and of the page as it opens; the system's and ko when left out"),
]
LANG: Any = None


def new_app() -> typer.Typer:
    """An app for a package's commands, to be run by `start`."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def start(app: typer.Typer, called: str, words: list[str] | None = None) -> NoReturn:
    """Run an app and leave with its exit code: help without words, and a wrong option as lines like any other error.

    Args:
        called: how it is called: `python -m eval`.
        words: None: those of the command line.
    """
    _open_streams()
    _name_user()
    printable()
    given = sys.argv[1:] if words is None else words
    at_home = [_at_home(word) for word in given] or ["--help"]
    try:
        with errors_as_lines("--debug" in given):  # of typer's own work: help, options
            # None is left to typer, which expands patterns of files on Windows.
            code = _called(app, called, given, words if at_home == given else at_home)
            if not code:
                sys.stdout.flush()
    except typer.Exit as e:
        code = e.exit_code
    try:
        sys.stdout.flush()
    except OSError:  # which has been told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _called(app: typer.Typer, called: str, given: list[str], words: list[str] | None) -> Any:
    """The exit code of an app; a wrong option is told."""
    try:
        return app(words, prog_name=called, standalone_mode=False)
    except typer.TyperException as e:
        command = f"{called} {given[0]}" if given[0] in _names(app) else called
        said = " ".join(e.format_message().split()).removesuffix(".").replace("Value error, ", "")
        wrong = InputError(said[0].lower() + said[1:], where=command, fix=f"{command} --help says what it takes")
        _tell(*wrong.lines())
        return e.exit_code


def _names(app: typer.Typer) -> set[str]:
    return {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}


def _open_streams() -> None:
    """Give standard streams that were closed (`>&-`) a place: the next file would take the number of one, and with it
    what libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115, PTH123


def _name_user() -> None:
    """Give a user whom the system does not know (`docker run --user 1234`) a name and a home: torch asks for both."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = "user"
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()


def printable() -> None:
    """Have "?" written for what standard output and standard error cannot say in their encoding (cp949, cp1252), where
    Python would raise an error after the work is done; and read for half a character."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _at_home(word: str) -> str:
    """`~/FILE` and `--option=~/FILE` with the home folder written out, which cmd.exe and PowerShell never do, and other
    shells not behind `=`."""
    option, separator, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{separator}{user_path(value)}" if re.match(r"~[\\/]", value) else word


def print_json(value: Any) -> None:
    """Write a value to standard output as JSON, indented."""
    print(json_for(sys.stdout.encoding, value, indent=2))


def json_for(encoding: str, value: Any, *, indent: int | None = None) -> str:
    """JSON for a stream, control characters as escapes: with literal Hangul in UTF-8, in another encoding (cp949) as
    ASCII, which loses nothing."""
    text = shown_json(value, indent)
    if encoding.lower().startswith("utf"):
        return text
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)


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
        _tell(*e.lines())
        raise typer.Exit(2 if isinstance(e, InputError) else 1) from None
    except KeyboardInterrupt:
        if debug:
            raise
        raise typer.Exit(130) from None
    except BrokenPipeError:
        if debug:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer has no reader
        _tell("what read the output has ended (| head)", "→ let it read to the end, or write to a file")
        raise typer.Exit(1) from None
    except Exception as e:
        if debug:
            raise
        detail = str(e).splitlines()[0] if str(e) else ""
        lines = [f"{type(e).__name__}: {detail}", "→ this should not happen; --debug shows where"]
        if full := disk_fault(e):
            lines = full.lines()
        elif isinstance(e, OSError) and e.filename:
            said = f"{e.filename}: cannot be read or written ({e.strerror})"
            lines = [said, "→ see what stands there, and run the same command again; --debug shows where"]
        _tell(*lines)
        raise typer.Exit(1) from None


def _tell(*lines: str) -> None:
    """An error, which may quote a row or a model."""
    from tooltune.page.text import one_line  # jinja2 comes with it

    print("error: " + "\n".join(one_line(line) for line in lines), file=sys.stderr)
