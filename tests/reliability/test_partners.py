"""Two processes that train together: their run goes on, and what befalls one ends both, in one line."""

import shutil
from pathlib import Path

import pytest

from finetune.checkpoints import fault, last_checkpoint, put_back, step_of
from tests.finetune.test_together import SETTINGS, launch, train
from tests.tiny import losses


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Path, list[str]]:
    """A folder with a run of two processes, and its settings; a logged mean lies across its checkpoint."""
    cwd = tmp_path_factory.mktemp("together")
    settings = [*SETTINGS, f"model.name={tiny_model}", "eval.generate=0", "train.logging_steps=3"]
    done = launch(cwd, "tests.reliability.faults", "none", "train", "cpu", "name=whole", *settings, processes=2)
    assert done.returncode == 0 and "left behind" not in done.stderr, done.stdout + done.stderr
    return cwd, settings


@pytest.mark.slow
def test_a_run_goes_on_in_two_processes(halves: tuple[Path, list[str]]) -> None:
    cwd, _ = halves
    run = cwd / "runs" / "again"
    shutil.copytree(cwd / "runs" / "whole", run)
    for done in ("best", "last"):
        shutil.rmtree(run / done)
    checkpoints = sorted((run / "checkpoints").iterdir(), key=step_of)
    assert not any(map(fault, checkpoints)), "whole, though others than the first wrote none of it"
    for later in checkpoints[1:]:
        shutil.rmtree(later)
    train(cwd, "again", "--resume", "again", processes=2)
    assert losses(run) == pytest.approx(losses(cwd / "runs" / "whole"), abs=1e-6)


def befalls_one(halves: tuple[Path, list[str]], rank: str, what: str, step: int) -> str:
    """Let a fault (tests/reliability/faults.py) befall one of two processes, and go on from checkpoint `step` (0: there
    is none) with the same command and losses; what the processes said in errors."""
    cwd, settings = halves
    name = what.translate(str.maketrans("=,", "--"))
    words = ["tests.reliability.faults", what, "train", "cpu", f"name={name}", *settings]
    done = launch(cwd, *words, processes=2, FAULT_RANK=rank)
    assert done.returncode
    put_back(cwd / "runs" / name)
    newest = last_checkpoint(cwd / "runs" / name)
    assert (step_of(newest) if newest else 0) == step, done.stdout + done.stderr
    run = train(cwd, name, "cpu", f"name={name}", *settings, processes=2)
    assert losses(run) == pytest.approx(losses(cwd / "runs" / "whole"), abs=1e-6)
    assert "left behind" not in done.stderr
    return done.stderr


@pytest.mark.slow
def test_one_is_told_to_stop_and_both_do(halves: tuple[Path, list[str]]) -> None:
    said = befalls_one(halves, "1", "press=step,7", 7)
    assert not any(line.startswith("error: ") for line in said.splitlines()), "none misses the other"


@pytest.mark.slow
def test_a_loss_that_is_not_finite_in_one_of_two_processes(halves: tuple[Path, list[str]]) -> None:
    befalls_one(halves, "1", "nan=loss,6", 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rank", "what", "step"),
    [("1", "kill=step,6", 4), ("0", "kill=step,7", 4), ("0", "kill=checkpoint,1", 0)],
)
def test_one_of_two_processes_is_killed(halves: tuple[Path, list[str]], rank: str, what: str, step: int) -> None:
    errors = befalls_one(halves, rank, what, step)
    (said,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert said.startswith("error: another process of this run ended"), "and it waits for nobody"


@pytest.mark.slow
def test_accelerate_starts_them_as_torchrun_does(halves: tuple[Path, list[str]]) -> None:
    """Its own precision is not the config's, and is not taken."""
    cwd, settings = halves
    by = ("accelerate.commands.launch", "--multi_gpu", "--main_process_port", "0", "--mixed_precision", "bf16")
    run = train(cwd, "launched", "cpu", "name=launched", *settings, processes=2, by=(*by, "--num_processes"))
    assert losses(run) == losses(cwd / "runs" / "whole")
