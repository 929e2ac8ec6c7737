"""A plan as a newcomer reads it: the verdict, where the memory goes, when it is highest, and what to change."""

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from finetune.memory.advice import Advice
from finetune.memory.calibration import Finished
from finetune.memory.fit import Fit
from finetune.memory.inference import later_answers
from finetune.memory.overheads import GIB, MIB, UNCALIBRATED, Verdict
from finetune.memory.plan import Plan
from finetune.memory.setup import ENGINES, Setup
from finetune.memory.sharing import Rows
from finetune.memory.stages import Stage
from finetune.memory.words import said
from finetune.words import phrase
from tooltune.words import Language, Phrase

LAST = 5
"""Finished runs that are shown."""
COLOURS = {"fits": "green", "tight": "yellow", "does not fit": "red"}


def amount(size: float) -> str:
    """Bytes for people: `2.31 GiB`, `317 MiB`, `0`."""
    if size >= GIB:
        return f"{size / GIB:.2f} GiB"
    return f"{size / MIB:.0f} MiB" if size >= MIB / 2 else ("0" if not size else "< 1 MiB")


def print_verdict(console: Console, plan: Plan, budget: float, lang: Language) -> None:
    """Whether it fits, what that counts in, and when the most memory is taken."""
    result = plan.verdict(budget)
    sizes = {"budget": amount(budget), "gate": amount(plan.gate), "expected": amount(plan.expected)}
    verdict = f"[{COLOURS[result]}][bold]{phrase(f'plan.{result}').text(lang)}[/bold][/]"
    console.print(f"\n{verdict} {phrase('plan.sizes', **sizes).text(lang)}")
    meaning = phrase("plan.highest", meaning=phrase(f"plan.{result}.means"), phase=phrase(f"phase.{plan.peak}"))
    console.print(f"[dim]{meaning.text(lang)}[/dim]\n")


def print_plan(
    console: Console, plans: list[Plan], stages: list[Stage], budget: float, advice: list[Advice], lang: Language
) -> None:
    """Print the chosen engine's verdict, the engines and the stages against the budget, every term, the phases, and the
    advice."""
    chosen = plans[0]
    print_verdict(console, chosen, budget, lang)
    _print_engines(console, plans, budget, lang)
    _print_stages(console, stages, budget, lang)
    _print_terms(console, plans, lang)
    _print_phases(console, plans, lang)
    console.print(said("engines").text(lang), style="dim")
    if chosen.setup.own_head:
        console.print(said("engines.own_head").text(lang), style="dim")
    if chosen.host:
        listed = "; ".join(f"{said(f'host.{name}').text(lang)} {amount(size)}" for name, size in chosen.host.items())
        console.print(said("host", listed=listed).text(lang))
    calibrated = chosen.calibration.runs
    above = said("between.runs", n=calibrated) if calibrated else said("between.unseen")
    between = said("between", least=amount(chosen.least), gate=amount(chosen.gate), above=above)
    console.print(between.text(lang))
    if not calibrated and chosen.calibration != UNCALIBRATED:
        console.print(said("between.windows").text(lang), style="dim")
    _print_advice(console, advice, chosen.verdict(budget), lang)


ENGINE_COLUMNS, TERM_COLUMNS = 49, 62
"""Characters that the other columns of a table with bars take; the bar has the rest of the terminal, 40 at most."""


def _width(console: Console, others: int) -> int:
    return max(8, min(40, console.width - others))


def bar(console: Console, width: int, solid: float, shaded: float, mark: float | None = None) -> str:
    """A bar of at most `width` characters: filled to the share `solid`, shaded to `shaded`, with a line at `mark`."""
    full, shade, line = ("#", "-", "|") if console.options.ascii_only else ("█", "▒", "│")
    filled = max(round(width * solid), int(solid > 0))
    cells = [*full * filled, *shade * (round(width * shaded) - filled)]
    if mark is not None:
        at = round(width * mark)
        cells = [*cells, *" " * (at - len(cells))]
        cells.insert(at, line)
    return "".join(cells)


def _verdict(verdict: Verdict, lang: Language, sentence: Phrase | None = None) -> str:
    return f"[{COLOURS[verdict]}]{(sentence or phrase(f'verdict.{verdict}')).text(lang)}[/]"


