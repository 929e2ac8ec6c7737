"""What only a card can show: the kernels compute the same loss, the budget holds, the peaks are measured."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.results import TrainResult
from tests.finetune.shared_rows import FAMILIES, PASSES, compare, make
from tests.tiny import ROOT, TINY, environment, finetune, losses

pytestmark = pytest.mark.gpu

STEPS = ["train.max_steps=8", "data.max_length=1024"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The tiny model, trained by both backends, and in float16."""
    folder = tmp_path_factory.mktemp("cuda")
    common = ["train", "6gb", *TINY, *STEPS, f"model.name={tiny_model}", "eval.generate=4", "eval.max_new_tokens=16"]
    runs = {"unsloth": [], "hf": ["model.backend=hf"], "half": ["model.dtype=float16"]}

    def train(name: str) -> str:
        own = {"XDG_CACHE_HOME": str(folder / f"cache-{name}")}  # side by side none may write another's compiled code
        return finetune(folder, *common, f"name={name}", *runs[name], env=own)

    with ThreadPoolExecutor() as pool:
        list(pool.map(train, runs))
    return folder / "runs"


def test_backends_compute_the_same_loss(runs: Path) -> None:
    """Unsloth's kernels against stock ones, over the first steps: later ones drift apart by rounding."""
    plain, fast = losses(runs / "hf"), losses(runs / "unsloth")
    assert max(abs(plain[step] - fast[step]) for step in (1, 2, 3)) < 0.02


@pytest.mark.parametrize("run", ["unsloth", "hf", "half"])
def test_loss_falls_and_stays_finite(runs: Path, run: str) -> None:
    found = losses(runs / run)
    assert all(0 < loss < 20 for loss in found.values()) and found[max(found)] < found[1]


def test_peaks_and_the_plan_are_in_the_manifest(runs: Path) -> None:
    manifest = json.loads((runs / "unsloth" / "manifest.json").read_text(encoding="utf-8"))
    peak = manifest["peak_memory"]
    assert manifest["device"]["kind"] == "cuda"
    assert 0.008 < peak["gpu_workspace_gib"] < 0.13 and peak["gpu_workspace_gib"] < peak["gpu_allocated_gib"]
    assert 0 < peak["gpu_allocated_gib"] <= peak["gpu_reserved_gib"] < manifest["device"]["memory_gib"]
    steps = [json.loads(line) for line in (runs / "unsloth" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(step["gpu_memory_allocated"] > 0 for step in steps if "loss" in step)


@pytest.mark.parametrize("most", PASSES)
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_rows_are_rows_apart_on_the_card(family: str, most: int) -> None:
    """In float32, by the kernels that a GPU takes: loss within 1e-5, gradients too."""
    compare(make(family).to("cuda"), most)


def test_a_budget_is_a_wall() -> None:
    """More than the budget cannot be allocated, however much the card has; a little less can."""
    code = """
import torch
from finetune.device import cap, detect
cap(2.0, detect())
held = torch.empty(1000 * 2**20, dtype=torch.uint8, device="cuda")
try:
    torch.empty(1000 * 2**20, dtype=torch.uint8, device="cuda")
except torch.OutOfMemoryError:
    print("held")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "held", done.stderr


def test_all_arms_are_measured_and_agree(tmp_path: Path, tiny_model: Path) -> None:
    words = ["6gb", *TINY, f"model.name={tiny_model}", "--shapes", "1x512", "--steps", "21", "--repeats", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "train", *words, "--out", str(tmp_path)],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("*.json")
    result: TrainResult = json.loads(path.read_text(encoding="utf-8"))
    assert result["complete"] and result["valid"], result["verdict"]
    (shape,) = result["shapes"]
    assert [(arm["arm"], arm["status"]) for arm in shape["arms"]] == [
        ("hf", "ok"),
        ("hf-trainer", "ok"),
        ("unsloth", "ok"),
    ]
    (fast,) = shape["arms"][-1]["runs"]
    assert fast["fused"] and all(done == layers for done, layers in fast["fused"].values()), fast["warnings"]
    assert fast["peak_allocated_gib"] and fast["driver_used_gib"]


def test_the_doctor_finds_the_card(tmp_path: Path) -> None:
    said = finetune(tmp_path, "doctor", "--lang", "en", expect=None)
    assert "NVIDIA" in said and "no NVIDIA" not in said
