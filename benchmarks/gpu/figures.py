"""The figures that a step's summary repeats: those of runs, evaluations and results."""

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tooltune.files import read_jsonl
from tooltune.run import Manifest

MEASURED = ("samples_per_second", "tokens_per_second", "peak_allocated_gib", "peak_reserved_gib", "compile_seconds")


def key_figures(folder: Path, evaluated: list[Path]) -> list[dict[str, Any]]:
    """The figures of everything in a step's folder, GiB and seconds.

    Args:
        evaluated: folders of the steps whose runs the step evaluated, its own among them.
    """
    found = [_run(run) for run in _runs(folder) if (run / "manifest.json").is_file()]
    for run in itertools.chain.from_iterable(map(_runs, evaluated)):
        found += [_evaluation(path) for path in sorted(run.glob("eval/*/metrics.json"))]
    for path in sorted(folder.glob("*.json")):
        found += _result(json.loads(path.read_text(encoding="utf-8")))
    return found


def _runs(folder: Path) -> list[Path]:
    return [run for run in sorted(folder.glob("runs/*")) if not run.is_symlink()]  # not `latest`


def _run(run: Path) -> dict[str, Any]:
    manifest: Manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    rows = [row for _, row in read_jsonl(run / "metrics.jsonl")] if (run / "metrics.jsonl").is_file() else []
    losses = [row["loss"] for row in rows if "loss" in row]
    peak, plan = manifest.get("peak_memory"), manifest["planned_memory"]
    allocated, planned = peak and peak["gpu_allocated_gib"], plan and plan["tensors_gib"]
    workspace = (peak and peak.get("gpu_workspace_gib")) or 0
    return {
        "run": run.name,
        "finished": "best" in manifest,
        "precision": manifest["precision"],
        "attention": manifest.get("attention"),
        "longest_row": manifest["longest_row"],
        "losses": losses,
        "finite": bool(losses) and all(math.isfinite(float(loss)) for loss in losses),  # NaN is text
        "train_samples_per_second": next((r["train_samples_per_second"] for r in rows if "train_runtime" in r), None),
        "allocated_gib": allocated,
        "reserved_gib": peak and peak["gpu_reserved_gib"],
        "workspace_gib": workspace,
        "planned_gib": planned,
        "planned_phase": plan and plan["peak_phase"],
        "expected_gib": plan and plan["expected_gib"],
        "plan_error": round(planned / (allocated - workspace) - 1, 4) if planned and allocated else None,
        "recoveries": manifest.get("recoveries", []),
    }


def _evaluation(path: Path) -> dict[str, Any]:
    metrics = json.loads(path.read_text(encoding="utf-8"))
    return {"evaluation": path.parent.name, "run": path.parents[2].name, "rows": metrics["rows"]}


def _result(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A benchmark's verdict, and a line an arm or a case."""
    yield {"result": result["kind"], "complete": result["complete"], "verdict": result["verdict"]}
    for shape in result.get("shapes", []):
        for arm in shape["arms"]:
            medians = {key: arm["summary"][key]["median"] for key in MEASURED if key in arm["summary"]}
            yield {"shape": shape["shape"], **{k: arm[k] for k in ("arm", "status", "reason")}, **medians}
    for case in result.get("arms", []):
        kept = ("status", "reason", "longest", "planned_gib", "allocated_gib", "reserved_gib", "error", "verdict")
        yield {"case": case["arm"], **{key: case[key] for key in kept if key in case}}
