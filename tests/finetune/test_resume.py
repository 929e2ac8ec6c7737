"""A run that was killed, interrupted, or out of its checkpoint goes on as if nothing had happened (more in
tests/reliability)."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finetune.history import read_history
from finetune.runs import hold
from tests import forked
from tests.tiny import TINY, environment, finetune, losses
from tooltune.config import load_config
from tooltune.files import read_jsonl


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Path, list[str]]:
    """A folder with an uninterrupted run of 10 epochs with evaluations every 4 steps, and its settings."""
    cwd = tmp_path_factory.mktemp("resume")
    settings = [*TINY, f"model.name={tiny_model}", "train.epochs=10", "eval.every=4", "eval.early_stopping_patience=20"]
    finetune(cwd, "train", "cpu", "name=whole", *settings)
    return cwd, settings


@pytest.mark.slow
def test_killed_run_goes_on_with_the_same_losses(whole: tuple[Path, list[str]]) -> None:
    cwd, _ = whole
    killed = cwd / "runs" / "killed"
    shutil.copytree(cwd / "runs" / "whole", killed)
    checkpoints = sorted((killed / "checkpoints").glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    for later in checkpoints[1:]:
        shutil.rmtree(later)
    step = int(checkpoints[0].name.split("-")[1])
    for done in ("best", "last"):
        shutil.rmtree(killed / done)
    finetune(cwd, "train", "--resume", "killed")
    assert step < 80
    assert losses(killed) == losses(cwd / "runs" / "whole")
    evaluations = [
        [row["eval_loss"] for _, row in read_jsonl(cwd / "runs" / n / "epochs.jsonl")] for n in ("whole", "killed")
    ]
    assert evaluations[0] == evaluations[1]
    end = [row for _, row in read_jsonl(killed / "metrics.jsonl") if "train_runtime" in row]
    reference = [row for _, row in read_jsonl(cwd / "runs" / "whole" / "metrics.jsonl") if "train_runtime" in row]
    assert len(end) == 1 and end[0]["train_loss"] == pytest.approx(reference[0]["train_loss"], abs=1e-9)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to a child is POSIX")
def test_ctrl_c_saves_and_says_how_to_go_on(whole: tuple[Path, list[str]]) -> None:
    cwd, settings = whole
    process = subprocess.Popen(
        [sys.executable, "-m", "finetune", "train", "cpu", "name=stopped", *settings],
        cwd=cwd,
        env=environment(cwd),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    run = cwd / "runs" / "stopped"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if (run / "metrics.jsonl").exists() and len(losses(run)) >= 3:
            process.send_signal(signal.SIGINT)
            break
        time.sleep(0.02)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 130, output
    assert "--resume" in output
    at = max(int(p.name.split("-")[1]) for p in (run / "checkpoints").glob("checkpoint-*"))
    assert 3 <= at < 80
    finetune(cwd, "train", env={"RESUME": "1"})
    assert losses(run) == losses(cwd / "runs" / "whole")


@pytest.mark.slow
def test_resume_refuses_another_run(whole: tuple[Path, list[str]]) -> None:
    cwd, _ = whole
    output = finetune(cwd, "train", "--resume", "whole", "lora.r=8", expect=2)
    assert "lora" in output and "start a new run" in output
    assert load_config(str(cwd / "runs" / "whole" / "config.yaml")).lora.r == 4, "what was refused is not kept"


@pytest.mark.slow
def test_resume_without_a_run(tmp_path: Path) -> None:
    assert "no run has started to train yet" in finetune(tmp_path, "train", "--resume", "latest", expect=2)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to a child is POSIX")
def test_ctrl_c_while_loading_leaves_nothing(whole: tuple[Path, list[str]]) -> None:
    cwd, settings = whole
    before, newest = sorted((cwd / "runs").iterdir()), (cwd / "runs" / "latest").resolve()
    process = subprocess.Popen(
        [sys.executable, "-m", "finetune", "train", "cpu", "name=early", *settings],
        cwd=cwd,
        env=environment(cwd),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout
    said = process.stdout.readline()
    assert said.startswith("Run ") and (cwd / "runs" / "early").is_dir()
    assert (cwd / "runs" / "latest").resolve() == newest, "a run that has not begun is not the latest"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 130, output
    assert "Stopped before the first step; nothing was trained" in output
    assert sorted((cwd / "runs").iterdir()) == before


@pytest.mark.slow
def test_a_run_that_another_process_trains_is_not_resumed(whole: tuple[Path, list[str]]) -> None:
    cwd, _ = whole
    run = cwd / "runs" / "whole"
    recorded = (run / "metrics.jsonl").read_bytes()
    with hold(run):
        output = finetune(cwd, "train", "--resume", "whole", expect=2)
    assert "this run is being trained by another process" in output
    assert (run / "metrics.jsonl").read_bytes() == recorded


@pytest.mark.slow
def test_a_run_whose_log_was_cut_in_mid_line_goes_on(whole: tuple[Path, list[str]]) -> None:
    cwd, _ = whole
    torn = cwd / "runs" / "torn"
    shutil.copytree(cwd / "runs" / "whole", torn)
    events = (torn / "metrics.jsonl").read_bytes()
    (torn / "metrics.jsonl").write_bytes(events[: events.rindex(b'"train_runtime"') + 6])
    checkpoints = sorted((torn / "checkpoints").glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    for later in checkpoints[1:]:
        shutil.rmtree(later)
    said: list[str] = []
    assert read_history(torn, said.append).end is None and "was cut off" in said[0]
    finetune(cwd, "train", "--resume", "torn")
    assert losses(torn) == losses(cwd / "runs" / "whole")
    said.clear()
    assert read_history(torn, said.append).end and not said


@pytest.mark.slow
def test_a_run_that_died_in_its_last_evaluation_makes_up_for_it(tmp_path: Path, tiny_model: Path) -> None:
    settings = ["train", "cpu", *TINY, f"model.name={tiny_model}", "train.epochs=3", "memory.recoveries=0"]
    finetune(tmp_path, *settings, "name=whole")
    died = ["-m", "tests.finetune.shortages", "evaluation", *settings, "name=died"]
    done = forked.run(died, cwd=tmp_path, env=environment(tmp_path), unsloth=True)
    assert done.returncode == 1, done.stdout + done.stderr
    runs = tmp_path / "runs"
    assert len(list(read_jsonl(runs / "died" / "epochs.jsonl"))) == 2
    finetune(tmp_path, "train", "--resume", "died")
    tables = [
        [(row["step"], row["eval_loss"], row["train_loss"], row["best"]) for _, row in read_jsonl(run / "epochs.jsonl")]
        for run in (runs / "died", runs / "whole")
    ]
    assert tables[0] == tables[1]
    assert (runs / "died" / "best" / "adapter_model.safetensors").is_file()
