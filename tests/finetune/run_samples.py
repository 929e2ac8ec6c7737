"""Run folders as a training leaves them, made in milliseconds: for the tests of what reads them.

Every builder takes the folder that runs live in and returns the run's. The figures of one run agree with each other:
a row's training loss is the mean of its steps, the losses by role weighted by their tokens make the whole, the rates
of an epoch are counts of its 64 generated rows (a fifth of which need no call), the learning rate is the one the
trainer would log.
"""

import itertools
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.diagnose import verdict
from tooltune.config import Config, load_config
from tooltune.files import write_json, write_jsonl

TOKENS = {"format": 6565, "text": 1948, "arguments": 7190, "name": 1541}
SHARE = {"format": 0.22, "text": 3.2, "arguments": 1.0, "name": 0.65}
"""A role's loss against the whole, as measured on a CPU run."""

RTX_3060 = {"kind": "cuda", "name": "NVIDIA GeForce RTX 3060 Laptop GPU", "memory_gib": 6.0}
TWO_CORES = {"kind": "cpu", "name": "Intel(R) Xeon(R) Processor (2 threads, AVX512)", "memory_gib": 23.5}


@dataclass(frozen=True)
class Plan:
    """What a run is to have measured.

    Attributes:
        train: (epoch, training loss) points that the curve passes through.
        evaluations: at each epoch's end: eval_loss, tool name, JSON, parameters, hallucination (fractions).
        stop: the last step that was made; None: all.
        finished: whether the closing event and the manifest's `best` are written.
        norms: (epoch, grad_norm) points.
    """

    preset: str
    overrides: Sequence[str]
    train: Sequence[tuple[float, float]]
    evaluations: Sequence[tuple[float, float, float, float, float]]
    device: dict[str, Any] = field(default_factory=lambda: dict(RTX_3060))
    rows: int = 2000
    stop: int | None = None
    finished: bool = True
    samples_per_second: float = 1.42
    tokens_per_row: float = 390.0
    mfu: float = 0.41
    eval_runtime: float = 12.5
    norms: Sequence[tuple[float, float]] = ((0, 1.9), (0.3, 1.1), (1, 0.8), (3, 0.55), (10, 0.3))
    noise: float = 0.05
    seed: int = 7


OVERFITTED = (
    (1.35, 0.75, 0.85, 0.60, 0.060),
    (0.82, 0.90, 0.96, 0.78, 0.030),
    (0.55, 0.95, 0.99, 0.88, 0.015),
    (0.58, 0.95, 0.99, 0.89, 0.015),
    (0.65, 0.94, 0.98, 0.87, 0.015),
    (0.72, 0.93, 0.97, 0.84, 0.030),
    (0.80, 0.91, 0.96, 0.81, 0.045),
    (0.90, 0.89, 0.94, 0.78, 0.045),
    (1.00, 0.87, 0.92, 0.74, 0.060),
    (1.10, 0.85, 0.90, 0.70, 0.080),
)
"""The epoch table of METRICS; epochs that it leaves out lie between."""

FALLING = (
    (0, 2.9),
    (0.1, 2.0),
    (0.5, 1.22),
    (1.5, 0.8),
    (2.5, 0.5),
    (3.5, 0.35),
    (4.5, 0.25),
    (6.5, 0.15),
    (9.5, 0.08),
)


def reference_run(runs: Path, name: str = "6gb-overfit-study") -> Path:
    """Ten epochs of 2,000 rows, effective batch 8: best at 3, overfitting from 5 on, 5.1 of 6 GiB."""
    overrides = ["eval.early_stopping_patience=null"]
    return write_run(runs / name, Plan("6gb-overfit-study", overrides, FALLING, OVERFITTED))


