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
from finetune.memory.overheads import GIB, MIB, UNCALIBRATED
from finetune.memory.plan import Plan
from finetune.memory.setup import ENGINES, Setup
from finetune.memory.sharing import Rows
from finetune.memory.stages import Stage
from finetune.words import phrase
from tooltune.words import Language

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
    _print_engines(console, plans, budget)
    _print_stages(console, stages, budget)
    _print_terms(console, plans)
    _print_phases(console, plans)
    console.print("[dim]TRL: transformers + PEFT + TRL's fused LM head. Full logits: transformers' own loss.[/dim]")
    if chosen.setup.own_head:
        console.print("[dim]Packed rows and role weights have this project's LM head and loss instead.[/dim]")
    if chosen.host:
        console.print(
            "In main memory while it trains: "
            + "; ".join(f"{name} {amount(size)}" for name, size in chosen.host.items())
        )
    calibrated = chosen.calibration.runs
    console.print(
        f"Between {amount(chosen.least)} and {amount(chosen.gate)}. "
        "Tensors are within 3 % of a byte count of the real code; "
        + (f"the ratio on top is from {calibrated} finished runs on this card." if calibrated else _UNSEEN)
    )
    if not calibrated and chosen.calibration != UNCALIBRATED:
        console.print(f"[dim]{_STOCK}[/dim]")
    _print_advice(console, advice, chosen.verdict(budget))


_UNSEEN = "context and allocator are assumed until a run on this card has finished."
_STOCK = "Windows and WSL: segments cannot grow, so 11 % are expected on top of the tensors instead of 3 %."
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


def _print_engines(console: Console, plans: list[Plan], budget: float) -> None:
    scale, width = max(budget, *(p.gate for p in plans)), _width(console, ENGINE_COLUMNS)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for plan in plans:
        verdict = plan.verdict(budget)
        drawn = bar(console, width, plan.expected / scale, plan.gate / scale, budget / scale)
        sizes = f"{plan.expected / GIB:.2f} to {plan.gate / GIB:.2f} GiB"
        colour = COLOURS[verdict]
        table.add_row(ENGINES[plan.setup.engine], f"[{colour}]{drawn}[/]", sizes, f"[{colour}]{verdict}[/]")
    console.print(table)
    console.print("[dim]filled: expected in use; shaded: must be free; the line: the budget[/dim]\n")


