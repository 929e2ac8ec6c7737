"""`python -m benchmarks planner`: what the plan says of a run's memory, against what the card's allocator counted.

A case is a model, a shape of batch and an arm. Each trains a few steps in a process of its own, as in `length`, and
its highest count of allocated bytes stands beside the plan's. Evaluating and generating do not happen here, so those
phases of the plan are left out. The share of trained tokens is the one that the measured batches had.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from rich.console import Console

from benchmarks import arms, shapes
from benchmarks.arms import ArmSetup
from benchmarks.orchestrate import (
    Command,
    WorkerJob,
    base_of,
    model_folder,
    read_examples,
    run_one,
    setup_of,
    worker_command,
    write_shapes,
)
from benchmarks.report.tables import status_of
from benchmarks.report.words import say as phrase
from benchmarks.results import ArmRun, Measured, Status, result_path, save
from benchmarks.shapes import config_for
from benchmarks.this_machine import machine
from benchmarks.train import memory_limit, with_budget
from finetune.memory.installed_card import find_card
from finetune.memory.overheads import GIB
from finetune.memory.plan import make_plan
from finetune.memory.setup import Engine, setup_from
from finetune.memory.shapes import shape_of
from tooltune.config import Config
from tooltune.errors import InputError
from tooltune.words import Phrase, Say

MODELS = "Qwen/Qwen2.5-0.5B-Instruct,Qwen/Qwen2.5-1.5B-Instruct,Qwen/Qwen2.5-3B-Instruct"
SHAPES = "1x512,1x1024,1x2048,4x1024"
ENGINES: dict[str, Engine] = {"hf": "trl", "hf-trainer": "full", "unsloth": "unsloth"}
PHASES = ("loading", "forward and loss", "backward", "optimizer step")
STEPS = 3  # the optimizer's state exists from the first, so the second is as large as any
LIMIT = 0.05
"""How far a plan may be from the allocator: above it, the plan of that case is called wrong."""


class Case(TypedDict):
    """One case. `planned_gib` is the plan's tensors, `expected_gib` and `gate_gib` what it says of the whole process;
    `allocated_gib` leaves out cuBLAS' workspaces, and `error` is planned / allocated - 1. A run that did not end well
    has no figures, but the plan is there.

    `verdict`: what the plan says of the budget ("fits", "tight", "does not fit"); None without one.
    """

    arm: str
    model: str
    engine: str
    shape: str
    micro_batch: int
    length: int | None
    status: Status
    reason: str | None
    labelled: float
    planned_gib: float
    expected_gib: float
    gate_gib: float
    phase: str
    verdict: str | None
    allocated_gib: float | None
    reserved_gib: float | None
    error: float | None


class PlannerResult(Measured):
    """The whole file. `arms` are the cases; `limit` is the error that none may exceed."""

    kind: Literal["planner"]
    config: dict[str, Any]
    settings: dict[str, Any]
    budget_gib: float | None
    limit: float
    arms: list[Case]


@dataclass(frozen=True)
class PlannerOptions:
    """What the command line gives; lists are comma-separated."""

    models: str
    shapes: str
    arms: str
    budget_gib: float | None
    timeout_s: float
    out: Path


def planner(
    config: Config, options: PlannerOptions, console: Console, command: Command = worker_command
) -> tuple[PlannerResult, Path]:
    """Measure every case and return the result with the file it is in; after Ctrl-C it is not complete.

    Raises:
        InputError: there is no card, or an option, the rows or a model are wrong. Nothing is written.
    """
    here = machine()
    device = here["device"]["kind"]
    if device != "cuda":
        raise InputError(
            "the allocator's peak is a figure of a GPU, and this machine has none",
            where=here["device"]["name"],
            fix="`python -m finetune plan` plans without one",
        )
    names = [name.strip() for name in options.models.split(",")]
    wanted = fixed_shapes(options.shapes, config, device)
    chosen = arms.choose(options.arms, device)
    if strange := set(chosen) - set(ENGINES):
        raise InputError(f"no plan is made for {strange.pop()!r}", where="--arms", fix="of " + ", ".join(ENGINES))
    config = with_budget(config, options.budget_gib, device)
    folders = {name: model_folder(config.changed({"model.name": name}), console.print) for name in names}
    result: PlannerResult = {
        "kind": "planner",
        "date": time.strftime("%Y-%m-%d"),
        **here,  # type: ignore[typeddict-item]
        "config": config.model_dump(mode="json"),
        "settings": {"steps": STEPS, "random_weights": [name for name, (_, random) in folders.items() if random]},
        "budget_gib": options.budget_gib,
        "emulated": options.budget_gib is not None,
        "limit": LIMIT,
        "complete": False,
        "verdict": "nothing measured",
        "arms": [],
    }
    path = result_path(options.out, here["device"]["name"], "planner")
    limit = memory_limit(None, device)
    try:
        for name, (folder, _) in folders.items():
            base = base_of(config, folder)
            with tempfile.TemporaryDirectory(prefix="benchmark-") as work:
                job = WorkerJob(base, device, STEPS, 1, options.timeout_s, limit, Path(work), command)
                write_shapes(wanted, read_examples(base, console.print), base, warmup=1, steps=STEPS, work=job.work)
                for case in _cases(job, name, chosen, wanted, options.budget_gib, console.print):
                    result["arms"].append(case)
                    save(result, path)
                    console.print(_said(case))
        result["complete"] = True
    except KeyboardInterrupt:
        pass
    save(result, path)
    return result, path


def fixed_shapes(names: str, config: Config, device: str) -> list[shapes.BatchShape]:
    """The shapes of a comma-separated list.

    Raises:
        InputError: one is no ROWSxTOKENS; the dataset's mix has no one length to plan for.
    """
    found = shapes.choose(names, config, device)
    if any(shape.length is None for shape in found):
        raise InputError("the dataset's mix has no one length to plan for", where="--shapes", fix="ROWSxTOKENS")
    return found


def _cases(
    job: WorkerJob,
    model: str,
    chosen: dict[str, arms.Arm],
    wanted: list[shapes.BatchShape],
    budget_gib: float | None,
    say: Say,
) -> Iterator[Case]:
    card = find_card()
    turing = bool(card and card.turing)
    for shape in wanted:
        for arm, make in chosen.items():
            setup = setup_of(make, job)
            if not isinstance(setup, ArmSetup):
                say(phrase("told.skipped", run=f"{model}, {arm}", reason=setup))
                continue
            run = run_one(job, arm, setup, shape, lambda _: None)
            ran = config_for(setup.config, shape, STEPS)
            yield compare(model, arm, shape, ran, run, budget_gib, turing=turing)


def compare(
    model: str,
    arm: str,
    shape: shapes.BatchShape,
    config: Config,
    run: ArmRun,
    budget_gib: float | None,
    *,
    turing: bool = False,
) -> Case:
    """A run beside its plan.

    Args:
        config: of the run, its model a folder.
        turing: the card is older than Ampere.
    """
    trained, all_tokens = sum(run.get("step_supervised", [])), sum(run.get("step_padded", []))
    labelled = trained / all_tokens if all_tokens else 1.0
    setup = setup_from(config, shape_of(config.model.name)[0], ENGINES[arm], labelled=labelled, turing=turing)
    plan = make_plan(setup)
    phase = max(PHASES, key=lambda name: plan.phases[name])
    planned, allocated = plan.phases[phase] / GIB, run.get("peak_allocated_gib")
    if allocated:
        allocated = round(allocated - (run.get("workspace_gib") or 0), 3)
    return {
        "arm": f"{model.rsplit('/', 1)[-1]}, {shape.micro_batch} × {shape.length:,}, {arm}",
        "model": model,
        "engine": arm,
        "shape": shape.name,
        "micro_batch": shape.micro_batch,
        "length": shape.length,
        "status": run["status"],
        "reason": run["reason"],
        "labelled": round(labelled, 4),
        "planned_gib": round(planned, 3),
        "expected_gib": round(plan.expected / GIB, 3),
        "gate_gib": round(plan.gate / GIB, 3),
        "phase": phase,
        "verdict": plan.verdict(budget_gib * GIB) if budget_gib else None,
        "allocated_gib": allocated,
        "reserved_gib": run.get("peak_reserved_gib"),
        "error": round(planned / allocated - 1, 4) if allocated else None,
    }


def _said(case: Case) -> Phrase:
    planned = {"run": case["arm"], "planned": case["planned_gib"]}
    if case["error"] is None:
        return phrase("told.planned", **planned, status=status_of(dict(case)), reason=case["reason"])
    return phrase("told.allocated", **planned, allocated=case["allocated_gib"], error=case["error"])
