"""The runbook's script: limits, side by side, what each step leaves, and that every command it names exists."""

import importlib
import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.main import get_command

from benchmarks.gpu import run as runbook
from benchmarks.gpu.run import pack, run_steps
from benchmarks.gpu.steps import STEPS, Groups, Step
from data.errors import InputError
from finetune.config import load_config

CARD = {"device": {"kind": "cuda", "name": "NVIDIA Test", "memory_gib": 6.0}, "environment": {}}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`python -m good`, `bad` and `slow`, in place of what needs a card."""
    monkeypatch.setattr(runbook, "machine", lambda: CARD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "good.py").write_text("import os; print('runs in', os.environ['TOOLTUNE_RUNS'])")
    (tmp_path / "bad.py").write_text("raise SystemExit('no such card')")
    (tmp_path / "slow.py").write_text("import time; print('step 3/75', flush=True); time.sleep(60)")
    return tmp_path


def steps(monkeypatch: pytest.MonkeyPatch, groups: Groups) -> None:
    step = Step("a test", 1, lambda out: groups, lambda out: groups)
    monkeypatch.setitem(STEPS, "tests", step)


def go(folder: Path, minutes: float | None = None) -> tuple[list[str], list[dict[str, object]]]:
    failed = run_steps(["tests"], folder / "out", minutes, False, Console(file=io.StringIO()))
    return failed, json.loads((folder / "out" / "tests.json").read_text(encoding="utf-8"))["commands"]


def test_a_step_leaves_its_summary_logs_and_archive(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps(monkeypatch, [[["good"]], [["good", "again"]]])
    failed, commands = go(modules)
    assert failed == [] and [c["status"] for c in commands] == ["ok", "ok"]
    log = (modules / "out" / "tests" / "2.log").read_text(encoding="utf-8")
    assert log.strip() == f"runs in {modules / 'out' / 'tests' / 'runs'}"
    with tarfile.open(modules / "out" / "tests.tar.gz") as tar:
        assert {"tests/1.log", "tests/2.log"} <= set(tar.getnames())


def test_a_failure_is_told_and_the_next_group_still_runs(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps(monkeypatch, [[["bad"]], [["good"]]])
    failed, commands = go(modules)
    assert failed == ["tests"] and [c["status"] for c in commands] == ["failed", "ok"]
    assert "no such card" in str(commands[0]["reason"])


def test_what_outlasts_the_step_is_cut_and_the_rest_not_reached(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps(monkeypatch, [[["slow"], ["good"]], [["good"]]])
    failed, commands = go(modules, minutes=5 / 60)
    assert failed == ["tests"] and [c["status"] for c in commands] == ["cut", "ok", "not reached"]
    assert "step 3/75" in str(commands[0]["reason"])


def test_ctrl_c_ends_all_commands_and_keeps_the_files(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (modules / "stop.py").write_text("import os, signal; os.kill(os.getppid(), signal.SIGINT)")
    steps(monkeypatch, [[["good"]], [["slow"], ["stop"]]])
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        go(modules)
    assert time.monotonic() - started < 50  # slow takes 60 s
    summary = json.loads((modules / "out" / "tests.json").read_text(encoding="utf-8"))
    assert [c["status"] for c in summary["commands"]] == ["ok"] and (modules / "out" / "tests.tar.gz").exists()


def test_without_a_card_only_a_rehearsal_runs(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps(monkeypatch, [[["good"]]])
    here = CARD | {"device": {"kind": "cpu", "name": "a processor", "memory_gib": 24.0}}
    monkeypatch.setattr(runbook, "machine", lambda: here)
    with pytest.raises(InputError, match="no GPU is here"):
        run_steps(["tests"], modules, None, False, Console(file=io.StringIO()))
    assert run_steps(["tests"], modules, None, True, Console(file=io.StringIO())) == []


def test_an_unknown_step_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such step: 'warp'"):
        run_steps(["tests", "warp"], tmp_path / "out", None, True, Console(file=io.StringIO()))
    assert not (tmp_path / "out").exists()


def test_weights_stay_behind(tmp_path: Path) -> None:
    step = tmp_path / "training"
    (step / "best").mkdir(parents=True)
    (step / "checkpoints" / "checkpoint-2").mkdir(parents=True)
    (step / "checkpoints" / "checkpoint-2" / "trainer_state.json").write_text("x")
    for name in ("best/adapter_model.safetensors", "best/optimizer.pt", "best/adapter_config.json", "metrics.jsonl"):
        (step / name).write_text("x")
    pack(step, tmp_path / "training.tar.gz")
    with tarfile.open(tmp_path / "training.tar.gz") as tar:
        files = {entry.name for entry in tar if entry.isfile()}
    assert files == {"training/best/adapter_config.json", "training/metrics.jsonl"}


def test_the_limits_add_up_to_a_lease() -> None:
    assert sum(step.minutes for step in STEPS.values()) == 25


def commands(rehearsal: bool) -> list[list[str]]:
    every = (step.rehearsed if rehearsal else step.real for step in STEPS.values())
    return [words for make in every for group in make(Path("out")) for words in group if words[0] != "pytest"]


@pytest.mark.parametrize("rehearsal", [False, True])
def test_every_command_is_one_and_its_config_is_right(rehearsal: bool) -> None:
    """Options, presets and keys of all commands, read by the very parsers that will read them; nothing is run."""
    for package, name, *rest in commands(rehearsal):
        group: Any = get_command(importlib.import_module(f"{package}.cli").app)
        given = group.commands[name].make_context(name, rest).params.get("arguments")
        if given:
            load_config(given[0], given[1:])