def _print_engines(console: Console, plans: list[Plan], budget: float, lang: Language) -> None:
    scale, width = max(budget, *(p.gate for p in plans)), _width(console, ENGINE_COLUMNS)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for plan in plans:
        verdict = plan.verdict(budget)
        drawn = bar(console, width, plan.expected / scale, plan.gate / scale, budget / scale)
        sizes = said("band", low=plan.expected / GIB, high=plan.gate / GIB).text(lang)
        drawn = f"[{COLOURS[verdict]}]{drawn}[/]"
        table.add_row(ENGINES[plan.setup.engine], drawn, sizes, _verdict(verdict, lang))
    console.print(table)
    console.print(said("band.key").text(lang), style="dim", end="\n\n")


def _print_stages(console: Console, stages: list[Stage], budget: float, lang: Language) -> None:
    table = _table(said("stages"), lang)
    heads = [said(f"head.{key}").text(lang) for key in ("must_be_free", "main_memory", "disk")]
    for column in ("", *heads, ""):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for stage in stages:
        verdict = phrase(f"verdict.{stage.verdict}")
        at_once = said("stage.at_once", verdict=verdict, batch=stage.batch) if stage.batch else verdict
        sizes = [amount(size) for size in (stage.gate, stage.host, stage.disk)]
        name = said(f"stage.{stage.name}").text(lang)
        table.add_row(name, *sizes, _verdict(stage.verdict, lang, at_once if stage.gate else said("stage.on_cpu")))
    console.print(table)
    console.print()