def healthy_run(runs: Path, name: str = "6gb-healthy") -> Path:
    """The 6gb preset's three epochs; training and validation loss fall together."""
    plan = Plan(
        "6gb",
        [],
        ((0, 2.6), (0.1, 1.7), (0.5, 0.92), (1.5, 0.52), (2.5, 0.38), (3, 0.35)),
        ((0.71, 0.82, 0.93, 0.71, 0.030), (0.48, 0.94, 0.99, 0.86, 0.015), (0.43, 0.97, 1.0, 0.91, 0.0)),
        seed=11,
    )
    return write_run(runs / name, plan)


def running_run(runs: Path, name: str = "6gb-running") -> Path:
    """The healthy run while it trains: step 380 of 750, one evaluation so far."""
    plan = Plan(
        "6gb",
        [],
        ((0, 2.6), (0.1, 1.7), (0.5, 0.92), (1.5, 0.52), (3, 0.35)),
        ((0.71, 0.82, 0.93, 0.71, 0.030),),
        stop=380,
        finished=False,
        seed=11,
    )
    return write_run(runs / name, plan)


def cut_run(runs: Path, name: str = "6gb-cut") -> Path:
    """Ended in its first epoch, at step 70: no evaluation yet."""
    plan = Plan("6gb", [], ((0, 2.6), (0.1, 1.7), (0.5, 0.92)), (), stop=70, finished=False, seed=3)
    return write_run(runs / name, plan)


def cpu_run(runs: Path, name: str = "cpu") -> Path:
    """One epoch of 1,000 rows on a CPU; no figures of a GPU."""
    plan = Plan(
        "cpu",
        [],
        ((0, 2.4), (0.1, 0.9), (0.5, 0.36), (1, 0.2)),
        ((0.2, 0.34375, 1.0, 0.128, 0.0),),
        device=dict(TWO_CORES),
        rows=1000,
        samples_per_second=1.49,
        eval_runtime=85.5,
        norms=((0, 3.1), (0.2, 1.2), (1, 0.7)),
        seed=5,
    )
    return write_run(runs / name, plan)


def write_run(run: Path, plan: Plan) -> Path:
    """Write the folder that a plan describes."""
    config = load_config(plan.preset, list(plan.overrides))
    train = config.train
    batch = train.micro_batch * train.accumulation
    per_epoch = math.ceil(plan.rows / batch)
    total = train.max_steps or math.ceil(train.epochs * per_epoch)
    last = plan.stop or total
    run.mkdir(parents=True)
    config.save(run / "config.yaml")
    manifest = _manifest(config, plan, batch, total)
    rng = random.Random(plan.seed)
    tokens = [rng.randrange(180, 1100) for _ in range(plan.rows)]
    write_json(run / "rows.json", [{"id": f"train-{i:05d}", "tokens": n} for i, n in enumerate(tokens)])
    events: list[dict[str, Any]] = []
    table: list[dict[str, Any]] = []
    for step in range(1, last + 1):
        if step % train.logging_steps == 0 or step == 1:
            events.append(_step(config, plan, rng, step, per_epoch, total))
        if step % per_epoch == 0 and len(table) < len(plan.evaluations):
            metrics = _evaluation(plan, plan.evaluations[len(table)], config.eval.generate)
            events.append({"step": step, **metrics, "epoch": step / per_epoch})
            row = {
                "epoch": round(step / per_epoch, 2),
                "step": step,
                "train_loss": _mean_loss(events, table[-1]["step"] if table else 0),
                **{k if "loss" in k or "tokens" in k or "_per_" in k or k == "eval_runtime" else k[5:]: v
                   for k, v in metrics.items()},
            }  # fmt: skip
            row["verdict"] = verdict([*table, row])
            table.append(row)
    if plan.finished:
        seconds = last * batch / plan.samples_per_second + len(table) * (plan.eval_runtime + 60)  # and generating
        events.append(_end(events, last, last / per_epoch, seconds, batch))
        best = min(table, key=lambda row: row["eval_loss"])
        for row in table:
            row["best"] = row is best
        manifest |= {
            "best": {"step": best["step"], "metric": "eval_loss", "value": best["eval_loss"], "sha256": "5e" * 32},
            "peak_memory": _peak(plan),
            "wall_seconds": round(seconds + 41.3, 1),
        }
    write_json(run / "manifest.json", manifest)
    write_jsonl(run / "metrics.jsonl", events)
    if table:
        write_jsonl(run / "epochs.jsonl", table)
    return run


