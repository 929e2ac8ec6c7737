"""`python -m finetune plan`: will it fit, term by term, before anything is loaded."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from data.cli import DEBUG, Debug, errors_as_lines

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PRESET|FILE] [KEY=VALUE ...]", help="as for train; 6gb when left out"),
]


def plan(
    arguments: Words = None,
    budget: Annotated[float | None, typer.Option(help="GiB; the preset's, the card's free memory, or 6")] = None,
    fit: Annotated[bool, typer.Option("--fit", help="the largest micro-batch and the longest rows that fit")] = False,
    table: Annotated[bool, typer.Option("--table", help="micro-batch × length")] = False,
    labelled: Annotated[float, typer.Option(min=0, max=1, help="share of the tokens that are trained on")] = 1.0,
    offload_embedding: Annotated[
        bool, typer.Option("--offload-embedding", help="untied input embedding in host memory (Unsloth)")
    ] = False,
    swap: Annotated[int, typer.Option(min=0, help="so many layers in host memory (Unsloth's offload_layers)")] = 0,
    turing: Annotated[
        bool, typer.Option("--turing", help="a card before Ampere: GTX 16xx, RTX 20xx, T4; found by itself")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="for scripts; sizes in bytes")] = False,
    docs: Annotated[bool, typer.Option("--docs", help="write docs/memory.md and the presets' memory lines")] = False,
    debug: Debug = DEBUG,
) -> None:
    """Say whether a run fits a GPU: every term, the peak, the verdict, and what to change."""
    with errors_as_lines(debug):
        if docs:
            from finetune.memory.docs import write_docs

            for path in write_docs():
                typer.echo(f"Written: {path}")
            return
        words = list(arguments or [])
        source = words.pop(0) if words and "=" not in words[0] else "6gb"
        _plan(source, words, budget, fit, table, labelled, offload_embedding, swap, turing, as_json)


def _plan(
    source: str,
    overrides: list[str],
    budget_gib: float | None,
    fit: bool,
    table: bool,
    labelled: float,
    offload_embedding: bool,
    swap: int,
    turing: bool,
    json_wanted: bool,
) -> None:
    from rich.console import Console

    from data.runs import runs_dir
    from finetune.config import load_config
    from finetune.memory import show
    from finetune.memory.advice import advise
    from finetune.memory.calibration import calibrate
    from finetune.memory.card import find_card
    from finetune.memory.fit import BATCHES, LENGTHS, find_fit, with_batch
    from finetune.memory.overheads import GIB, UNCALIBRATED
    from finetune.memory.plan import make_plan
    from finetune.memory.setup import Engine, setup_from
    from finetune.memory.shapes import shape_of

    config = load_config(source, overrides)
    shape, origin = shape_of(config.model.name)
    card = find_card()
    calibration = calibrate(runs_dir(), card.name) if card else UNCALIBRATED
    engines: list[Engine] = (
        ["unsloth", "trl", "full"] if config.model.backend == "unsloth" else ["trl", "unsloth", "full"]
    )
    setups = [
        setup_from(config, shape, engine, labelled=labelled, turing=turing or bool(card and card.turing))
        for engine in engines
    ]
    setups = [
        replace(s, offload_embedding=offload_embedding, swapped=swap) if s.engine == "unsloth" else s for s in setups
    ]
    plans = [make_plan(s, calibration) for s in setups]
    chosen = plans[0]
    free = card.free if card else None
    budget = (budget_gib or preset_budget(source) or (free or 6 * GIB) / GIB) * GIB
    advice = advise(chosen, budget)
    if json_wanted:
        answer: dict[str, Any] = {
            "model": config.model.name,
            "shape": origin,
            "plan": show.as_json(chosen, budget, advice),
        }
        answer["others"] = [show.as_json(p, budget, []) for p in plans[1:]]
        if fit:
            answer["fit"] = vars(find_fit(chosen.setup, budget, calibration))
        typer.echo(json.dumps(answer, indent=1))
        return
    console = Console(highlight=False)
    if Path(source).stem == "cpu":
        console.print(
            "This preset trains on the processor, whose memory is not planned here. What follows is for its settings "
            "on a GPU.\n"
        )
    bits = "4-bit" if config.model.load_in_4bit else "16-bit"
    s = chosen.setup
    console.print(
        f"[bold]{config.model.name}[/bold], {bits}, LoRA r {s.r}, micro-batch {s.micro_batch} × {s.length:,} tokens "
        f"× accumulation {s.accumulation} [dim](shape: {origin})[/dim]"
    )
    if table:
        grid = {b: {n: make_plan(replace(with_batch(s, b), length=n), calibration) for n in LENGTHS} for b in BATCHES}
        show.print_grid(console, grid, budget)
    elif fit:
        show.print_fit(console, find_fit(s, budget, calibration), chosen, budget)
    else:
        show.print_plan(console, plans, budget, advice)
    if card and free is not None:
        result = chosen.verdict(free)
        console.print(f"This machine: {card.name}, {show.amount(free)} free of {show.amount(card.total)}: {result}.")


def preset_budget(source: str) -> float | None:
    """GiB in a preset's name: 6 for `6gb` and `6gb-overfit-study`; None for any other."""
    found = re.match(r"(\d+)gb\b", Path(source).stem)
    return float(found[1]) if found else None
