"""A disk that is full or read-only: one error that names the place, nothing half written, and the run goes on later."""

import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from finetune.cli import app
from finetune.export.room import new_folder
from finetune.runs import create_run, hold
from tests.reliability.runs import SETTINGS, Bench, same
from tests.tiny import environment, losses
from tooltune.errors import InputError, JobFailed
from tooltune.files import append_jsonl, atomic_write, disk_fault, read_jsonl, write_json, write_jsonl


def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A small file system of its own, as only an administrator may make it."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if done.returncode:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    yield from mounted(tmp_path / "small", "64k")


@pytest.fixture
def sealed(small: Path) -> Path:
    """A disk that is read-only, with a run and a file on it."""
    (small / "run").mkdir()
    (small / "a.json").write_text("{}", encoding="utf-8")
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    return small


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "full"), (errno.EDQUOT, "quota"), (errno.EROFS, "read-only"), (errno.EIO, "does not answer")],
)
def test_what_a_disk_says_is_told(number: int, said: str) -> None:
    told = disk_fault(OSError(number, "x"), "a/b")
    assert told and said in str(told) and "a/b" in str(told) and "same command" in told.fix


def test_another_error_is_not_the_disks() -> None:
    assert disk_fault(OSError(errno.ENOENT, "x")) is None and disk_fault(ValueError("full")) is None


@pytest.mark.parametrize("library", ["safetensors", "numpy"])
def test_what_a_library_says_of_a_full_disk_is_told(small: Path, library: str) -> None:
    """Their errors have no number."""
    with pytest.raises(Exception) as e:
        if library == "numpy":
            np.zeros(2**17).tofile(small / "x")
        else:
            save_file({"x": np.zeros(2**17)}, small / "x")
    assert str(disk_fault(e.value)) == "cannot be written: the disk is full"


@pytest.mark.parametrize("write", [lambda x, to: x.tofile(to), lambda x, to: save_file({"x": x}, to)])
def test_an_export_that_does_not_fit_names_what_is_free_and_needed(small: Path, write: Callable[..., None]) -> None:
    (small / "other").write_bytes(bytes(2**14))
    said = r"export: cannot be written: the disk is full; 0 MB are free there, the export needs 0 MB"
    with pytest.raises(JobFailed, match=said) as told, new_folder(small / "export", 1000) as making:
        write(np.zeros(2**17), making / "model")
    assert told.value.fix == "free some space, and run the same command again"
    assert [path.name for path in small.iterdir()] == ["other"]


def test_a_file_that_does_not_fit_leaves_the_one_before(small: Path) -> None:
    write_jsonl(small / "a.jsonl", [1])
    with pytest.raises(JobFailed, match=r"a\.jsonl: cannot be written: the disk is full"):
        write_jsonl(small / "a.jsonl", ["x" * 1000] * 200)
    with pytest.raises(JobFailed, match="disk is full"), atomic_write(small / "b", "wb") as f:
        f.write(bytes(2**17))
    assert [row for _, row in read_jsonl(small / "a.jsonl")] == [1]
    assert [path.name for path in small.iterdir()] == ["a.jsonl"]


def test_a_file_that_is_larger_than_files_may_be(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    with pytest.raises(JobFailed, match="larger than this disk"):
        write_json(tmp_path / "a.json", "x" * 2**17)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_line_that_does_not_fit_is_torn_and_left_out(small: Path) -> None:
    append_jsonl(small / "a.jsonl", 1)
    with pytest.raises(JobFailed, match=r"a\.jsonl: cannot be written: the disk is full"):
        append_jsonl(small / "a.jsonl", "x" * 2**17)
    said: list[str] = []
    assert [row for _, row in read_jsonl(small / "a.jsonl", torn=said.append)] == [1] and len(said) == 1


def test_a_read_only_disk_is_told_before_anything_is_done(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"a\.json: cannot be written"):
        write_json(sealed / "a.json", {})
    with pytest.raises(InputError, match="nothing can be written in the run's folder"), hold(sealed / "run"):
        pytest.fail("held")
    monkeypatch.setattr("finetune.runs.NEEDED_BYTES", 0)
    monkeypatch.setenv("TOOLTUNE_RUNS", str(sealed))
    with pytest.raises(InputError, match="cannot be made"):
        create_run("new", "cpu")
    monkeypatch.setenv("TOOLTUNE_RUNS", str(sealed / "new"))
    with pytest.raises(InputError, match="runs cannot be kept here"):
        create_run("new", "cpu")


def test_a_command_says_it_in_two_lines(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        (small / "page.html").write_bytes(bytes(2**17))

    monkeypatch.setattr("finetune.report.write_run_page", full)
    (tmp_path / "config.yaml").touch()
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 1 and len(done.stderr.splitlines()) == 2, done.output
    assert "the disk is full" in done.stderr and "make room" in done.stderr


@pytest.fixture
def disk(bench: Bench, tmp_path: Path) -> Iterator[Bench]:
    """A place for runs of 40 MB."""
    for folder in mounted(tmp_path / "disk", "40m"):
        yield Bench(folder, bench.model)


PLACES = ["manifest,2", "event,4", "checkpoint,1", "checkpoint,12", "sums,11", "forget,3", "best,1", "page,2"]


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_run_whose_disk_is_full_goes_on_when_there_is_room(bench: Bench, disk: Bench, place: str) -> None:
    """Really full, from a given write on; a page that cannot be written does not end a run, what follows it does."""
    done = disk.train("full", fault=f"full={place}")
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in said, said
    assert "cannot be written" in done.stderr and "make room" in done.stderr, said
    (disk.cwd / "runs" / "filler").unlink()
    disk.finish("full")
    same(disk.run("full"), bench.run("whole"))


@pytest.mark.slow
def test_two_commands_at_once_on_one_name(bench: Bench) -> None:
    """The one that comes second is refused, and takes nothing from the first."""
    words = [sys.executable, "-m", "finetune", "train", "cpu", "name=both", f"model.name={bench.model}", *SETTINGS]
    both = [
        subprocess.Popen(words, cwd=bench.cwd, env=environment(bench.cwd), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 2], errors
    assert "is being trained by another process" in errors[codes.index(2)]
    assert losses(bench.run("both")) == losses(bench.run("whole"))
