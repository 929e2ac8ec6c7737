"""A run is found by name, by folder, or as the newest; what is broken in it is one line with the file and the mend."""

import json
import os
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from eval.cli import app
from tooltune.config import load_config
from tooltune.errors import InputError
from tooltune.run import ASSUMED, find_run, point_latest, read_config, read_manifest

CONFIG = "model:\n  name: embedded\n"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of runs, with nothing in it."""
    monkeypatch.setenv("TOOLTUNE_RUNS", str(tmp_path))
    return tmp_path


def begun(runs: Path, name: str, age: int = 0) -> Path:
    run = runs / name
    run.mkdir()
    (run / "config.yaml").write_text(CONFIG, encoding="utf-8")
    (run / "manifest.json").write_text('{"device": {"name": "a card"}}', encoding="utf-8")
    os.utime(run / "config.yaml", (2e9 - age, 2e9 - age))
    return run


def loading(runs: Path, name: str) -> Path:
    """What a run that was killed while it loaded leaves."""
    run = runs / name
    run.mkdir()
    (run / "log.txt").touch()
    return run


def refused(name: str | None = None) -> str:
    with pytest.raises(InputError) as e:
        find_run(name)
    return " ".join(e.value.lines())


def test_no_run_has_begun(runs: Path) -> None:
    assert "no run has started to train yet" in refused() and "python -m finetune train" in refused("latest")
    point_latest(loading(runs, "killed"))
    assert "no run has started to train yet" in refused()


def test_the_newest_is_the_one_that_latest_names(runs: Path) -> None:
    begun(runs, "new")
    point_latest(begun(runs, "old", age=5))
    assert find_run().name == find_run("latest").name == "old"
    (runs / "latest").unlink()
    (runs / "latest").write_text("new\n", encoding="utf-8")
    assert find_run().name == find_run(str(runs / "latest")).name == "new"
    (runs / "latest").write_bytes(b"\xff")
    with pytest.raises(InputError, match="it names no run"):
        find_run()


def test_the_newest_by_any_path_is_the_run_that_it_names(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it the link, a run that goes on would point `latest` at itself."""
    run = begun(runs, "new")
    point_latest(run)
    (runs / "new" / "eval").mkdir()
    monkeypatch.setenv("TOOLTUNE_RUNS", "runs")
    for here, name in (
        (runs, str(runs / "new" / ".." / "latest")),
        (run, "../latest"),
        (run / "eval", str(runs / "latest")),
    ):
        monkeypatch.chdir(here)
        assert find_run(name).name == "new"
    point_latest(find_run(str(runs / "latest")))
    assert find_run(str(runs / "latest")).name == "new"
    (runs / "latest").unlink()
    (runs / "latest").symlink_to("latest")
    assert "name one of: new" in refused(str(runs / "latest"))


def test_a_run_is_found_from_within_it(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = begun(runs, "new") / "eval"
    inside.mkdir()
    monkeypatch.setenv("TOOLTUNE_RUNS", "runs")
    for here, name in ((inside, ".."), (inside.parent, "."), (runs, "new"), (runs, "./new/")):
        monkeypatch.chdir(here)
        assert find_run(name).name == "new"


def test_a_run_may_be_called_as_another_folder_is(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runs / "runs").mkdir()
    (runs / "data").mkdir()
    begun(runs / "runs", "data")
    monkeypatch.chdir(runs)
    monkeypatch.setenv("TOOLTUNE_RUNS", "runs")
    assert find_run("data") == Path("runs/data")


@pytest.mark.parametrize("name", ["", " ", "a" * 300, "a/" * 3000, "a\0b", "\udcff"])
def test_what_names_no_run_is_said(runs: Path, name: str) -> None:
    begun(runs, "new")
    assert "no run" in refused(name) and "runs: new" in refused(name)


def test_a_newest_that_never_began_names_the_others(runs: Path) -> None:
    begun(runs, "old", age=5)
    begun(runs, "new")
    assert "it names no run → name one of: new, old" in refused()
    point_latest(loading(runs, "killed"))
    assert "the newest run never began to train → name one of: new, old" in refused()
    assert "killed: the run never began to train → runs: new, old" in refused("killed")


def test_every_run_is_named_up_to_a_screenful(runs: Path) -> None:
    assert "no run 'absent'" in refused("absent") and "none yet" in refused("absent")
    for age in range(23):
        begun(runs, f"run-{age:02}", age)
    assert "run-00, run-01, " in refused("absent")
    assert "run-19, and 3 more (python -m finetune runs)" in refused("absent")


BROKEN_CONFIGS = ["", "model: 3\n", "- a\n", "a: [", "\t"]


@pytest.mark.parametrize("text", BROKEN_CONFIGS)
def test_a_broken_config_names_the_file_and_the_mend(runs: Path, text: str) -> None:
    run = begun(runs, "torn")
    (run / "config.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"config\.yaml: ") as e:
        read_config(run)
    assert "put the file back" in e.value.fix
    done = CliRunner().invoke(app, ["run", "torn"])
    assert done.exit_code == 2 and str(e.value) in done.stderr


def test_a_run_of_an_older_version_gets_what_it_assumed(runs: Path) -> None:
    values = load_config("cpu").model_dump(mode="json")
    for key in ASSUMED:
        section, _, leaf = key.rpartition(".")
        del (values[section] if section else values)[leaf]
    run = begun(runs, "old")
    (run / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    config = read_config(run, ["eval.generate=0"])
    assert config.train.share_prefix == "off" and not config.model.fast_matmul and config.memory.recoveries == 0
    assert config.loss.role_weights.name == 1 and config.eval.generate == 0


def test_a_run_without_its_config(runs: Path) -> None:
    run = begun(runs, "torn")
    (run / "config.yaml").unlink()
    assert "config.yaml: this file of the run is missing → put the file back" in refused("torn")
    with pytest.raises(InputError, match="this file of the run is missing"):
        read_config(run)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", json.dumps({"device": 1})])
def test_a_broken_manifest_names_the_file_and_the_mend(runs: Path, text: str) -> None:
    run = begun(runs, "torn")
    (run / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"manifest\.json") as e:
        read_manifest(run)
    assert "train again" in e.value.fix


def test_a_manifest_that_is_gone_is_no_run_that_never_began(runs: Path) -> None:
    run = begun(runs, "torn")
    (run / "manifest.json").unlink()
    with pytest.raises(InputError, match="has not started to train"):
        read_manifest(run)
    (run / "metrics.jsonl").touch()
    with pytest.raises(InputError, match=r"manifest\.json: this file of the run is missing"):
        read_manifest(run)
