"""`python -m finetune plan`: will it fit, term by term, before anything is loaded."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finetune.arguments import named
from finetune.memory.words import said
from finetune.words import phrase
from tooltune.cli import DEBUG, LANG, Debug, TerminalLang, errors_as_lines
from tooltune.errors import InputError
from tooltune.words import Language, Phrase

if TYPE_CHECKING:
    from finetune.device import Device
    from finetune.memory.calibration import Finished
    from finetune.memory.installed_card import Card
    from finetune.memory.plan import Plan
    from finetune.memory.sharing import Rows
    from finetune.memory.stages import Stage
    from tooltune.config import Config

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PRESET|FILE] [KEY=VALUE ...]", help="as for train; 6gb when left out"),
]

ORIGINS = ("built-in table", "config.json in the hub's cache")


@dataclass(frozen=True)
class PlanOptions:
    """What the command line says besides the config. `budget` in GiB."""

    budget: float | None
    fit: bool
    table: bool
    labelled: float
    turing: bool
    json: bool
    lang: Language


def plan(
    arguments: Words = None,
    budget: Annotated[
        float | None,
        typer.Option(min=0.5, max=1024, help="GiB; else memory.budget_gb, memory.card_gb, the free memory, or 6"),
    ] = None,
    fit: Annotated[bool, typer.Option("--fit", help="the largest micro-batch and the longest rows that fit")] = False,
    table: Annotated[bool, typer.Option("--table", help="micro-batch × length")] = False,
    labelled: Annotated[
        float, typer.Option(min=0, max=1, help="share of the computed tokens that are trained on")
    ] = 1.0,
    turing: Annotated[
        bool, typer.Option("--turing", help="a card before Ampere: GTX 16xx, RTX 20xx, T4; detected when left out")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="for scripts; sizes in bytes")] = False,
    every: Annotated[bool, typer.Option("--all", help="training, evaluation and export of every preset")] = False,
    docs: Annotated[bool, typer.Option("--docs", help="write docs/memory.md and the presets' memory tables")] = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Say whether a run fits a GPU: every term, the peak, the verdict, and what to change; with data.train=FILE, what
    its rows share and what that saves."""
    with errors_as_lines(debug):
        if every or docs:
            of_one_plan = {"--budget": budget, "--fit": fit, "--table": table, "--labelled": labelled != 1}
            _refuse("--docs" if docs else "--all", [*(arguments or []), *(k for k, v in of_one_plan.items() if v)])
        if docs:
            from finetune.memory.docs import write_docs
            from tooltune.console import say

            for path in write_docs():
                say(f"Written: {path}")
            return
        if every:
            _all(turing, as_json, lang)
            return
        source, overrides = named(arguments)
        _plan(
            source or "6gb",
            overrides,
            PlanOptions(budget, fit, table, labelled, turing, as_json, lang),
        )


def _refuse(option: str, given: list[str]) -> None:
    """
    Raises:
        InputError: something is given that makes sense for the plan of one config only.
    """
    if given:
        raise InputError(
            f"{option} is for every preset as shipped, each on its own card; {', '.join(given)} cannot go with it",
            fix=f"leave it out, or leave out {option} to plan one preset",
        )


@dataclass(frozen=True)
class PlanAnswer:
    """What is printed. The plans are those of the three engines, the chosen one first; `budget` in bytes; `left_out`
    says which runs could not be read, and why; `stages` are those of the first plan. `padded` says why rows are not
    packed behind shared prefixes, None where they are; `rows` are the training rows, None where they were not read,
    and `unread` says why then; `rows_plan` is the first plan with them."""

    source: str
    model: str
    origin: str
    plans: list["Plan"]
    stages: list["Stage"]
    budget: float
    card: "Card | None"
    runs: list["Finished"]
    left_out: list[str]
    padded: Phrase | None
    rows: "Rows | None"
    unread: Phrase
    rows_plan: "Plan | None"