def _print_stages(console: Console, stages: list[Stage], budget: float) -> None:
    table = Table(title="From training to export", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("", "must be free", "main memory", "disk", ""):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for stage in stages:
        at_once = f" for one prompt, up to {stage.batch}" if stage.batch else ""
        said = f"{stage.verdict}{at_once}" if stage.gate else "on the CPU"
        sizes = [amount(size) for size in (stage.gate, stage.host, stage.disk)]
        table.add_row(stage.name, *sizes, f"[{COLOURS[stage.verdict]}]{said}[/]")
    console.print(table)
    console.print()


def print_presets(console: Console, presets: dict[str, tuple[float, list[Stage]]]) -> None:
    """The stages of every preset, a line each, against the card that it is made for."""
    title = "Every preset on its card: GiB that must be free; export takes main memory and disk"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("preset", "card", "training", "evaluation", "export", "disk", ""):
        table.add_column(column, justify="left" if column in ("", "preset") else "right", no_wrap=True)
    for name, (budget, stages) in presets.items():
        training, evaluation, export = stages
        worst = max((stage.verdict for stage in stages), key=list(COLOURS).index)
        sizes = [budget, training.gate, evaluation.gate, export.host, export.disk]
        table.add_row(name, *(f"{size / GIB:.2f}" for size in sizes), f"[{COLOURS[worst]}]{worst}[/]")
    console.print(table)


def _beside(title: str, plans: list[Plan]) -> Table:
    """A table with a name, a column a plan, and a bar."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for plan in plans:
        table.add_column(ENGINES[plan.setup.engine], justify="right")
    table.add_column("")
    return table


def _print_terms(console: Console, plans: list[Plan]) -> None:
    chosen = plans[0]
    scale, width = max(term.size for term in chosen.terms), _width(console, TERM_COLUMNS)
    table = _beside("Where it goes", plans)
    for always, heading in ((True, "all the time"), (False, "at its time")):
        table.add_row(f"[dim]{heading}[/dim]")
        for number, term in enumerate(chosen.terms):
            if term.always is always:
                drawn = f"[cyan]{bar(console, width, term.size / scale, 0)}[/]"
                table.add_row(f"  {term.name}", *[amount(p.terms[number].size) for p in plans], drawn)
    console.print(table)
    console.print()


def _print_phases(console: Console, plans: list[Plan]) -> None:
    chosen = plans[0]
    table = _beside("When it is highest (tensors alive)", plans)
    scale, width = max(chosen.phases.values()), _width(console, TERM_COLUMNS)
    for phase, size in chosen.phases.items():
        highest = phase == chosen.peak
        cells = [
            f"[bold]{amount(p.phases[phase])}[/bold]" if p.peak == phase else amount(p.phases[phase]) for p in plans
        ]
        drawn = f"[{'magenta' if highest else 'cyan'}]{bar(console, width, size / scale, 0)}[/]"
        table.add_row(f"  {phase}", *cells, drawn)
    console.print(table)
    console.print()


def print_runs(console: Console, runs: list[Finished]) -> None:
    """The plan of each of the last finished runs beside what it took."""
    if not runs:
        console.print("[dim]Planned against measured: no run on a GPU has finished here yet.[/dim]")
        return
    table = Table(title="The last runs, planned against measured", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("run", "tensors planned", "measured", "error", "reserved", "expected in use"):
        table.add_column(column, justify="left" if column == "run" else "right")
    for run in runs[-LAST:]:
        sizes = [run.planned, run.allocated, run.reserved, run.expected]
        planned, allocated, reserved, expected = (f"{size:.2f} GiB" for size in sizes)
        table.add_row(escape(run.name), planned, allocated, f"{run.error:+.1%}", reserved, expected)
    console.print(table)


def print_packing(console: Console, padded: str, s: Setup) -> None:
    """Whether rows are packed behind shared prefixes; `padded` says why not."""
    if padded:
        console.print(f"Rows are padded, each computed whole: {padded}", soft_wrap=True)
    else:
        most = f", at most {s.tokens:,} tokens in a pass" if s.packed else ""
        console.print(f"The start that rows share is computed once{most} (docs/shared-prefix.md)", soft_wrap=True)


def print_rows(console: Console, rows: Rows, plan: Plan, budget: float, *, packed: bool) -> None:
    """What the user's rows share, and their plan against the budget."""
    instead = "" if packed else " if they were packed"
    console.print(f"[bold]{rows.shared.sentence()}[/bold]", soft_wrap=True)
    console.print(
        f"[dim]{rows.shared.rows:,} rows, {rows.shared.total:,} tokens an epoch, {rows.shared.computed:,} computed"
        f"{instead}; effective batch {rows.shared.step}[/dim]",
        soft_wrap=True,
    )
    if not rows.own:
        whose = escape(rows.tokenizer.name)
        console.print(f"[dim]In tokens of {whose}: the model's tokenizer is not on this machine[/dim]")
    verdict = plan.verdict(budget)
    console.print(
        f"With these rows (longest {rows.longest:,} tokens, {rows.labelled:.0%} of the computed ones trained on): must "
        f"be free {amount(plan.gate)}, expected in use {amount(plan.expected)}: [{COLOURS[verdict]}]{verdict}[/]",
        soft_wrap=True,
    )


def _print_advice(console: Console, advice: list[Advice], result: str) -> None:
    if not advice:
        return
    title = "What would lower it" if result == "fits" else "What to change"
    console.print()
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for column in ("", "saves", "then"):
        table.add_column(column, justify="right" if column == "saves" else "left")
    for item in advice:
        table.add_row(item.what, amount(item.saves), f"[{COLOURS[item.verdict]}]{item.verdict}[/]")
        table.add_row(f"  [dim]{item.how}[/dim]")
    console.print(table)
    console.print()


def print_fit(console: Console, fit: Fit, s: Setup, budget: float) -> None:
    """What fits at most, and what to type for it."""
    effective = s.micro_batch * s.accumulation
    if not fit.longest:
        console.print(
            f"[red]No row of any length fits in {amount(budget)}.[/red] `plan` without --fit says what to change."
        )
        return
    console.print(f"In {amount(budget)}, with the effective batch kept at {effective}:")
    found = [(f"longest rows: [bold]{fit.longest:,} tokens[/bold]", 1, effective, fit.longest)]
    if fit.micro_batch and fit.accumulation:
        batch = f"largest micro-batch at {s.length:,} tokens: [bold]{fit.micro_batch}[/bold]"
        found.append((batch, fit.micro_batch, fit.accumulation, s.length))
    for what, rows, accumulation, length in found:
        console.print(f"  {what}")
        console.print(
            f"    train.micro_batch={rows} train.accumulation={accumulation} data.max_length={length}", soft_wrap=True
        )


def print_grid(console: Console, grid: dict[int, dict[int, Plan]], budget: float) -> None:
    """Micro-batch × length: what must be free, coloured by the verdict."""
    lengths = list(next(iter(grid.values())))
    table = Table(title=f"Must be free, for a budget of {amount(budget)}", title_justify="left")
    table.add_column("micro-batch")
    for length in lengths:
        table.add_column(f"{length:,} tokens", justify="right")
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
        "advice": [{"what": a.what, "how": a.how, "saves": a.saves, "verdict": a.verdict} for a in advice],
    }
