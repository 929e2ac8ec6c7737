"""`python -m finetune ask`: requests typed at a run's model, and the calls that it answers with."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from finetune.words import phrase
from tooltune.cli import DEBUG, LANG, BaseModel, Debug, TerminalLang, errors_as_lines, json_for
from tooltune.console import Heard, input_lines
from tooltune.words import Say


def ask_command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN] [REQUEST ...]",
            help="a run's name or folder (the newest when left out), then requests; without any, each line of standard "
            "input is one",
        ),
    ] = None,
    row: Annotated[str | None, typer.Option(help="ask with the system turn and the tools of this row")] = None,
    tools: Annotated[Path | None, typer.Option(help="ask with the tools of this file, a JSON list of schemas")] = None,
    model: BaseModel = None,
    as_json: Annotated[bool, typer.Option("--json", help="an answer is one line of JSON")] = False,
    constrained: Annotated[
        bool, typer.Option(help="hold calls to the tools' schemas while they are written (extra `constrained`)")
    ] = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Ask a run's model: the calls it answers with, and whether they fit the tools that it was offered."""
    with errors_as_lines(debug):
        from finetune.asked import asking
        from tooltune.page.text import visible

        folder, requests = run_and_requests(arguments or [])
        encoding = sys.stdout.encoding
        with asking(folder, row, tools, base=model, constrained=constrained, lang=lang) as asked:
            context = asked.context
            for together in [requests] if requests else ([line] for line in _typed(asked.say)):
                answers = asked.answers([context.conversation(request) for request in together], context.tools)
                for request, answer in zip(together, answers, strict=True):
                    lines = [f"> {request}"] * (len(requests) > 1) + answer.lines(asked.lang)
                    written = {"request": request} | answer.to_dict()
                    asked.console.out(json_for(encoding, written) if as_json else visible("\n".join(lines)))
                    if lost := cast(Heard, asked.console.file).lost:
                        raise lost


def run_and_requests(arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """The run that the first argument names, else the newest; the other arguments.

    Raises:
        InputError: there is no run, or it never began to train.
    """
    from tooltune.run import find_run, runs_dir

    first, *others = arguments or [""]
    # os.path: a long request is no file's name, at which Path.is_dir raises an error
    if first and (first == "latest" or os.path.isdir(first) or os.path.isdir(runs_dir() / first)):  # noqa: PTH112
        return find_run(first), others
    return find_run(), list(arguments)


def _typed(say: Say) -> Iterator[str]:
    """The lines of standard input that hold something."""
    if sys.stdin.isatty():
        say(phrase("ask.begin"))
    for line in input_lines():
        if line.strip():
            yield line.strip()
