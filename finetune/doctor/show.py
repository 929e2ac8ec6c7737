"""The report on the terminal and as JSON."""

from typing import Any, get_args

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from finetune.doctor.check_result import WORDS, CheckResult, Group, State, say
from tooltune.words import Language, read_words

COLOURS: dict[State, str] = {"fine": "green", "note": "cyan", "warning": "yellow", "fault": "red"}
SIGNS: dict[State, str] = {"fine": "✓", "note": "·", "warning": "!", "fault": "✗"}


def print_report(console: Console, findings: list[CheckResult], language: Language) -> None:
    """A table a group; under a line, what mends it; a sum at the end."""
    plain = console.options.ascii_only
    for group in get_args(Group):
        console.print(f"\n[bold]{say(f'group.{group}').text(language)}[/bold]")
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
        table.add_column(no_wrap=True, min_width=9)
        table.add_column(no_wrap=True, min_width=13)
        table.add_column(overflow="fold")
        for found in findings:
            if found.group != group:
                continue
            sign = "" if plain else SIGNS[found.state] + " "
            state = f"[{COLOURS[found.state]}]{sign}{say(f'state.{found.state}').text(language)}[/]"
            table.add_row(state, _name(found.check, language), escape(found.says(language)))
            if found.fix:
                table.add_row("", "", f"[dim]{'->' if plain else '→'} {escape(found.mend(language))}[/dim]")
        console.print(table)
    console.print("\n" + summary(findings, language))


def _name(check: str, language: Language) -> str:
    """A check's name; a library's is its own."""
    key = f"check.{check}"
    return say(key).text(language) if key in read_words(WORDS) else check


def summary(findings: list[CheckResult], language: Language) -> str:
    """The last line: whether a run can start."""
    faults, warnings = (sum(f.state == state for f in findings) for state in ("fault", "warning"))
    key = "sum.faults" if faults else "sum.warnings" if warnings else "sum.ready"
    return say(key, faults=faults, warnings=warnings).text(language)


def as_json(findings: list[CheckResult], language: Language) -> dict[str, Any]:
    """For scripts: the fixed names of groups, checks and states, and the sentences."""
    lines = [
        {"group": f.group, "check": f.check, "state": f.state, "says": f.says(language), "mend": f.mend(language)}
        for f in findings
    ]
    return {"ready": not any(f.state == "fault" for f in findings), "findings": lines}