def _plan(source: str, overrides: list[str], options: PlanOptions) -> None:
    from finetune.memory.calibration import calibrate, finished_runs
    from finetune.memory.head import acts_large
    from finetune.memory.installed_card import find_card
    from finetune.memory.overheads import GIB
    from finetune.memory.plan import make_plan
    from finetune.memory.setup import ENGINES, for_rows, planned_dtype, setup_from
    from finetune.memory.shapes import shape_of
    from finetune.memory.sharing import why_padded
    from finetune.memory.stages import stages
    from tooltune.config import load_config
    from tooltune.run import runs_dir

    config = load_config(source, overrides)
    shape, origin = shape_of(config.model.name)
    card = find_card()
    left_out: list[str] = []
    runs = finished_runs(runs_dir(), card.name if card else None, left_out.append)
    calibration = calibrate(runs if card else [])  # a ratio of another machine's card would not hold here
    turing = options.turing or bool(card and card.turing)
    chosen = "unsloth" if config.model.backend == "unsloth" else "trl"
    named_gib = options.budget or config.memory.budget_gb or config.memory.card_gb
    gib = named_gib or (card.free / GIB if card else 6)
    size = named_gib * GIB if named_gib else (card.total if card else 0)
    where = {"turing": turing, "large_card": acts_large(size)}
    plans = [
        make_plan(setup_from(config, shape, engine, labelled=options.labelled, **where), calibration)
        for engine in sorted(ENGINES, key=lambda e: e != chosen)
    ]
    jobs = stages(plans[0], gib * GIB)
    device = _device(source, turing=turing)
    padded = why_padded(config, device, planned_dtype(config, shape.family, turing=turing), shape.family)
    rows, unread = _rows(config, source, overrides, device, options.lang, packed=plans[0].setup.packed)
    rows_plan = None
    if rows:
        known = for_rows(plans[0].setup, longest=rows.longest, labelled=rows.labelled)
        rows_plan = make_plan(known, calibration)
    answer = PlanAnswer(
        source, config.model.name, origin, plans, jobs, gib * GIB, card, runs, left_out, padded, rows, unread, rows_plan
    )
    if options.json:
        typer.echo(json.dumps(_json(answer, options), indent=1))
    else:
        _print(answer, options)


def _device(source: str, *, turing: bool) -> "Device":
    """What a run of this preset would use, as far as packing asks: a card, or a processor for the cpu presets."""
    from finetune.device import Device
    from finetune.memory.setup import planned_card

    return Device("cpu", "", (0, 0), 0, bf16=False) if _on_cpu(source) else planned_card(turing=turing)


def _on_cpu(source: str) -> bool:
    return Path(source).stem.startswith("cpu")


def _rows(
    config: "Config", source: str, overrides: list[str], device: "Device", lang: Language, *, packed: bool
) -> tuple["Rows | None", Phrase]:
    """The rows where the user names a file of them, in the command or in a config of their own, for it takes seconds;
    else why they were not read."""
    from finetune.memory.sharing import look_at_rows
    from tooltune.config import preset_names

    if source in preset_names() and not any(word.startswith("data.train=") for word in overrides):
        return None, said("unread.not_named")
    return look_at_rows(config, device, lang, packed=packed), said("unread.no_tokenizer")


def _all(turing: bool, as_json: bool, lang: Language) -> None:
    from finetune.memory import show
    from finetune.memory.installed_card import find_card
    from finetune.memory.overheads import assumed
    from finetune.memory.stages import every_preset
    from tooltune.console import Terminal

    card = find_card()
    found = every_preset(turing=turing or bool(card and card.turing), calibration=assumed())
    if as_json:
        listed = {
            name: {"budget": int(budget), "stages": [asdict(s) for s in jobs]} for name, (budget, jobs) in found.items()
        }
        typer.echo(json.dumps(listed, indent=1))
    else:
        show.print_presets(Terminal(markup=True), found, lang)