def change_events(run: Path, change: Any) -> None:
    """Rewrite the run's metrics.jsonl: `change(event)` alters each event in place."""
    path = run / "metrics.jsonl"
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for event in events:
        change(event)
    write_jsonl(path, events)


def curve(points: Sequence[tuple[float, float]], at: float) -> float:
    """The value at `at` on a line through the points, straight in the logarithm."""
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if at <= x1:
            share = (at - x0) / (x1 - x0)
            return math.exp((1 - share) * math.log(y0) + share * math.log(y1))
    return points[-1][1]


def scheduled_rate(config: Config, step: int, total: int) -> float:
    """The rate that optimizer step `step` (from 1) is made with, as transformers' schedules give it."""
    train, done = config.train, step - 1
    warmup = math.ceil(train.warmup * total)
    if done < warmup:
        return train.learning_rate * done / max(1, warmup)
    share = (done - warmup) / max(1, total - warmup)
    left = {"linear": 1 - share, "cosine": 0.5 * (1 + math.cos(math.pi * share)), "constant_with_warmup": 1.0}
    return train.learning_rate * left[train.schedule]


def _step(config: Config, plan: Plan, rng: random.Random, step: int, per_epoch: int, total: int) -> dict[str, Any]:
    epoch = step / per_epoch
    cuda = plan.device["kind"] == "cuda"
    warm = min(1.0, step / 30)
    pace = (0.8 + 0.2 * warm) * math.exp(rng.gauss(0, 0.03))
    return {
        "step": step,
        "loss": round(curve(plan.train, epoch) * math.exp(rng.gauss(0, plan.noise)), 4),
        "grad_norm": round(curve(plan.norms, epoch) * math.exp(rng.gauss(0, 0.22)), 4),
        "learning_rate": scheduled_rate(config, step, total),
        "epoch": round(epoch, 4),
        "samples_per_second": round(plan.samples_per_second * pace, 3),
        "tokens_per_second": round(plan.samples_per_second * plan.tokens_per_row * pace, 1),
        "supervised_per_second": round(plan.samples_per_second * 0.18 * plan.tokens_per_row * pace, 1),
        "mfu": round(plan.mfu * pace, 4),
        **({"hfu": round(1.42 * plan.mfu * pace, 4)} if cuda else {}),
        "gpu_memory_allocated": round(2.4 + rng.random() * 0.3, 3) if cuda else None,
        "gpu_memory_reserved": round(4.3 + 0.8 * warm, 3) if cuda else None,
        "gpu_utilization": float(rng.randrange(93, 99)) if cuda else None,
        "cpu_utilization": round(rng.uniform(11, 17) if cuda else rng.uniform(96, 100), 1),
        "memory": round(3.1 + 0.2 * warm if cuda else 9.8 + 2.4 * warm, 3),
    }


def _evaluation(plan: Plan, figures: Sequence[float], n: int) -> dict[str, Any]:
    loss, name, valid, parameters, invented = figures
    whole = sum(SHARE[role] * count for role, count in TOKENS.items()) / sum(TOKENS.values())
    metrics: dict[str, Any] = {"eval_loss": loss}
    for role, count in TOKENS.items():
        metrics[f"eval_loss_{role}"] = loss * SHARE[role] / whole
        metrics[f"eval_tokens_{role}"] = count
    rates = {
        "tool_name_accuracy": name,
        "parameter_accuracy": parameters,
        "json_validity": valid,
        "hallucination_rate": invented,
    }
    rows = max(n, 1)
    return {
        **metrics,
        **{f"eval_{key}": round(value * rows) / rows for key, value in rates.items()},
        **{f"eval_{key}": value for key, value in _by_kind(rows, name, parameters - 0.06).items()},
        "eval_runtime": plan.eval_runtime,
        "eval_samples_per_second": round(250 / plan.eval_runtime, 3),
        "eval_steps_per_second": round(250 / plan.eval_runtime, 3),
    }


