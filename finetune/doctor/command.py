"""`python -m finetune doctor`."""

from typing import Annotated

import typer

from tooltune.cli import DEBUG, LANG, Debug, TerminalLang, errors_as_lines, print_json


def doctor(
    lang: TerminalLang = LANG,
    as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False,
    debug: Debug = DEBUG,
) -> None:
    """Look whether this machine can train, and say what mends it. Exit code 0 without faults, 1 with."""
    with errors_as_lines(debug):
        from finetune.doctor import show
        from finetune.doctor.check_result import say
        from finetune.doctor.examine import examine
        from finetune.doctor.facts import gather
        from tooltune.console import Terminal

        with Terminal(stderr=True).status(say("looking").text(lang)):
            findings = examine(gather())
        if as_json:
            print_json(show.as_json(findings, lang))
        else:
            show.print_report(Terminal(markup=True), findings, lang)
    if any(f.state == "fault" for f in findings):
        raise typer.Exit(1)
