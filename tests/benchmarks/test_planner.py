"""The plan beside the allocator's count, with workers that only pretend to train."""

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import planner
from benchmarks.results import ArmRun
from benchmarks.shapes import fixed
from tests import tiny
from tooltune.config import Config, load_config
from tooltune.errors import InputError
from tooltune.files import six_digits

CARD = {"kind": "cuda", "name": "NVIDIA Test 6GB", "memory_gib": 6.0}
WORKER = """
import json, os, signal, sys
spec = json.load(open(sys.argv[1]))
train = spec["config"]["train"]
rows = train["micro_batch"] * spec["config"]["data"]["max_length"]
assert spec["config"]["memory"]["budget_gb"] in (None, 6), spec["config"]["memory"]
if spec["arm"] == "hf-trainer":
    run = {"status": "out of memory", "reason": "CUDA out of memory"}
else:
    run = {"status": "ok", "reason": None, "step_supervised": [rows // 4] * 3, "step_padded": [rows] * 3,
           "peak_allocated_gib": 0.5625, "peak_reserved_gib": 0.6, "workspace_gib": 0.0625}
if os.environ.get("STOP_AT") == spec["arm"]:
    os.kill(os.getppid(), signal.SIGINT)
    import time; time.sleep(60)
json.dump(run, open(spec["result"], "w"))
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> planner.Command:
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    monkeypatch.setattr(planner, "machine", lambda: {"device": CARD, "environment": {"packages": {}}})
    return lambda spec: [sys.executable, str(script), str(spec)]


def base(model: Path) -> Config:
    return load_config("6gb", [*tiny.TINY, f"model.name={model}"])


def options(tmp_path: Path, model: Path, **changes: object) -> planner.PlannerOptions:
    values = {"models": str(model), "shapes": "1x1024,2x512", "arms": "hf,hf-trainer,unsloth", "budget_gib": None}
    return planner.PlannerOptions(**(values | {"timeout_s": 60, "out": tmp_path} | changes))  # type: ignore[arg-type]


def test_every_case_stands_beside_its_plan(tmp_path: Path, tiny_model: Path, command: planner.Command) -> None:
    said = Console(file=io.StringIO(), width=200)
    result, path = planner.planner(base(tiny_model), options(tmp_path, tiny_model), said, command)
    assert json.loads(path.read_text(encoding="utf-8")) == six_digits(result) and result["complete"]
    assert [(c["shape"], c["engine"]) for c in result["arms"]] == [
        (shape, arm) for shape in ("1x1024", "2x512") for arm in ("hf", "hf-trainer", "unsloth")
    ]
    for case in result["arms"]:
        assert case["planned_gib"] > 0 and case["gate_gib"] >= case["expected_gib"] > case["planned_gib"]
        if case["engine"] == "hf-trainer":
            assert case["status"] == "out of memory" and case["error"] is None
        else:
            assert case["labelled"] == 0.25
            assert case["error"] == pytest.approx(case["planned_gib"] / 0.5 - 1, abs=2e-3)
    assert "of 4 plans are within 5%" in result["verdict"]


def test_the_budget_reaches_the_workers_and_the_plan_is_judged(
    tmp_path: Path, tiny_model: Path, command: planner.Command
) -> None:
    wanted = options(tmp_path, tiny_model, budget_gib=6.0, shapes="1x1024", arms="unsloth")
    result, _ = planner.planner(base(tiny_model), wanted, Console(file=io.StringIO()), command)
    assert result["emulated"] and result["arms"][0]["verdict"] == "fits"


def test_ctrl_c_keeps_what_was_measured(
    tmp_path: Path, tiny_model: Path, command: planner.Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOP_AT", "hf-trainer")
    result, path = planner.planner(
        base(tiny_model), options(tmp_path, tiny_model), Console(file=io.StringIO()), command
    )
    assert not result["complete"] and len(result["arms"]) == 1
    assert json.loads(path.read_text(encoding="utf-8"))["arms"] == six_digits(result["arms"])


def test_only_the_phases_that_a_worker_has_are_planned(tiny_model: Path) -> None:
    """The 6gb preset generates in batches of 8: a worker does not, so its plan must not hold that memory."""
    config = base(tiny_model)
    run: ArmRun = {"status": "ok", "reason": None, "peak_allocated_gib": 0.5}
    few = planner.compare("m", "hf", fixed(1, 64), config, run, budget_gib=None, turing=False)
    many = config.model_copy(update={"eval": config.eval.model_copy(update={"generate": 64, "generate_batch": 512})})
    more = planner.compare("m", "hf", fixed(1, 64), many, run, budget_gib=None, turing=False)
    assert few["planned_gib"] == more["planned_gib"] and few["phase"] in planner.PHASES


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shapes": "mix"}, "no one length"),
        ({"shapes": "1by2"}, "not a shape"),
        ({"arms": "hf+liger"}, "no plan is made"),
        ({"models": "nobody/nothing"}, "nobody/nothing"),
    ],
)
def test_wrong_options_are_told_before_anything_runs(
    tmp_path: Path, tiny_model: Path, command: planner.Command, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        planner.planner(
            base(tiny_model), options(tmp_path, tiny_model, **changes), Console(file=io.StringIO()), command
        )
    assert not list(tmp_path.glob("*.json"))


def test_without_a_card_there_is_nothing_to_measure(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(InputError, match="this machine has none"):
        planner.planner(base(tiny_model), options(tmp_path, tiny_model), Console(file=io.StringIO()))
