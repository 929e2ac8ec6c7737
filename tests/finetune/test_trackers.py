"""Trackers: one set of names everywhere, offline unless asked, and a missing package said before anything is loaded."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from finetune.trackers import check_trackers, named, open_trackers
from tooltune.config import Config, load_config
from tooltune.errors import InputError

EVENT = {"step": 10, "loss": 0.5, "epoch": 0.1, "gpu_memory_reserved": 5.1, "gpu_utilization": None, "memory": 3.0}
NAMES = {"train/loss": 0.5, "train/epoch": 0.1, "system/gpu_memory_reserved": 5.1, "system/memory": 3.0}


def config(*wanted: str) -> Config:
    """The cpu preset with these trackers and no other."""
    return load_config("cpu", ["report.tensorboard=false", *(f"report.{name}=true" for name in wanted)])


def test_names_are_those_of_the_contract() -> None:
    assert named(EVENT) == NAMES
    evaluation = {"step": 250, "eval_loss": 0.2, "eval_loss_name": 0.1, "eval_tool_name_accuracy": 0.9}
    assert named(evaluation) == {"eval/loss": 0.2, "eval/loss_name": 0.1, "eval/tool_name_accuracy": 0.9}
    assert named({"step": 1, "train_runtime": 5.0, "total_flos": 1e15}).keys() == {
        "train/train_runtime",
        "train/total_flos",
    }
    assert named({"loss": "nan", "grad_norm": None, "flag": True}) == {}


def test_tensorboard_has_the_names(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (tracker,) = open_trackers(load_config("cpu"), tmp_path)
    tracker.log(named(EVENT), 10)
    tracker.log(named({"step": 10, "eval_loss": 0.2}), 10)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {*NAMES, "eval/loss"}, "they are there before it is closed"
    assert [(s.step, s.value) for s in board.Scalars("train/loss")] == [(10, 0.5)]
    tracker.close()


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_missing_package_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    with pytest.raises(InputError, match=f"the package {name} is not installed") as error:
        check_trackers(config(name).report)
    assert f"pip install {name}" in error.value.lines()[1]
    check_trackers(config().report)


class Opened:
    """What the stand-ins for both libraries return: the part of their runs that is used."""

    def __init__(self) -> None:
        self.logged: list[tuple[dict[str, float], int]] = []
        self.finished = 0

    def log(self, values: dict[str, float], step: int) -> None:
        self.logged.append((values, step))

    def finish(self) -> None:
        self.finished += 1


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> tuple[Opened, dict[str, Any]]:
    """Put a module of that name in place of the library; returns what `init` gives and what it was given."""
    opened, given = Opened(), {}

    def init(**arguments: Any) -> Opened:
        given.update(arguments)
        return opened

    module = types.ModuleType(name)
    module.__dict__.update(init=init, **members)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    return opened, given


def wandb_stand_in(monkeypatch: pytest.MonkeyPatch, logged_in: bool) -> tuple[Opened, dict[str, Any]]:
    class Refused(Exception):
        pass

    errors = types.SimpleNamespace(CommError=Refused, UsageError=Refused)
    asked = []

    def login(*, prompt: bool) -> bool:
        asked.append(prompt)
        return logged_in

    found = stand_in(monkeypatch, "wandb", errors=errors, login=login, Settings=dict)
    found[1]["asked"] = asked
    return found


def test_wandb_is_offline_in_the_runs_folder_and_never_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    opened, given = wandb_stand_in(monkeypatch, logged_in=False)
    monkeypatch.setenv("WANDB_MODE", "")
    monkeypatch.delenv("WANDB_MODE")
    (tracker,) = open_trackers(config("wandb"), tmp_path)
    assert os.environ["WANDB_MODE"] == "offline" and given["asked"] == []
    assert (given["dir"], given["id"], given["resume"]) == (str(tmp_path), tmp_path.name, "allow")
    assert (
        given["config"]["train"]["learning_rate"] == config("wandb").train.learning_rate and given["settings"]["silent"]
    )
    tracker.log(named(EVENT), 10)
    tracker.close()
    assert opened.logged == [(NAMES, 10)] and opened.finished == 1


def test_wandb_online_without_an_account_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, given = wandb_stand_in(monkeypatch, logged_in=False)
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(InputError, match="no account"):
        open_trackers(config("wandb"), tmp_path)
    assert given["asked"] == [False], "without a prompt"
    _, given = wandb_stand_in(monkeypatch, logged_in=True)
    assert len(open_trackers(config("wandb"), tmp_path)) == 1


def test_trackio_is_local_and_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, given = stand_in(monkeypatch, "trackio")
    (tracker,) = open_trackers(config("trackio"), tmp_path)
    tracker.log(named(EVENT), 10)
    assert "space_id" not in given, "only its own variable names a Space"
    assert given["private"] and not (given["embed"] or given["auto_log_gpu"] or given["auto_log_cpu"])
    assert opened.logged == [(NAMES, 10)]


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_the_library_itself_takes_the_names_offline(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when it is imported
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    pytest.importorskip(name)
    (tracker,) = open_trackers(config(name), tmp_path)
    tracker.log(named(EVENT), 10)
    tracker.close()
    written = [p for p in tmp_path.rglob("*") if p.is_file() and (p.suffix == ".wandb" or "tooltune.db" in p.name)]
    assert any(b"train/loss" in path.read_bytes() for path in written)
