"""The profile of an arm: operators by their own time, on the worker's own training steps."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmarks.cli import app
from benchmarks.profile import heard, operator_table, profile
from data import InputError
from tests.tiny import TINY
from tooltune.config import load_config


@dataclass
class Event:
    key: str
    self_cpu_time_total: float
    self_device_time_total: float
    count: int


EVENTS = [Event("aten::add", 1000, 0, 6), Event("ProfilerStep*", 9000, 0, 3), Event("aten::mm", 3000, 8000, 9)]


def test_operators_are_ordered_by_their_own_time() -> None:
    found = heard(EVENTS, cuda=False)
    assert [(row["name"], row["share"], row["calls"]) for row in found["operators"]] == [
        ("aten::mm", 0.75, 9),
        ("aten::add", 0.25, 6),
    ]
    assert found["total_self_ms"] == 4.0
    assert [row["name"] for row in heard(EVENTS, cuda=True)["operators"]] == ["aten::mm"]


def test_the_table_sums_up_the_rest() -> None:
    result = {"arm": "unsloth", "shape": "mix", "steps": 3, **heard(EVENTS, cuda=False)}
    out = io.StringIO()
    Console(file=out, width=120).print(operator_table(result, 1))
    assert "75.0%" in out.getvalue() and "1 others" in out.getvalue() and "25.0%" in out.getvalue()


@pytest.mark.slow
def test_a_real_arm_is_profiled(tiny_model: Path) -> None:
    config = load_config("cpu", [*TINY, f"model.name={tiny_model}", "model.load_in_4bit=false"])
    result = profile(config, "hf-trainer", "mix", steps=2, warmup=1, say=lambda _: None)
    names = {row["name"]: row for row in result["operators"]}
    assert {"aten::mm", "aten::addmm"} & names.keys()
    assert sum(row["share"] for row in result["operators"]) == pytest.approx(1, abs=1e-3)
    optimizer = next(row for name, row in names.items() if name.startswith("Optimizer.step#"))
    assert optimizer["calls"] == 2, "the warm-up is not heard"


def test_an_arm_that_cannot_run_here_is_the_user_s_error(tiny_model: Path) -> None:
    config = load_config("cpu", [*TINY, f"model.name={tiny_model}", "model.load_in_4bit=false"])
    with pytest.raises(InputError, match="no such arm"):
        profile(config, "nope", "mix", steps=1, warmup=1, say=lambda _: None)


def test_nothing_but_json_goes_to_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.profile.profile", lambda *_, **__: {"kind": "profile"})
    done = CliRunner().invoke(app, ["profile", "--json", "train.epochs=1"])  # the preset is chosen, and said
    assert json.loads(done.stdout) == {"kind": "profile"} and "Preset: " in done.stderr
