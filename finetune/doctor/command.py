"""`python -m finetune doctor`."""

from typing import Annotated, Literal

import typer

from tooltune.cli import DEBUG, Debug, errors_as_lines, print_json


def doctor(
    lang: Annotated[
        Literal["ko", "en"] | None, typer.Option(help="language of the report; the system's when left out")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False,
    debug: Debug = DEBUG,
) -> None:
    """Look whether this machine can train, and say what mends it. Exit code 0 without faults, 1 with."""
    with errors_as_lines(debug):
        from rich.console import Console

        from finetune.doctor import show
        from finetune.doctor.examine import examine
        from finetune.doctor.facts import gather

        findings = examine(gather())
        language = lang or show.system_language()
        if as_json:
            print_json(show.as_json(findings, language))
        else:
            show.print_report(Console(highlight=False), findings, language)
    if any(f.state == "fault" for f in findings):
        raise typer.Exit(1)
