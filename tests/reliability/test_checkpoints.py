"""A checkpoint is whole or it is named and passed over; the best adapter is never pruned."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.checkpoints import (
    NEEDED,
    SUMS,
    fault,
    last_checkpoint,
    prune,
    put_back,
    remove_after,
    step_of,
    written_whole,
)
from tooltune.errors import JobFailed


def write(run: Path, step: int, best: int | None = None, text: str = "") -> Path:
    """A checkpoint with every file that a run needs."""
    folder = run / "checkpoints" / f"checkpoint-{step}"
    with written_whole(folder):
        folder.mkdir(parents=True)
        for name in NEEDED:
            (folder / name).write_text(f"{name} of step {step}{text}", encoding="utf-8")
        (folder / "trainer_state.json").write_text(json.dumps({"best_global_step": best}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints of steps 4, the best, 8 and 12."""
    made = tmp_path_factory.mktemp("written")
    for step in (4, 8, 12):
        write(made, step, best=4)
    return made


@pytest.fixture
def run(written: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(written, tmp_path / "run")


def steps(run: Path) -> list[int]:
    return sorted(map(step_of, (run / "checkpoints").glob("checkpoint-*")))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


BREAKS: dict[str, Callable[[Path], None]] = {"missing": Path.unlink, "cut": cut, "flipped": flip}


@pytest.mark.parametrize("name", [*NEEDED, SUMS])
@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_file_is_named_and_the_checkpoint_before_it_taken(run: Path, name: str, how: str) -> None:
    newest = run / "checkpoints" / "checkpoint-12"
    assert last_checkpoint(run, pytest.fail) == newest
    BREAKS[how](newest / name)
    said: list[str] = []
    assert last_checkpoint(run, lambda line: said.append(str(line))) == run / "checkpoints" / "checkpoint-8"
    assert len(said) == 1 and said[0].startswith("checkpoint-12 is passed over: ")
    assert name in said[0] or name == SUMS


@pytest.mark.parametrize("name", NEEDED)
def test_sums_that_do_not_name_a_needed_file_are_not_enough(run: Path, name: str) -> None:
    newest = run / "checkpoints" / "checkpoint-12"
    lines = (newest / SUMS).read_text(encoding="utf-8").splitlines(keepends=True)
    (newest / SUMS).write_text("".join(line for line in lines if not line.endswith(f"  {name}\n")), encoding="utf-8")
    assert fault(newest).startswith(name)


def test_the_sums_are_what_sha256sum_reads(run: Path) -> None:
    newest = run / "checkpoints" / "checkpoint-12"
    lines = (newest / SUMS).read_text(encoding="utf-8").splitlines()
    assert [line[64:] for line in lines] == [f"  {name}" for name in sorted(NEEDED)]


@pytest.mark.parametrize("how", BREAKS)
def test_a_run_does_not_go_on_to_an_end_with_a_broken_best(run: Path, how: str) -> None:
    BREAKS[how](run / "checkpoints" / "checkpoint-4" / "adapter_model.safetensors")
    write(run, 2)
    said: list[str] = []
    assert last_checkpoint(run, lambda line: said.append(str(line))) == run / "checkpoints" / "checkpoint-2"
    assert len(said) == 3 and all("checkpoint-4, of which adapter_model.safetensors" in line for line in said[:2])


def test_a_best_whose_optimizer_is_broken_still_has_its_adapter(run: Path) -> None:
    (run / "checkpoints" / "checkpoint-4" / "optimizer.pt").unlink()
    assert last_checkpoint(run, pytest.fail) == run / "checkpoints" / "checkpoint-12"


def test_the_two_newest_and_the_best_of_each_stay(run: Path) -> None:
    write(run, 16, best=4)
    prune(run / "checkpoints")
    assert steps(run) == [4, 12, 16]
    write(run, 20, best=20)
    prune(run / "checkpoints")
    assert steps(run) == [4, 16, 20], "were 20 broken, the run would go on from 16, whose best is 4"
    write(run, 24, best=20)
    prune(run / "checkpoints")
    assert steps(run) == [20, 24]


def test_one_that_is_not_whole_takes_no_place_of_one_that_is(run: Path) -> None:
    (run / "checkpoints" / "checkpoint-12" / SUMS).unlink()
    (run / "checkpoints" / "checkpoint-16").mkdir()
    prune(run / "checkpoints")
    assert steps(run) == [4, 8]


def test_later_ones_go_when_a_run_goes_back(run: Path) -> None:
    remove_after(run, 8)
    assert steps(run) == [4, 8]


class Killed(BaseException):
    """As a second Ctrl-C."""


@pytest.mark.parametrize("error", [RuntimeError("x"), Killed()])
def test_a_checkpoint_that_cannot_be_written_again_is_the_one_before(run: Path, error: BaseException) -> None:
    newest = run / "checkpoints" / "checkpoint-12"
    with pytest.raises(type(error)), written_whole(newest):
        newest.mkdir()
        raise error
    assert not fault(newest) and steps(run) == [4, 8, 12]
    with pytest.raises(type(error)), written_whole(newest.with_name("checkpoint-16")):
        raise error
    assert steps(run) == [4, 8, 12]


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 576 vs 534"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
        ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_said_with_the_checkpoint_and_what_is_free(run: Path, error: Exception) -> None:
    newest = run / "checkpoints" / "checkpoint-16"
    with pytest.raises(JobFailed, match=r"16 cannot be written .* MiB were free") as e, written_whole(newest):
        raise error
    assert "make room" in e.value.fix and last_checkpoint(run) == run / "checkpoints" / "checkpoint-12"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the writing process is forked")
@pytest.mark.parametrize("files", range(len(NEEDED) + 1))
def test_a_kill_while_a_checkpoint_is_written_again_loses_nothing(run: Path, files: int) -> None:
    newest = run / "checkpoints" / "checkpoint-12"
    if (pid := os.fork()) == 0:
        with written_whole(newest):
            newest.mkdir()
            for name in NEEDED[:files]:
                (newest / name).write_text("new", encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    put_back(run)
    assert last_checkpoint(run, pytest.fail) == newest
    assert not list((run / "checkpoints").glob(".*"))


def test_what_was_to_be_replaced_goes_when_the_new_one_is_whole(run: Path) -> None:
    newest = run / "checkpoints" / "checkpoint-12"
    shutil.copytree(newest, newest.with_name(".checkpoint-12"))
    write(run, 12, best=4, text=" again")
    shutil.copytree(run / "checkpoints" / "checkpoint-8", newest.with_name(".checkpoint-12"))  # as a kill leaves it
    put_back(run)
    assert (newest / "optimizer.pt").read_text(encoding="utf-8").endswith("again")
    assert not list((run / "checkpoints").glob(".*"))