def _by_kind(rows: int, name: float, exact: float) -> dict[str, float]:
    """Exact Match of `rows`, a fifth of which need no call and are left alone as often as a name is right."""
    none_due = round(rows / 5)
    silent = round(name * none_due)
    right = max(0, round(exact * rows) - silent)
    rates = {"exact_match": (right + silent) / rows, "must_call_exact": right / (rows - none_due)}
    if not none_due:
        return rates
    rates["abstention"] = silent / none_due
    both = rates["must_call_exact"], rates["abstention"]
    return rates | {"balanced": 2 * both[0] * both[1] / sum(both) if all(both) else 0.0}


def _mean_loss(events: list[dict[str, Any]], since: int = 0) -> float:
    """The mean over the steps after `since`; a logged loss is the mean of the steps since the one before."""
    steps = [e for e in events if "loss" in e]
    widths = [
        (e["loss"], e["step"] - before)
        for before, e in zip([0, *(e["step"] for e in steps)], steps, strict=False)
        if e["step"] > since
    ]
    return sum(loss * n for loss, n in widths) / sum(n for _, n in widths)


def _end(events: list[dict[str, Any]], step: int, epochs: float, seconds: float, batch: int) -> dict[str, Any]:
    return {
        "step": step,
        "train_runtime": round(seconds, 4),
        "train_samples_per_second": round(step * batch / seconds, 3),
        "train_steps_per_second": round(step / seconds, 3),
        "total_flos": 1.23e15 * epochs,
        "train_loss": _mean_loss(events),
        "epoch": epochs,
        "global_step": step,
    }


def _peak(plan: Plan) -> dict[str, float | None]:
    cuda = plan.device["kind"] == "cuda"
    return {
        "gpu_allocated_gib": 4.62 if cuda else None,
        "gpu_reserved_gib": 5.1 if cuda else None,
        "rss_gib": 3.41 if cuda else 12.265,
    }


def _manifest(config: Config, plan: Plan, batch: int, steps: int) -> dict[str, Any]:
    cuda = plan.device["kind"] == "cuda"
    return {
        "python": "3.11.15",
        "platform": "Windows-11-10.0.26100-SP0" if cuda else "Linux-6.8.0-x86_64-with-glibc2.39",
        "planned_memory": None,
        "packages": {
            "torch": "2.10.0",
            "unsloth": "2026.10.9",
            "unsloth_zoo": "2026.10.9",
            "transformers": "5.17.0",
            "trl": "1.15.0",
            "peft": "0.21.2",
            "datasets": "4.8.5",
            "bitsandbytes": "0.50.2",
            "accelerate": "1.15.0",
        },
        "cuda": "12.8",  # of torch, on a processor too
        "driver": "581.42" if cuda else None,
        "git_commit": "749035a67a9c2b090e8695b95c50384c4c981a86",
        "device": plan.device,
        "model": config.model.name,
        "model_folder": config.model.name.split("/")[-1],
        "matmul_gflops": 21_300.0 if cuda else 405.2,
        "matmul_dtype": "bfloat16",
        "precision": "bfloat16" if cuda else "float32",
        "attention": "flash_attention" if cuda else "eager",
        "template": {"origin": "tokenizer", "family": "hermes"},
        "data": {str(config.data.train): "a3" * 32, str(config.data.validation): "b7" * 32},
        "rows": {"train": plan.rows, "validation": 250},
        "dropped": {"train": [], "validation": []},
        "effective_batch": batch,
        "steps": steps,
        "longest_row": 1099,
        "seed": config.train.seed,
        "lora": config.lora.model_dump(),
    }
