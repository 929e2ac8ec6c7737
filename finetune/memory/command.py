"""`python -m finetune plan`: will it fit, term by term, before anything is loaded."""

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from data.cli import DEBUG, Debug, errors_as_lines

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PRESET|FILE] [KEY=VALUE ...]", help="as for train; 6gb when left out"),
]


@dataclass(frozen=True)
class Options:
    """What the command line says besides the config. `budget` in GiB."""

    budget: float | None
    fit: bool
    table: bool
    labelled: float
    offload_embedding: bool
    swap: int
    turing: bool
    json: bool


def plan(
    arguments: Words = None,
    budget: Annotated[
        float | None, typer.Option(min=0.5, help="GiB; else the preset's, the card's free memory, or 6")
    ] = None,
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
        _plan(
            source, words, Options(budget, fit, table, labelled, offload_embedding, swap, turing, as_json)
        )  # fmt: skip


def preset_budget(source: str) -> float | None:
    """GiB in a preset's name: 6 for `6gb` and `6gb-overfit-study`; None for any other."""
    found = re.match(r"(\d+)gb\b", Path(source).stem)
    return float(found[1]) if found else None


def _plan(source: str, overrides: list[str], options: Options) -> None:
    from data.runs import runs_dir
    from finetune.config import load_config
    from finetune.memory.calibration import calibrate
    from finetune.memory.card import find_card
    from finetune.memory.overheads import GIB, UNCALIBRATED
    from finetune.memory.plan import make_plan
    from finetune.memory.setup import ENGINES, setup_from
    from finetune.memory.shapes import shape_of

    config = load_config(source, overrides)
    shape, origin = shape_of(config.model.name)
    card = find_card()
    calibration = calibrate(runs_dir(), card.name) if card else UNCALIBRATED
    turing = options.turing or bool(card and card.turing)
    chosen = "unsloth" if config.model.backend == "unsloth" else "trl"
    plans = []
    for engine in sorted(ENGINES, key=lambda e: e != chosen):
        s = setup_from(config, shape, engine, labelled=options.labelled, turing=turing)
        if engine == "unsloth":
            s = replace(s, offload_embedding=options.offload_embedding, swapped=options.swap)
        plans.append(make_plan(s, calibration))
    gib = options.budget or preset_budget(source) or (card.free / GIB if card else 6)
    if options.json:
        typer.echo(json.dumps(_json(config.model.name, origin, plans, gib * GIB, options), indent=1))
    else:
        _print(source, config.model.name, origin, plans, gib * GIB, card, options)


def _json(model: str, origin: str, plans: list[Any], budget: float, options: Options) -> dict[str, Any]:
    from finetune.memory.advice import advise
    from finetune.memory.fit import find_fit
    from finetune.memory.show import as_json

    answer = {
        "model": model,
        "shape": origin,
        "plan": as_json(plans[0], budget, advise(plans[0], budget)),
        "others": [as_json(p, budget, []) for p in plans[1:]],
    }
    if options.fit:
        answer["fit"] = asdict(find_fit(plans[0].setup, budget, plans[0].calibration))
    return answer


def _print(source: str, model: str, origin: str, plans: list[Any], budget: float, card: Any, options: Options) -> None:
    from rich.console import Console

    from finetune.memory import show
    from finetune.memory.advice import advise
    from finetune.memory.fit import find_fit, grid

    console = Console(highlight=False)
    if Path(source).stem == "cpu":
        console.print(
            "The cpu preset trains on the processor, and main memory is not planned. "
            "This is what its settings would take on a GPU:\n"
        )
    s, calibration = plans[0].setup, plans[0].calibration
    console.print(
        f"[bold]{model}[/bold], {'4' if s.four_bit else '16'}-bit, LoRA r {s.r}; micro-batch {s.micro_batch} × "
        f"{s.length:,} tokens × accumulation {s.accumulation} [dim](shape: {origin})[/dim]"
    )
    if options.table:
        show.print_grid(console, grid(s, calibration), budget)
    elif options.fit:
        show.print_fit(console, find_fit(s, budget, calibration), s, budget)
    else:
        show.print_plan(console, plans, budget, advise(plans[0], budget))
    if card:
        result = plans[0].verdict(card.free)
        free = f"{show.amount(card.free)} free of {show.amount(card.total)}"
        console.print(f"This machine: {card.name}, {free}: {result}.")