def _json(answer: PlanAnswer, options: PlanOptions) -> dict[str, Any]:
    from finetune.memory.advice import advise
    from finetune.memory.fit import find_fit
    from finetune.memory.host import main_memory
    from finetune.memory.show import as_json

    first, *others = answer.plans
    found = {
        "model": answer.model,
        "shape": answer.origin,
        "plan": as_json(first, answer.budget, advise(first, answer.budget)),
        "stages": [asdict(stage) for stage in answer.stages],
        "others": [as_json(p, answer.budget, []) for p in others],
        "runs": [asdict(run) | {"error": run.error} for run in answer.runs],
        "left_out": answer.left_out,
        "padded": str(answer.padded or ""),
        "rows": _rows_json(answer) if answer.rows else None,
        "main_memory": main_memory()[2] if _on_cpu(answer.source) else None,
    }
    if options.fit:
        found["fit"] = asdict(find_fit(first.setup, answer.budget, first.calibration))
    return found


def _rows_json(answer: PlanAnswer) -> dict[str, Any]:
    rows, plan = answer.rows, answer.rows_plan
    assert rows and plan
    sizes = {"expected": plan.expected, "gate": plan.gate, "verdict": plan.verdict(answer.budget)}
    shared = rows.shared.to_dict()
    named_by = {"shared": shared, "sentence": shared["sentence"], "tokenizer": str(rows.tokenizer)}
    return asdict(replace(rows, shared=replace(rows.shared, reason=None))) | sizes | named_by


def _print(answer: PlanAnswer, options: PlanOptions) -> None:
    from rich.markup import escape

    from finetune.memory import show
    from finetune.memory.advice import advise
    from finetune.memory.fit import find_fit, grid
    from finetune.memory.host import main_memory
    from finetune.memory.overheads import CPU_RUN
    from tooltune.console import Terminal

    console = Terminal(markup=True)
    budget, first, lang = answer.budget, answer.plans[0], options.lang

    def say_machine(name: Phrase | str, free: int, total: int, verdict: str) -> None:
        sizes = phrase("plan.free", free=show.amount(free), total=show.amount(total))
        machine = phrase("plan.machine", card=name, free=sizes, verdict=phrase(f"verdict.{verdict}"))
        console.print(machine.text(lang), markup=False)

    if _on_cpu(answer.source):
        console.print(said("cpu", need=CPU_RUN).text(lang), soft_wrap=True)
        if not (answer.card or options.budget or options.fit or options.table):
            if answer.rows and answer.rows_plan:
                show.print_rows(console, answer.rows, answer.rows_plan, None, lang, packed=not answer.padded)
            say_machine(said("head.main_memory"), *main_memory())
            return
    s = first.setup
    recipe = said(
        "recipe",
        model=answer.model,
        bits=4 if s.four_bit else 16,
        r=s.r,
        rows=s.micro_batch,
        length=s.length,
        accumulation=s.accumulation,
        origin=said(f"shape.{answer.origin}") if answer.origin in ORIGINS else answer.origin,
    )
    console.print(recipe.text(lang, escape))
    if not answer.card and not s.turing:
        console.print(said("no_card", preset=answer.source).text(lang))
    show.print_packing(console, answer.padded, s, lang)
    if answer.rows and answer.rows_plan:
        show.print_rows(console, answer.rows, answer.rows_plan, budget, lang, packed=not answer.padded)
    else:
        console.print(said("unread", why=answer.unread).text(lang), style="dim")
    if options.table:
        show.print_grid(console, grid(s, first.calibration), budget, lang)
    elif options.fit:
        show.print_fit(console, find_fit(s, budget, first.calibration), s, budget, lang)
    else:
        show.print_plan(console, answer.plans, answer.stages, budget, advise(first, budget), lang)
        show.print_runs(console, answer.runs, lang)
        for line in answer.left_out:
            console.print(line, markup=False, style="dim", soft_wrap=True)
    if answer.card:
        card = answer.card
        say_machine(card.name, card.free, card.total, first.verdict(card.free))
