"""Errors of a command that are no fault of its input."""

import getpass
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import FIXTURES, ROOT
from tooltune.cli import _name_user
from tooltune.console import Heard

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's")
ENDLESS = """
from tooltune.cli import errors_as_lines
with errors_as_lines(False):
    while True:
        print("x" * 1000)
"""


def test_a_reader_that_leaves_is_told_in_two_lines() -> None:
    with subprocess.Popen([sys.executable, "-c", ENDLESS], cwd=ROOT, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        first, *_ = said = process.stderr.read().splitlines()
    assert process.returncode and first.startswith("error: what read the output has ended")
    assert not any("BrokenPipe" in line for line in said)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's")
@pytest.mark.parametrize("words", ["data --help", "data check --help", "data check ROWS --tokenizer none --json"])
def test_output_that_takes_no_more_is_told_in_two_lines(tmp_path: Path, words: str) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text((FIXTURES / "train.jsonl").read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    command = [sys.executable, "-m", *words.replace("ROWS", str(rows)).split()]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=-1, text=True)
    assert done.returncode == 1 and "error: cannot be written: the disk is full" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@posix
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_a_closed_stream_is_no_place_for_a_file(tmp_path: Path, closed: tuple[int, ...]) -> None:
    """`>&-`: the next file that is opened would get its number."""
    rows = Path(shutil.copy(FIXTURES / "train.jsonl", tmp_path))
    words = [sys.executable, "-m", "data", "check", rows, "--tokenizer", "none"]
    done = subprocess.run(words, cwd=ROOT, preexec_fn=lambda: [os.close(number) for number in closed])
    assert done.returncode == 0 and rows.read_bytes() == (FIXTURES / "train.jsonl").read_bytes()
    code = "import os; from tooltune.cli import _open_streams; _open_streams(); os.write(1, b'x'); os.write(2, b'x')"
    words = [sys.executable, "-c", code]
    assert not subprocess.run(words, cwd=ROOT, preexec_fn=lambda: [os.close(number) for number in closed]).returncode


@posix
def test_what_nobody_hears_is_known() -> None:
    with Path("/dev/full").open("w") as full:
        heard = Heard(full)
        heard.write("x")
        assert heard.lost


@posix
def test_a_user_whom_the_system_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    monkeypatch.setenv("LOGNAME", "")  # and away again afterwards
    _name_user()
    assert getpass.getuser() and Path.home().is_dir()