def print_presets(console: Console, presets: dict[str, tuple[float, list[Stage]]], lang: Language) -> None:
    """The stages of every preset, a line each, against the card that it is made for."""
    table = _table(said("presets"), lang)
    table.add_column(said("head.preset").text(lang), no_wrap=True)
    for key in ("head.card", "stage.training", "stage.evaluation", "stage.export", "head.disk"):
        table.add_column(said(key).text(lang), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name, (budget, stages) in presets.items():
        training, evaluation, export = stages
        worst = max((stage.verdict for stage in stages), key=list(COLOURS).index)
        sizes = [budget, training.gate, evaluation.gate, export.host, export.disk]
        table.add_row(name, *(f"{size / GIB:.2f}" for size in sizes), _verdict(worst, lang))
    console.print(table)


def _table(title: Phrase, lang: Language, gap: int = 2) -> Table:
    return Table(title=title.text(lang), title_justify="left", box=None, padding=(0, gap, 0, 0))


def _beside(title: Phrase, plans: list[Plan], lang: Language) -> Table:
    """A table with a name, a column a plan, and a bar."""
    table = _table(title, lang)
    table.add_column("")
    for plan in plans:
        table.add_column(ENGINES[plan.setup.engine], justify="right")
    table.add_column("")
    return table


def _print_terms(console: Console, plans: list[Plan], lang: Language) -> None:
    chosen = plans[0]
    scale, width = max(term.size for term in chosen.terms), _width(console, TERM_COLUMNS)
    table = _beside(said("terms"), plans, lang)
    for always, heading in ((True, "terms.always"), (False, "terms.passing")):
        table.add_row(f"[dim]{said(heading).text(lang)}[/dim]")
        for number, term in enumerate(chosen.terms):
            if term.always is always:
                drawn = f"[cyan]{bar(console, width, term.size / scale, 0)}[/]"
                name = said(f"term.{term.name.strip()}").text(lang)
                indent = "    " if term.name.startswith(" ") else "  "
                table.add_row(f"{indent}{name}", *[amount(p.terms[number].size) for p in plans], drawn)
    console.print(table)
    console.print()


def _print_phases(console: Console, plans: list[Plan], lang: Language) -> None:
    chosen = plans[0]
    table = _beside(said("phases"), plans, lang)
    scale, width = max(chosen.phases.values()), _width(console, TERM_COLUMNS)
    for name, size in chosen.phases.items():
        highest = name == chosen.peak
        cells = [f"[bold]{amount(p.phases[name])}[/bold]" if p.peak == name else amount(p.phases[name]) for p in plans]
        drawn = f"[{'magenta' if highest else 'cyan'}]{bar(console, width, size / scale, 0)}[/]"
        table.add_row("  " + phrase(f"phase.{name}").text(lang), *cells, drawn)
    console.print(table)
    console.print()


def print_runs(console: Console, runs: list[Finished], lang: Language) -> None:
    """The plan of each of the last finished runs beside what it took."""
    if not runs:
        console.print(said("runs.none").text(lang), style="dim")
        return
    table = _table(said("runs"), lang)
    for key in ("run", "planned", "measured", "error", "reserved", "expected"):
        table.add_column(said(f"runs.{key}").text(lang), justify="left" if key == "run" else "right")
    for run in runs[-LAST:]:
        sizes = [run.planned, run.allocated, run.reserved, run.expected]
        planned, allocated, reserved, expected = (f"{size:.2f} GiB" for size in sizes)
        table.add_row(escape(run.name), planned, allocated, f"{run.error:+.1%}", reserved, expected)
    console.print(table)


def print_packing(console: Console, padded: Phrase | None, s: Setup, lang: Language) -> None:
    """Whether rows are packed behind shared prefixes; `padded` says why not."""
    packed = said("packed.most", most=s.tokens) if s.packed else said("packed")
    console.print((said("padded", why=padded) if padded else packed).text(lang), soft_wrap=True)


def print_rows(console: Console, rows: Rows, plan: Plan, budget: float | None, lang: Language, *, packed: bool) -> None:
    """What the user's rows share, and their plan against the budget, if any."""
    counts = rows.shared
    console.print(f"[bold]{counts.sentence().text(lang)}[/bold]", soft_wrap=True)
    counted = said(
        "rows.counted" if packed else "rows.if_packed",
        rows=counts.rows,
        total=counts.total,
        computed=counts.computed,
        step=counts.step,
    )
    console.print(counted.text(lang), style="dim", soft_wrap=True)
    if not rows.own:
        console.print(said("rows.other_tokenizer", name=rows.tokenizer.name).text(lang, escape), style="dim")
    if budget is None:
        return
    sizes = said(
        "rows.sizes",
        longest=rows.longest,
        labelled=rows.labelled,
        gate=amount(plan.gate),
        expected=amount(plan.expected),
    )
    console.print(f"{sizes.text(lang)} {_verdict(plan.verdict(budget), lang)}", soft_wrap=True)


def _print_advice(console: Console, advice: list[Advice], result: str, lang: Language) -> None:
    if not advice:
        return
    console.print()
    table = _table(said("advice" if result == "fits" else "advice.needed"), lang, gap=1)
    table.add_column("")
    table.add_column(said("advice.saves").text(lang), justify="right")
    table.add_column(said("advice.then").text(lang))
    for item in advice:
        table.add_row(item.what.text(lang), amount(item.saves), _verdict(item.verdict, lang))
        table.add_row(f"  [dim]{item.how}[/dim]")
    console.print(table)
    console.print()


def print_fit(console: Console, fit: Fit, s: Setup, budget: float, lang: Language) -> None:
    effective = s.micro_batch * s.accumulation
    if not fit.longest:
        console.print(said("fit.none", budget=amount(budget)).text(lang))
        return
    console.print(said("fit", budget=amount(budget), effective=effective).text(lang))
    found = [(said("fit.longest", tokens=fit.longest), 1, effective, fit.longest)]
    if fit.micro_batch and fit.accumulation:
        batch = said("fit.batch", length=s.length, rows=fit.micro_batch)
        found.append((batch, fit.micro_batch, fit.accumulation, s.length))
    for what, rows, accumulation, length in found:
        console.print(f"  {what.text(lang)}")
        console.print(
            f"    train.micro_batch={rows} train.accumulation={accumulation} data.max_length={length}", soft_wrap=True
        )


def print_grid(console: Console, grid: dict[int, dict[int, Plan]], budget: float, lang: Language) -> None:
    """Micro-batch × length: what must be free, coloured by the verdict."""
    lengths = list(next(iter(grid.values())))
    table = Table(title=said("table", budget=amount(budget)).text(lang), title_justify="left")
    table.add_column(said("table.batch").text(lang))
    for length in lengths:
        table.add_column(said("table.tokens", length=length).text(lang), justify="right")
    for batch, row in grid.items():
        cells = [f"[{COLOURS[p.verdict(budget)]}]{amount(p.gate)}[/]" for p in row.values()]
        table.add_row(str(batch), *cells)
    console.print(table)


def as_json(plan: Plan, budget: float, advice: list[Advice]) -> dict[str, Any]:
    """The plan for scripts: every size in bytes."""
    return {
        "engine": plan.setup.engine,
        "micro_batch": plan.setup.micro_batch,
        "length": plan.setup.length,
        "verdict": plan.verdict(budget),
        "budget": int(budget),
        "gate": plan.gate,
        "expected": plan.expected,
        "least": plan.least,
        "allocated": plan.allocated,
        "peak": plan.peak,
        "terms": {term.name.strip(): term.size for term in plan.terms},
        "phases": plan.phases,
        "host": plan.host,
        "make_eval": asdict(later_answers(plan.setup, budget, plan.calibration)),
        "calibration": {"ratio": plan.calibration.ratio, "runs": plan.calibration.runs},
        "advice": [{"what": str(a.what), "how": a.how, "saves": a.saves, "verdict": a.verdict} for a in advice],
    }
