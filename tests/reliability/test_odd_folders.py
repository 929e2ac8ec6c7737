"""Runs whose files are cut, are folders, were copied by hand, or whose clock was put back: one line, or no harm."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from finetune import checkpoints
from finetune.checkpoints import SUMS, fault, last_checkpoint, prune, put_back, written_whole
from finetune.history import read_history
from finetune.runs import create_run, cut_off, hold
from tests.finetune import run_samples
from tests.reliability.test_checkpoints import write
from tooltune.cli import errors_as_lines
from tooltune.config import load_config
from tooltune.errors import InputError, JobFailed
from tooltune.files import append_jsonl, file_digest, write_json
from tooltune.run import find_run, point_latest


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run, in the folder of runs."""
    monkeypatch.setenv("TOOLTUNE_RUNS", str(tmp_path))
    return run_samples.healthy_run(tmp_path)


@pytest.mark.parametrize("quarters", range(4))
def test_a_manifest_that_is_cut_is_named(run: Path, quarters: int) -> None:
    text = (run / "manifest.json").read_bytes()
    (run / "manifest.json").write_bytes(text[: len(text) * quarters // 4])
    for look in (lambda: cut_off(run.name), lambda: read_history(run)):
        with pytest.raises(InputError, match="the file is broken") as e:
            look()
        assert e.value.where == str(run / "manifest.json")


FILES = ["manifest.json", "config.yaml", "metrics.jsonl", "epochs.jsonl", "rows.json"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_an_editor_saved_is_read(run: Path, name: str) -> None:
    """Notepad writes CRLF, PowerShell's Set-Content a byte-order mark."""
    before = read_history(run)
    raw = (run / name).read_bytes()
    (run / name).write_bytes(b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n"))
    assert read_history(run) == before


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_powershell_wrote_is_named(run: Path, name: str) -> None:
    (run / name).write_text((run / name).read_text(encoding="utf-8"), encoding="utf-16")
    with pytest.raises(InputError, match="UTF-8") as e:
        read_history(run)
    assert e.value.where.startswith(str(run / name))


def test_a_name_that_is_too_long_for_a_disk(run: Path) -> None:
    assert cut_off("a" * 300) is None
    with pytest.raises(InputError, match="no run"):
        find_run("a" * 300)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_run_that_is_a_folder_is_named(run: Path, name: str) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).mkdir()
    with pytest.raises(InputError) as e:
        read_history(run)
    assert e.value.where == str(run / name)


def test_what_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), errors_as_lines(debug=False):
        append_jsonl(tmp_path, {})
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: cannot be read or written (Is a directory)\n→ see")


def test_a_file_has_the_name_of_a_run(run: Path) -> None:
    run.with_name("a").touch()
    with pytest.raises(InputError, match="a file of this name exists"):
        create_run("a", "cpu")


def test_a_copy_of_runs_has_a_folder_where_the_newest_is_named(run: Path) -> None:
    shutil.copytree(run, run.with_name("latest"))
    for begin in (lambda: create_run(None, "cpu"), lambda: point_latest(run)):
        with pytest.raises(InputError, match="this is a folder"):
            begin()


def test_the_clock_was_put_back(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda form: "20261127-120000")
    made = [create_run(None, "cpu").name for _ in range(3)]
    assert made == ["cpu-20261127-120000", "cpu-20261127-120000-2", "cpu-20261127-120000-3"]


@pytest.mark.parametrize(
    ("stem", "name"),
    [("my conf (1) <b>", "my-conf-1-b"), (".mine", "mine"), ("$(id)", "id"), ("내 설정", "내-설정"), ("…", "run")],
)
def test_a_run_is_called_after_a_file_as_a_run_may_be(run: Path, stem: str, name: str) -> None:
    folder = create_run(None, stem)
    assert folder.name.startswith(f"{name}-2") and load_config("cpu", [f"name={folder.name}"]).name == folder.name


def test_one_folder_by_two_paths_is_one_run(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.symlink_to(run)
    with hold(run), pytest.raises(InputError, match="is being trained by another process"), hold(other):
        pytest.fail("held twice")


def test_checkpoints_that_were_copied_by_hand_are_left_alone(tmp_path: Path) -> None:
    for step in (4, 8, 12):
        newest = write(tmp_path, step, best=12)
    copies = [newest.with_name(name) for name in ("checkpoint-12-copy", "checkpoint-12-2", "checkpoint-20.bak")]
    for copy in (*copies, newest.with_name(".checkpoint-old")):
        shutil.copytree(newest, copy)
    newest.with_name("checkpoint-16").touch()
    assert last_checkpoint(tmp_path, pytest.fail) == newest
    prune(tmp_path / "checkpoints")
    put_back(tmp_path)
    assert all((kept / SUMS).is_file() for kept in (*copies, newest, newest.with_name("checkpoint-8")))
    assert not newest.with_name("checkpoint-4").exists()
    assert newest.with_name(".checkpoint-old").is_dir()


def test_a_run_that_is_renamed_while_it_trains_begins_no_other(run: Path) -> None:
    run.rename(run.with_name("other"))
    with pytest.raises(JobFailed, match="is not there any more"), written_whole(run / "checkpoints" / "checkpoint-8"):
        pytest.fail("it is written")


@pytest.mark.parametrize(("times", "text"), [(3, "2\n"), (9, "1\n")])
def test_a_file_that_another_program_holds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, text: str
) -> None:
    write_json(tmp_path / "a", 1)
    held, replace = iter(range(times)), os.replace

    def refuse(*paths: Path) -> None:
        if next(held, None) is not None:
            raise PermissionError(13, "Permission denied")
        replace(*paths)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with suppress(InputError):
        write_json(tmp_path / "a", 2)
    assert (tmp_path / "a").read_text() == text and len(list(tmp_path.iterdir())) == 1


def test_a_disk_without_modes_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT and exFAT."""
    monkeypatch.setattr(Path, "chmod", lambda path, mode: Path("/no/such").stat())
    write_json(tmp_path / "a", 1)
    assert (tmp_path / "a").read_text() == "1\n"


def test_a_checkpoint_that_another_program_holds_is_none_and_goes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oldest, _, newest = (write(tmp_path, step) for step in (4, 8, 12))
    with monkeypatch.context() as other:
        other.setattr(os, "rmdir", lambda path, **_: Path("/no/such").stat())
        prune(tmp_path / "checkpoints")
    assert oldest.exists() and fault(oldest) and last_checkpoint(tmp_path) == newest
    prune(tmp_path / "checkpoints")
    assert not oldest.exists()


def test_a_checkpoint_that_the_disk_does_not_give_back_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, newest = (write(tmp_path, step) for step in (4, 8))

    def broken(path: Path) -> str:
        if path == newest / "optimizer.pt":
            raise OSError(5, "Input/output error")
        return file_digest(path)

    monkeypatch.setattr(checkpoints, "file_digest", broken)
    told: list[str] = []
    assert last_checkpoint(tmp_path, told.append) == before
    (line,) = told
    assert str(line) == "checkpoint-8 is passed over: optimizer.pt cannot be read (Input/output error)"
    (before / SUMS).unlink()
    (before / SUMS).mkdir()
    assert fault(before) == f"{SUMS} is broken"
