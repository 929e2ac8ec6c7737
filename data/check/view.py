"""A check's report on the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data.check.finding import Finding
from data.check.report import CheckReport
from tooltune.page.text import one_line

SHOWN = 12
"""Tools that are listed."""
_COLOUR = {"error": "red", "warning": "yellow", "note": "cyan"}


def show(report: CheckReport, console: Console) -> None:
    """Print the summary, the balance, the lengths and the findings."""
    console.print(_files(report))
    console.print(_balance(report))
    if report.tokens:
        console.print(_tokens(report))
    _shared(report, console)
    for finding in report.findings:
        _finding(finding, console)
    kinds = {level: sum(f.level == level for f in report.findings) for level in ("error", "warning")}
    verdict = "[green]Fit to train on.[/]" if not report.errors else "[red]Not fit to train on as it is.[/]"
    console.print(f"{verdict} {_kinds(kinds['error'], 'error')}, {_kinds(kinds['warning'], 'warning')}.")


def _kinds(n: int, of: str) -> str:
    return f"{n} kind{'' if n == 1 else 's'} of {of}s"


def _files(report: CheckReport) -> Table:
    table = Table(title="Files", title_justify="left")
    table.add_column("file", overflow="fold")
    table.add_column("format")
    for head in ("rows", "records", "rejected", "no call", "one call", "several"):
        table.add_column(head, justify="right")
    for file in report.files:
        rejected = f"[red]{file['rejected']}[/]" if file["rejected"] else "0"
        numbers = [str(file[key]) for key in ("no_call", "one_call", "several_calls")]
        row = [
            escape(one_line(file["path"])),
            file["format"],
            str(file["rows"]),
            str(file["records"]),
            rejected,
            *numbers,
        ]
        table.add_row(*row)
    return table


def _balance(report: CheckReport) -> Table:
    table = Table(title="Balance", title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("counts", overflow="fold")
    total = report.tools.total()
    tools = [f"{name} {n} ({n / total:.0%})" for name, n in report.tools.most_common(SHOWN)]
    more = [f"and {len(report.tools) - SHOWN} more"] if len(report.tools) > SHOWN else []
    table.add_row(f"{total} calls, {len(report.tools)} tools", escape(", ".join(tools + more)))
    table.add_row("languages", ", ".join(f"{name} {n}" for name, n in report.languages.most_common()))
    for split, counts in report.buckets.items():
        table.add_row(f"buckets of {escape(split)}", escape(", ".join(f"{b} {n}" for b, n in sorted(counts.items()))))
    return table


def _tokens(report: CheckReport) -> Table:
    assert report.tokens
    table = Table(title=f"Tokens a row ({escape(report.tokens.tokenizer)}, project template)", title_justify="left")
    first = next(iter(report.tokens.styles.values()))
    for head in ("tools as", "median", "95 %", "longest", *(f"> {limit}" for limit in first["over"])):
        table.add_column(head, justify="left" if head == "tools as" else "right")
    for style, found in report.tokens.styles.items():
        numbers = [found["median"], found["p95"], found["longest"], *found["over"].values()]
        table.add_row(style, *map(str, numbers))
    return table


def _shared(report: CheckReport, console: Console) -> None:
    """What training reads once, a line a split."""
    if not report.shared:
        return
    first = next(iter(report.shared.values()))
    unit = "" if first.unit == "token" else "; counted in characters, for no tokenizer was used"
    console.print(f"Read once (tools as signatures, steps of {first.step} rows{unit})", style="italic")
    for split, found in report.shared.items():
        where = f"{escape(split)}: " if len(report.shared) > 1 else ""
        console.print(f"  {where}{escape(str(found.sentence()))}", soft_wrap=True)
    console.print("  What a preset makes of it: python -m finetune plan data.train=FILE", style="dim", soft_wrap=True)


def _finding(finding: Finding, console: Console) -> None:
    colour = _COLOUR[finding.level]
    console.print(f"[{colour}]{finding.level}[/] {escape(one_line(finding.what))} [dim]× {finding.count}[/]")
    for example in finding.examples:
        console.print(f"    {escape(one_line(example))}", soft_wrap=True)
    if finding.count > len(finding.examples) > 0:
        console.print(f"    [dim]… and {finding.count - len(finding.examples)} more[/]")
    console.print(f"    → {escape(one_line(finding.fix))}", soft_wrap=True)
