"""`python -m finetune doctor`."""

from typing import Annotated

import typer

from tooltune.cli import DEBUG, Debug, TerminalLang, errors_as_lines, print_json


def doctor(
    lang: TerminalLang = None,
    as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False,
    debug: Debug = DEBUG,
) -> None:
    """Look whether this machine can train, and say what mends it. Exit code 0 without faults, 1 with."""
    with errors_as_lines(debug):
        from finetune.doctor import show
        from finetune.doctor.examine import examine
        from finetune.doctor.facts import gather
        from tooltune.console import Terminal
        from tooltune.words import system_language

        findings = examine(gather())
        language = lang or system_language()
        if as_json:
            print_json(show.as_json(findings, language))
        else:
            show.print_report(Terminal(markup=True), findings, language)
    if any(f.state == "fault" for f in findings):
        raise typer.Exit(1)
