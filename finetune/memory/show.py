"""A plan as a newcomer reads it: the verdict, where the memory goes, when it is highest, and what to change."""

from typing import Any

from rich.console import Console
from rich.table import Table

from finetune.memory.advice import Advice
from finetune.memory.fit import Fit
from finetune.memory.overheads import GIB, MIB
from finetune.memory.plan import Plan
from finetune.memory.setup import ENGINES, Setup

COLOURS = {"fits": "green", "tight": "yellow", "does not fit": "red"}
MEANING = {
    "fits": "room for the allocator's waste and the CUDA context is counted in",
    "tight": "it will probably run, but the allocator's waste may push it over",
    "does not fit": "even the expected figure is over the budget",
}


def amount(size: float) -> str:
    """Bytes for people: `2.31 GiB`, `317 MiB`, `0`."""
    if size >= GIB:
        return f"{size / GIB:.2f} GiB"
    return f"{size / MIB:.0f} MiB" if size >= MIB / 2 else ("0" if not size else "< 1 MiB")


def print_plan(console: Console, plans: list[Plan], budget: float, advice: list[Advice]) -> None:
    """Print the chosen engine's verdict, every term for all engines, the phases, and the advice."""
    chosen = plans[0]
    result = chosen.verdict(budget)
    console.print(
        f"[{COLOURS[result]}][bold]{result.upper()}[/bold][/] in {amount(budget)}: plan for [bold]{amount(chosen.gate)}"
        f"[/bold], expect {amount(chosen.expected)}; highest in: {chosen.peak}"
    )
    console.print(f"[dim]{MEANING[result]}[/dim]\n")
    console.print(_table(plans, budget))
    console.print(_phases(plans))
    console.print("[dim]TRL: transformers + PEFT + TRL's fused LM head. Full logits: transformers' own loss.[/dim]")
    if chosen.host:
        console.print("In host memory: " + "; ".join(f"{name} {amount(size)}" for name, size in chosen.host.items()))
    calibrated = chosen.calibration.runs
    console.print(
        f"Band: {amount(chosen.least)} to {amount(chosen.gate)}. "
        "Tensors are within 3 % of a byte count of the real code; "
        + (f"the ratio on top is from {calibrated} finished runs on this card." if calibrated else _UNSEEN)
    )
    _print_advice(console, advice, result)


_UNSEEN = "context and allocator are assumed until a run on this card has finished."


def _table(plans: list[Plan], budget: float) -> Table:
    table = Table(title="Where it goes", title_justify="left")
    table.add_column("")
    for plan in plans:
        table.add_column(ENGINES[plan.setup.engine], justify="right")
    table.add_row("must be free", *[f"[bold]{amount(p.gate)}[/bold]" for p in plans])
    table.add_row("expected in use", *[amount(p.expected) for p in plans])
    verdicts = [p.verdict(budget) for p in plans]
    table.add_row("verdict", *[f"[{COLOURS[v]}]{v}[/]" for v in verdicts])
    table.add_row("tensors at the peak", *[amount(p.allocated) for p in plans], end_section=True)
    for always, heading in ((True, "all the time"), (False, "at its time")):
        table.add_row(f"[dim]{heading}[/dim]")
        for number, term in enumerate(plans[0].terms):
            if term.always is always:
                table.add_row(f"  {term.name}", *[amount(p.terms[number].size) for p in plans])
        table.add_section()
    return table


def _phases(plans: list[Plan]) -> Table:
    table = Table(title="When it is highest (tensors alive)", title_justify="left")
    table.add_column("phase")
    for plan in plans:
        table.add_column(ENGINES[plan.setup.engine], justify="right")
    for phase in plans[0].phases:
        cells = [
            f"[bold]{amount(p.phases[phase])}[/bold]" if p.peak == phase else amount(p.phases[phase]) for p in plans
        ]
        table.add_row(phase, *cells)
    return table


def _print_advice(console: Console, advice: list[Advice], result: str) -> None:
    if not advice:
        return
    title = "What would lower it" if result == "fits" else "What to change"
    table = Table(title=title, title_justify="left")
    for column in ("change", "type", "saves", "then"):
        table.add_column(column, justify="right" if column == "saves" else "left", overflow="fold")
    for item in advice:
        table.add_row(item.what, item.how, amount(item.saves), f"[{COLOURS[item.verdict]}]{item.verdict}[/]")
    console.print(table)


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
        "calibration": {"ratio": plan.calibration.ratio, "runs": plan.calibration.runs},
        "advice": [{"what": a.what, "how": a.how, "saves": a.saves, "verdict": a.verdict} for a in advice],
    }
