"""The result of a benchmark: what stands in its file, and how runs become a summary, a parity check and a speed-up.

The file is written again after every finished run, so an interrupted benchmark leaves what was measured.
"""

import re
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypedDict

from tooltune.files import atomic_write, write_measured

RESULTS = Path(__file__).parent / "results"

Status = Literal["ok", "out of memory", "crashed", "hung", "failed", "interrupted", "skipped"]
"""How a run ended: `out of memory` on the device or above the limit of main memory, `crashed` without a word,
`hung` beyond its time, `failed` with an error that it named itself, `interrupted` by the user, `skipped` unrun."""

METRICS = (
    "train_samples_per_second",
    "samples_per_second",
    "tokens_per_second",
    "computed_tokens_per_second",
    "supervised_tokens_per_second",
    "seconds_per_step",
    "padding_share",
    "mfu",
    "hfu",
    "matmul_gflops",
    "peak_allocated_gib",
    "peak_reserved_gib",
    "driver_used_gib",
    "peak_rss_gib",
    "time_to_first_step_s",
    "compile_seconds",
)
"""The figures of a run that are summarised over its repeats."""


class Fused(TypedDict):
    """Layers in which Unsloth put its own kernels, of all layers: [applied, layers]."""

    qkv: list[int]
    mlp: list[int]
    o: list[int]


class ArmRun(TypedDict, total=False):
    """One process. A run that did not end well has only `repeat`, `status` and `reason`.

    `losses`, `step_seconds`, `step_tokens` (of the rows), `step_padded` (those computed: with padding, but a prefix
    that rows share only once) and `step_supervised` are of every optimizer step; the rates are of the steady state
    alone; memory is in GiB. `train_samples_per_second` is the trainer's own figure, over the whole run. `mfu` is the
    share of `matmul_gflops`, which the machine reached in `matmul_dtype` right after the run, and `hfu` that with
    recomputation, where there is any (`finetune.rate`).
    """

    repeat: int
    status: Status
    reason: str | None
    losses: list[float]
    step_seconds: list[float]
    step_tokens: list[int]
    step_padded: list[int]
    step_supervised: list[int]
    train_samples_per_second: float
    samples_per_second: float
    tokens_per_second: float
    computed_tokens_per_second: float
    supervised_tokens_per_second: float
    seconds_per_step: float
    padding_share: float
    mfu: float
    hfu: float
    matmul_gflops: float
    matmul_dtype: str
    peak_allocated_gib: float | None
    peak_reserved_gib: float | None
    workspace_gib: float | None
    driver_used_gib: float | None
    peak_rss_gib: float
    time_to_first_step_s: float
    compile_seconds: float
    fused: Fused | None
    batches_sha256: str
    adapter_sha256: str
    warnings: list[str]


class Spread(TypedDict):
    """A figure over the repeats."""

    median: float
    low: float
    high: float


class ArmResult(TypedDict):
    """All repeats of one arm on one shape. `different_batches`: it packs rows, so no loss of it can be compared."""

    arm: str
    status: Status
    reason: str | None
    different_batches: bool
    runs: list[ArmRun]
    summary: dict[str, Spread]


class Parity(TypedDict):
    """The largest difference of two arms' losses on the same steps; None when a loss was not finite."""

    arm: str
    against: str
    max_difference: float | None
    steps: int
    limit: float
    passed: bool


class Speedup(TypedDict):
    """Samples a second of `arm` over those of `against`: of the medians, and of the worst and best pair of repeats."""

    arm: str
    against: str
    ratio: float
    low: float
    high: float


class ShapeResult(TypedDict):
    """Everything on one shape of batch; `length` is None where rows have their own lengths."""

    shape: str
    micro_batch: int
    length: int | None
    arms: list[ArmResult]
    parity: list[Parity]
    speedup: list[Speedup]


class TrainSettings(TypedDict):
    """How it was measured."""

    repeats: int
    steps: int
    warmup_steps: int
    timeout_s: float
    memory_limit_gib: float | None
    random_weights: bool
    notes: list[str]


class Measured(TypedDict):
    """What every result says of itself, whatever it measures."""

    date: str
    device: dict[str, Any]
    environment: dict[str, Any]
    emulated: bool
    complete: bool
    verdict: str


class TrainResult(Measured):
    """The whole file. `valid` is false when a parity check failed: then no speed-up may be claimed."""

    kind: Literal["train"]
    config: dict[str, Any]
    settings: TrainSettings
    budget_gib: float | None
    valid: bool
    shapes: list[ShapeResult]


def summarise(runs: Iterable[ArmRun]) -> dict[str, Spread]:
    """Median, lowest and highest of each figure over the runs that ended well; figures that no run has are left out."""
    good = [run for run in runs if run["status"] == "ok"]
    values = {name: [run[name] for run in good if run.get(name) is not None] for name in METRICS}  # type: ignore[literal-required]
    return {name: over_repeats(found) for name, found in values.items() if found}


def over_repeats(values: list[float]) -> Spread:
    """Median and range of at least one value."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def result_path(folder: Path, device_name: str, kind: str = "", runs: Path | None = None) -> Path:
    """`<date>-<device>[-<kind>].json` in `folder`; numbered when there is one of today already, or a folder of its
    name in `runs`. An empty file keeps it from other processes. Errors as `atomic_write`."""
    slug = "-".join(re.findall(r"[a-z0-9]+", re.sub(r"\(.*?\)", " ", device_name.lower())))[:40].strip("-")
    stem = "-".join(part for part in (time.strftime("%Y-%m-%d"), slug, kind) if part)
    names = (stem if n == 1 else f"{stem}-{n}" for n in range(1, 1000))
    new = (name for name in names if not (runs and (runs / name).exists()))
    path = next(path for name in new if not (path := folder / f"{name}.json").exists())
    with atomic_write(path):
        return path


def save(result: Any, path: Path) -> None:
    """Write the result, its verdict with it, so that a reader never sees half of it."""
    from benchmarks.report.verdict import told

    result["verdict"] = told(result)
    write_measured(path, result)
