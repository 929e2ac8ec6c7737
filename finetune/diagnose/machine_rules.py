"""Rules on the machine: memory against its limit, a GPU that waits, evaluations that become slower."""

from statistics import median

from finetune.diagnose.run_finding import RunFinding
from finetune.diagnose.series import is_number, series, usual
from finetune.history import History
from tooltune.run import peak_gib

NEAR = 0.9
"""Of the budget or the card: docs/metrics.md, "Verdicts". A tenth of 6 GiB is what one desktop program can take."""

BUSY, IDLE = 90.0, 50.0
"""Per cent. docs/metrics.md, "Verdicts": at 90 and above good, at 50 and below data loading is the bottleneck."""

ENOUGH_READINGS = 5
"""A reading is a moment's: the median of a few says something."""

JUMP = 1.5
"""An evaluation of the same rows that takes half as long again as those before (this project's reading of "jumps")."""


def memory_near(history: History) -> RunFinding | None:
    """The most memory held, against the budget, the card, or (on a CPU) main memory."""
    device = history.manifest["device"]
    cuda = device["kind"] == "cuda"
    logged = [p.value for p in series(history, "gpu_memory_reserved" if cuda else "memory")]
    peak = peak_gib(history.manifest)
    held = logged if peak is None else [*logged, peak]
    limit = (history.config.memory.budget_gb if cuda else None) or device["memory_gib"]
    if not held or max(held) < NEAR * limit:
        return None
    figures = {"peak": max(held), "limit": limit, "share": max(held) / limit, "margin": limit - max(held)}
    return RunFinding("memory_near", "warning", figures)


def memory_recovered(history: History) -> RunFinding | None:
    """Settings that were changed because memory ran out, by `finetune.shortage`."""
    recoveries = history.manifest.get("recoveries", [])
    if not recoveries:
        return None
    changes = [f"{key}={value}" for recovery in recoveries for key, value in recovery["change"].items()]
    figures = {"count": len(recoveries), "step": recoveries[-1]["step"], "changes": changes}
    return RunFinding("memory_recovered", "warning", figures)


def gpu_idle(history: History) -> RunFinding | None:
    """A GPU that is busy half of the time or less, with what the CPU does meanwhile."""
    gpu, cpu = series(history, "gpu_utilization"), series(history, "cpu_utilization")
    if len(gpu) < ENOUGH_READINGS or usual(gpu) > IDLE:
        return None
    return RunFinding("gpu_idle", "warning", {"gpu": usual(gpu), "cpu": usual(cpu)})


def gpu_busy(history: History) -> RunFinding | None:
    gpu = series(history, "gpu_utilization")
    if len(gpu) < ENOUGH_READINGS or usual(gpu) < BUSY:
        return None
    return RunFinding("gpu_busy", "good", {"gpu": usual(gpu)})


NOISE = 5.0
"""Seconds by which any evaluation may differ from another on a machine that does something else too."""


def eval_slower(history: History) -> RunFinding | None:
    """The evaluation that took longest against the ones before it, where it jumped."""
    rows = [row for row in history.epochs if is_number(row.get("eval_runtime"))]
    found = None
    for i in range(1, len(rows)):
        before, runtime = median(row["eval_runtime"] for row in rows[:i]), rows[i]["eval_runtime"]
        if runtime > max(JUMP * before, before + NOISE) and (found is None or runtime / before > found["ratio"]):
            found = {
                "epoch": rows[i]["epoch"],
                "step": rows[i]["step"],
                "runtime": runtime,
                "usual": before,
                "ratio": runtime / before,
            }
    return RunFinding("eval_slower", "warning", found) if found else None
