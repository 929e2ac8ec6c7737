"""The plan against finished runs on this machine: what goes into a run's manifest, and what the next plan learns."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from finetune.memory.head import acts_large
from finetune.memory.overheads import GIB, Calibration, assumed
from finetune.memory.plan import make_plan
from finetune.memory.setup import Engine, for_rows, setup_from
from finetune.memory.shapes import shape_of
from tooltune.config import Config
from tooltune.errors import InputError
from tooltune.run import PlannedMemory, read_manifest


@dataclass(frozen=True)
class Finished:
    """A finished run on a GPU. GiB.

    Attributes:
        planned, expected: tensors and process, from the plan that was made when the rows were known.
        allocated, reserved: the peaks that torch measured, but for cuBLAS' workspaces.
    """

    name: str
    planned: float
    expected: float
    allocated: float
    reserved: float

    @property
    def error(self) -> float:
        """planned / allocated - 1."""
        return self.planned / self.allocated - 1


def planned_memory(
    config: Config, *, longest: int, labelled: float, turing: bool, total: float = 0
) -> PlannedMemory | None:
    """What a run's manifest keeps of the plan, GiB; None where the model's shape is not known.

    Args:
        longest: tokens of the longest row.
        labelled: share of the computed tokens that are trained on.
        total: bytes of the card; 0: at most 24.5 GiB.
    """
    try:
        shape, _ = shape_of(config.model.name)
    except InputError:
        return None
    engine: Engine = "unsloth" if config.model.backend == "unsloth" else "trl"
    setup = setup_from(config, shape, engine, turing=turing, large_card=acts_large(total))
    plan = make_plan(for_rows(setup, longest=longest, labelled=labelled), assumed())
    return {
        "tensors_gib": round(plan.allocated / GIB, 3),
        "expected_gib": round(plan.expected / GIB, 3),
        "gate_gib": round(plan.gate / GIB, 3),
        "peak_phase": plan.peak,
    }


def finished_runs(runs: Path, device: str | None = None, say: Callable[[str], None] = lambda _: None) -> list[Finished]:
    """The runs whose manifest has a plan and a measured GPU peak, oldest first; if `device` is given, on that card.

    Args:
        say: told of each run whose manifest cannot be read; a plan is made without it.
    """
    found = []
    manifests = [path for path in runs.glob("*/manifest.json") if not path.parent.is_symlink()]
    for path in sorted(manifests, key=lambda path: path.stat().st_mtime):
        try:
            run = _finished(path.parent, device)
        except InputError as e:
            say(f"left out: {e}")
        except (KeyError, TypeError, AttributeError, ValueError):  # a manifest of another program or version
            say(f"left out: {path}: this is not the manifest of a run")
        else:
            found += [run] if run else []
    return found


def _finished(run: Path, device: str | None) -> Finished | None:
    manifest = read_manifest(run)
    plan, peak = manifest.get("planned_memory"), manifest.get("peak_memory")
    if not plan or not peak or device not in (None, manifest["device"]["name"]):
        return None
    allocated, reserved = peak["gpu_allocated_gib"], peak["gpu_reserved_gib"]
    if not allocated or not reserved:
        return None
    workspace = peak.get("gpu_workspace_gib") or 0
    return Finished(run.name, plan["tensors_gib"], plan["expected_gib"], allocated - workspace, reserved - workspace)


def calibrate(runs: list[Finished]) -> Calibration:
    """The median of reserved / planned of finished runs on one card; the assumed ratio before the first."""
    return Calibration(median(run.reserved / run.planned for run in runs), len(runs)) if runs else assumed()
