"""`python -m benchmarks train`: how much faster and smaller training is with Unsloth than with plain Hugging Face."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks import arms, shapes
from benchmarks.orchestrate import (
    WorkerJob,
    base_of,
    measure_all,
    model_folder,
    read_examples,
    worker_command,
    write_shapes,
)
from benchmarks.report.words import say as phrase
from benchmarks.results import TrainResult, result_path
from benchmarks.this_machine import machine
from finetune.device import GIB
from tooltune.config import Config
from tooltune.errors import InputError

STEPS = {"cuda": 75, "cpu": 21}
WARMUP_SHARE = 3  # one pass over the rows warms up, the other two are timed
RESERVE_GIB = 1.0


@dataclass(frozen=True)
class TrainOptions:
    """What the command line gives; None: the device's default."""

    arms: str | None
    shapes: str | None
    repeats: int
    steps: int | None
    budget_gib: float | None
    timeout_s: float
    out: Path


def train(config: Config, options: TrainOptions, console: Console) -> tuple[TrainResult, Path]:
    """Measure and return the result with the file it is in; after Ctrl-C it is not complete.

    Raises:
        InputError: an option, the config, the rows or the model are wrong. Nothing is written.
    """
    say = console.print
    here = machine()
    device = here["device"]["kind"]
    chosen, wanted = arms.choose(options.arms, device), shapes.choose(options.shapes, config, device)
    steps = options.steps or STEPS[device]
    warmup = steps // WARMUP_SHARE
    config = with_budget(config, options.budget_gib, device)
    folder, random = model_folder(config, say)
    base = base_of(config, folder)
    limit = memory_limit(options.budget_gib, device)
    result: TrainResult = {
        "kind": "train",
        "date": time.strftime("%Y-%m-%d"),
        **here,  # type: ignore[typeddict-item]
        "config": base.changed({"model.name": config.model.name}).model_dump(mode="json"),
        "settings": {
            "repeats": options.repeats,
            "steps": steps,
            "warmup_steps": warmup,
            "timeout_s": options.timeout_s,
            "memory_limit_gib": round(limit, 2),
            "random_weights": random,
            "notes": notes(config, device, wanted, random=random),
        },
        "budget_gib": options.budget_gib,
        "emulated": device == "cuda" and options.budget_gib is not None,
        "complete": False,
        "verdict": "nothing measured",
        "valid": True,
        "shapes": [],
    }
    path = result_path(options.out, here["device"]["name"])
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        work = Path(temporary)
        ordered = config.changed({"model.name": str(folder)})  # as its rows are ordered, which the base switches off
        write_shapes(wanted, read_examples(base, say), ordered, warmup=warmup, steps=steps, work=work)
        job = WorkerJob(base, device, steps, warmup, options.timeout_s, limit, work, worker_command)
        names = {"arms": ", ".join(chosen), "shapes": ", ".join(shape.name for shape in wanted)}
        say(phrase("told.start", **names, steps=steps, repeats=options.repeats))
        measure_all(job, chosen, wanted, options.repeats, result, path, console)
    return result, path


def with_budget(config: Config, budget_gib: float | None, device: str) -> Config:
    """The config with the card's budget; on a CPU the budget is watched from outside."""
    if budget_gib is None or device == "cpu":
        return config
    return config.changed({"memory.budget_gb": budget_gib})


def memory_limit(budget_gib: float | None, device: str) -> float:
    """Main memory for a worker, GiB: the budget on a CPU; else what is free now but for a reserve.

    Raises:
        InputError: there is less than the budget.
    """
    import psutil

    free = psutil.virtual_memory().available / GIB
    if device == "cuda" or budget_gib is None:
        return max(free - RESERVE_GIB, RESERVE_GIB)
    if budget_gib > free:
        raise InputError(f"{budget_gib:g} GiB are more than the {free:.1f} that are free", where="--budget-gb")
    return budget_gib


def notes(config: Config, device: str, wanted: list[shapes.BatchShape], *, random: bool) -> list[str]:
    """What a reader of the figures must know and would not guess."""
    lines = [
        "The rows of the warm-up come again in the timed steps, so every shape of batch was seen before it is timed.",
        "Shapes of fixed length take one micro-batch a step; their rows are the dataset's, joined and cut.",
    ]
    if device == "cpu":
        lines += [
            "torch.compile is off in hf-trainer and unsloth, and on in every other arm.",
            "All arms store and multiply factors in bfloat16 where model.fast_matmul is on and the processor has it: "
            "that is this project's, not plain Hugging Face's. The hf arms' loss and logits of all tokens are "
            "transformers' own; the unsloth arms' LM head is at supervised tokens alone.",
            "Rows that share a prefix stand together in every arm; unsloth+prefix alone computes that prefix once. "
            "Tokens a second count each row as if it stood alone.",
        ]
        lines += [
            f"{shape.name}: a step has {shape.micro_batch * shape.accumulation} rows in every arm; arms that pad take "
            f"{shape.padded} at once and accumulate, since the plain one holds the logits of all their tokens."
            for shape in wanted
            if shape.padded
        ]
    if device == "cuda":
        lines.append(
            "The LM head meets supervised tokens alone, in TRL's loss (hf), Unsloth's and this project's; hf-trainer "
            "computes the logits of all tokens, as transformers' own loss does."
        )
    if device == "cuda" and config.train.gradient_checkpointing == "unsloth":
        lines.append(
            "All arms recompute activations; Unsloth keeps layer inputs in main memory, the others on the card."
        )
    if random:
        lines.append("Weights are random, and the tokenizer is SmolLM2's: losses mean nothing beyond parity.")
    return lines
