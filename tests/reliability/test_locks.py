"""One process trains a run; one that was killed holds nothing."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune.runs import LOCK, create_run, cut_off, hold, newest_cut_off
from tests.tiny import ROOT
from tooltune.errors import InputError
from tooltune.files import write_json
from tooltune.run import point_latest

HOLD = """
import sys, time
from pathlib import Path
from finetune.runs import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> "subprocess.Popen[str]":
    """A process that holds the run."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_run_that_another_process_trains_is_refused(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    with pytest.raises(InputError, match="is being trained by another process"), hold(tmp_path):
        pytest.fail("held twice")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_killed_process_holds_nothing(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    for _ in range(2):
        with hold(tmp_path):
            assert (tmp_path / LOCK).is_file()


def _try(folder: Path, start: Any, ended: Any, held: Any) -> None:
    start.wait()
    try:
        with hold(folder):
            held.put(True)
            ended.wait()
    except InputError:
        held.put(False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forked")
def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, ended, held = context.Event(), context.Event(), context.Queue()
    processes = [context.Process(target=_try, args=(tmp_path, start, ended, held)) for _ in range(8)]
    for process in processes:
        process.start()
    start.set()
    got = [held.get(timeout=60) for _ in processes]
    ended.set()
    for process in processes:
        process.join()
    assert sum(got) == 1


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of runs."""
    monkeypatch.setenv("TOOLTUNE_RUNS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("left", [[], ["log.txt"], ["log.txt", LOCK], ["log.txt", LOCK, ".manifest.json.x1"]])
def test_a_folder_in_which_nothing_was_trained_is_taken(runs: Path, left: list[str]) -> None:
    (runs / "a").mkdir()
    for name in left:
        (runs / "a" / name).touch()
    assert create_run("a", "cpu") == runs / "a" and cut_off("a") is None


@pytest.mark.parametrize("other", ["notes.txt", "config.yaml", "best"])
def test_a_folder_with_anything_else_is_not(runs: Path, other: str) -> None:
    (runs / "a").mkdir()
    (runs / "a" / other).touch()
    with pytest.raises(InputError, match="of this name exists"):
        create_run("a", "cpu")


def test_a_run_is_cut_off_from_its_manifest_to_its_last_page(runs: Path) -> None:
    assert cut_off(None) is None and cut_off("a") is None
    write_json(runs / "a" / "manifest.json", {"device": {}})
    assert cut_off("a") == runs / "a"
    write_json(runs / "a" / "manifest.json", {"device": {}, "wall_seconds": 1.0})
    assert cut_off("a") is None


@pytest.mark.parametrize("as_text", [False, True])
def test_the_newest_is_cut_off_or_not_or_broken(runs: Path, as_text: bool) -> None:
    assert not newest_cut_off()
    (runs / "a").mkdir()
    (runs / "a" / "config.yaml").touch()
    if as_text:  # as on Windows
        (runs / "latest").write_text("a", encoding="utf-8")
    else:
        point_latest(runs / "a")
    for manifest, cut in (('{"device": {}}', True), ('{"device": {}, "wall_seconds": 1}', False), ('{"dev', False)):
        (runs / "a" / "manifest.json").write_text(manifest, encoding="utf-8")
        assert newest_cut_off() is cut
