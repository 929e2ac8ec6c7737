"""`python -m finetune doctor`."""

import json
from typing import Annotated, Literal

import typer

from tooltune.cli import DEBUG, Debug, errors_as_lines


def doctor(
    lang: Annotated[
        Literal["ko", "en"] | None, typer.Option(help="language of the report; the system's when left out")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False,
    debug: Debug = DEBUG,
) -> None:
    """Look whether this machine can train, and say what mends it. Exit code 0 without faults, 1 with."""
    with errors_as_lines(debug):
        from finetune.doctor import show
        from finetune.doctor.examine import examine
        from finetune.doctor.facts import gather
        from tooltune.console import Terminal

        findings = examine(gather())
        language = lang or show.system_language()
        if as_json:
            typer.echo(json.dumps(show.as_json(findings, language), indent=1, ensure_ascii=False))
        else:
            show.print_report(Terminal(markup=True), findings, language)
    if any(f.state == "fault" for f in findings):
        raise typer.Exit(1)
