"""A check's report on the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data.check.finding import Finding
from data.check.lengths import Lengths
from data.check.report import CheckReport
from data.check.words import phrase
from tooltune.page.text import one_line
from tooltune.words import Language, in_language

SHOWN = 12
"""Tools that are listed."""
_COLOUR = {"error": "red", "warning": "yellow", "note": "cyan"}


def show(report: CheckReport, console: Console, lang: Language = "en") -> None:
    """Print the summary, the balance, the lengths and the findings."""
    console.print(_files(report, lang))
    console.print(_balance(report, lang))
    if report.tokens:
        console.print(_tokens(report.tokens, lang))
    _shared(report, console, lang)
    for finding in report.findings:
        _finding(finding, console, lang)
    verdict = phrase("unfit" if report.errors else "fit")
    warnings = sum(finding.level == "warning" for finding in report.findings)
    console.print(phrase("kinds", verdict=verdict, errors=len(report.errors), warnings=warnings).text(lang))


def _heads(key: str, lang: Language) -> list[str]:
    return phrase(key).text(lang).split("|")


def _files(report: CheckReport, lang: Language) -> Table:
    table = Table(title=phrase("files").text(lang), title_justify="left")
    name, form, *numbers = _heads("files.head", lang)
    table.add_column(name, overflow="fold")
    table.add_column(form)
    for head in numbers:
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


def _balance(report: CheckReport, lang: Language) -> Table:
    table = Table(title=phrase("balance").text(lang), title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("counts", overflow="fold")
    total = report.tools.total()
    tools = [f"{name} {n} ({n / total:.0%})" for name, n in report.tools.most_common(SHOWN)]
    more = [phrase("balance.more", n=len(report.tools) - SHOWN).text(lang)] if len(report.tools) > SHOWN else []
    head = phrase("balance.calls", calls=total, tools=len(report.tools))
    table.add_row(head.text(lang), escape(", ".join(tools + more)))
    languages = ", ".join(f"{name} {n}" for name, n in report.languages.most_common())
    table.add_row(phrase("balance.languages").text(lang), languages)
    for split, counts in report.buckets.items():
        if {*counts} != {"–"}:
            head = phrase("balance.buckets", split=split)
            table.add_row(head.text(lang, escape), escape(", ".join(f"{b} {n}" for b, n in sorted(counts.items()))))
    return table


def _tokens(tokens: Lengths, lang: Language) -> Table:
    table = Table(title=phrase("tokens", tokenizer=tokens.tokenizer).text(lang, escape), title_justify="left")
    first = next(iter(tokens.styles.values()))
    style, *numbers = _heads("tokens.head", lang)
    table.add_column(style)
    for head in (*numbers, *(f"> {limit}" for limit in first["over"])):
        table.add_column(head, justify="right")
    for style, found in tokens.styles.items():
        numbers = [found["median"], found["p95"], found["longest"], *found["over"].values()]
        table.add_row(style, *map(str, numbers))
    return table


def _shared(report: CheckReport, console: Console, lang: Language) -> None:
    """What training reads once, a line a split."""
    if not report.shared:
        return
    first = next(iter(report.shared.values()))
    unit = "" if first.unit == "token" else phrase("once.characters")
    console.print(phrase("once", step=first.step, unit=unit).text(lang), style="italic")
    for split, found in report.shared.items():
        where = f"{escape(split)}: " if len(report.shared) > 1 else ""
        console.print(f"  {where}{escape(found.sentence().text(lang))}", soft_wrap=True)
    console.print("  " + phrase("once.plan").text(lang), style="dim", soft_wrap=True)


def _finding(finding: Finding, console: Console, lang: Language) -> None:
    level = f"[{_COLOUR[finding.level]}]{phrase(f'level.{finding.level}').text(lang)}[/]"
    console.print(f"{level} {escape(one_line(in_language(finding.what, lang)))} [dim]× {finding.count}[/]")
    for example in finding.examples:
        console.print(f"    {escape(one_line(in_language(example, lang)))}", soft_wrap=True)
    if finding.count > len(finding.examples) > 0:
        console.print(f"    [dim]{phrase('more', n=finding.count - len(finding.examples)).text(lang)}[/]")
    console.print(f"    → {escape(one_line(in_language(finding.fix, lang)))}", soft_wrap=True)
