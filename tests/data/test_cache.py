"""What was made of files is taken again as long as nothing has changed that it was made of, and never in part."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from data import cache
from data.cache import cache_dir, kept
from tooltune.errors import InputError


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOOLTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def writing(text: str, made: list[str]):
    def make(folder: Path) -> None:
        made.append(text)
        (folder / "a.txt").write_text(text)

    return make


def test_an_entry_is_made_once_and_anew_when_a_fact_changes() -> None:
    made: list[str] = []
    first = kept("text", {"file": "x", "length": 1}, writing("one", made))
    assert kept("text", {"file": "x", "length": 1}, writing("two", made)) == first
    assert (first / "a.txt").read_text() == "one"
    for facts in ({"file": "y", "length": 1}, {"file": "x", "length": 2}, {"file": "x", "length": 1, "code": 2}):
        assert kept("text", facts, writing("new", made)) != first
    assert made == ["one", "new", "new", "new"]


@pytest.mark.parametrize("fault", ["cut", "gone", "no list", "list cut"])
def test_an_entry_that_is_not_whole_is_made_again(fault: str) -> None:
    made: list[str] = []
    folder = kept("text", {}, writing("whole", made))
    if fault == "cut":
        (folder / "a.txt").write_text("wh")
    elif fault == "gone":
        (folder / "a.txt").unlink()
    elif fault == "no list":
        (folder / "entry.json").unlink()
    else:
        (folder / "entry.json").write_bytes((folder / "entry.json").read_bytes()[:20])
    assert (kept("text", {}, writing("whole", made)) / "a.txt").read_text() == "whole"
    assert made == ["whole", "whole"]


def test_what_belongs_to_another_user_is_passed_by(place: Path) -> None:
    (place / ".text-other.lock").mkdir(parents=True)  # cannot be opened, by the administrator either
    (place / ".text-other").mkdir()
    kept("text", {}, writing("mine", []))
    assert (place / ".text-other").is_dir()


def test_what_fails_leaves_nothing(place: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "a.txt").write_text("half")
        raise InputError("a row is wrong", where="x.jsonl:3")

    with pytest.raises(InputError, match="a row is wrong"):
        kept("text", {}, fail)
    assert not [path for path in place.iterdir() if path.is_dir()]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_what_a_killed_process_left_is_not_taken_and_goes(place: Path) -> None:
    code = (
        "import time; from data.cache import kept\n"
        "def make(folder):\n"
        "    (folder / 'a.txt').write_text('half'); print('there', flush=True); time.sleep(60)\n"
        "kept('text', {}, make)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "there\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = [path for path in place.iterdir() if path.is_dir()]
    other = kept("text", {"another": 1}, writing("other", []))
    assert not left.exists() and other.is_dir(), "the next entry that is made clears what is left"
    assert (kept("text", {}, writing("whole", [])) / "a.txt").read_text() == "whole"


def test_two_that_want_the_same_make_it_once() -> None:
    made: list[str] = []

    def slowly(folder: Path) -> None:
        writing("one", made)(folder)
        time.sleep(0.3)

    threads = [threading.Thread(target=kept, args=("text", {}, slowly)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["one"]


def test_what_was_not_used_for_longest_goes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    folders = [kept("text", {"n": n}, writing("x" * 1000, made)) for n in range(3)]
    for age, folder in zip((30, 10, 20), folders, strict=True):
        os.utime(folder, (time.time() - age,) * 2)
    one = sum(path.stat().st_size for path in folders[0].iterdir())
    monkeypatch.setattr(cache, "MOST", 3 * one + one // 2)
    last = kept("text", {"n": 3}, writing("x" * 1000, made))
    assert [folder.is_dir() for folder in (*folders, last)] == [False, True, True, True]
    monkeypatch.setattr(cache, "MOST", 1)
    assert kept("text", {"n": 1}, writing("", made)).is_dir(), "the one that is used stays"
    assert sum(path.is_dir() for path in place.iterdir()) == 1


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TOOLTUNE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="cannot be kept here") as e:
        kept("text", {}, writing("", []))
    assert "TOOLTUNE_CACHE" in e.value.fix and e.value.where == str(cache_dir())
