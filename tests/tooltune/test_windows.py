"""What Windows in Korean does: pipes in cp949 and cp1252, `~` that no shell writes out, Hangul and spaces in paths."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import ROOT
from tooltune.cli import json_for, printable
from tooltune.console import input_lines
from tooltune.errors import InputError

ROW = {
    "id": "행 1",
    "messages": [{"role": "user", "content": "★ — 절점 8"}, {"role": "assistant", "content": "됐습니다 ★"}],
    "tools": [],
}


def run(
    cwd: Path, *words: str, encoding: str = "cp949", home: Path | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """`python -m …` with its streams as pipes in an encoding; a file that is opened in the system's own is an error."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding, "TOOLTUNE_RUNS": str(cwd / "runs")}
    env |= {"HOME": str(home or cwd), "USERPROFILE": str(home or cwd), "PYTHONWARNDEFAULTENCODING": "1"}
    # regex asks for the locale when it is imported; later options win
    options = ["-W", "error::EncodingWarning", "-W", "ignore::EncodingWarning:regex._main"]
    return subprocess.run([sys.executable, *options, "-m", *words], cwd=cwd, env=env, capture_output=True)


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("encoding", ["cp949", "cp1252", "ascii"])
def test_what_a_pipe_cannot_say_is_replaced(tmp_path: Path, encoding: str) -> None:
    """The work is done, the file is UTF-8, and the exit code is that of the work."""
    write(tmp_path / "내 자료" / "행 ★.jsonl", ROW, {"messages": "★ —"})
    done = run(tmp_path, "data", "convert", "내 자료/행 ★.jsonl", encoding=encoding)
    assert done.returncode == 0, done.stderr.decode(encoding)
    assert "1 rejected" in done.stdout.decode(encoding)
    record = json.loads((tmp_path / "내 자료" / "행 ★.records.jsonl").read_text(encoding="utf-8"))
    assert record["messages"] == ROW["messages"]


@pytest.mark.parametrize("encoding", ["cp949", "cp1252"])
def test_json_loses_nothing_in_any_pipe(tmp_path: Path, encoding: str) -> None:
    row = {"id": "행 ★ 😀", "output": "네 —", "gold": [], "tools": []}
    done = run(tmp_path, "eval", "score", str(write(tmp_path / "a.jsonl", row)), "--json", encoding=encoding)
    assert done.returncode == 0, done.stderr.decode(encoding)
    assert json.loads(done.stdout.decode("ascii"))["samples"][0]["id"] == "행 ★ 😀"
    assert json_for("utf-8", "행") == '"행"'


@pytest.mark.parametrize("words", [["eval", "run", "없음—★"], ["finetune", "runs", "--sort", "★"], ["tooltune", "★"]])
def test_a_message_that_the_pipe_cannot_say_keeps_its_exit_code(tmp_path: Path, words: list[str]) -> None:
    done = run(tmp_path, *words, encoding="cp1252")
    assert done.returncode == 2 and b"error" in done.stderr and b"Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["data", "--help"], ["finetune", "train", "--help"], ["tooltune", "--help"]])
def test_help_can_be_read_in_ascii(tmp_path: Path, words: list[str]) -> None:
    assert run(tmp_path, *words, encoding="ascii").returncode == 0


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        ("절점 8번".encode(), "cp949"),
        ("절점 8번".encode("cp949"), "cp949"),
        ("\ufeff절점 8번".encode(), "cp949"),
        ("절점 8번".encode(), "cp1252"),
        ("절점 8번".encode(), "utf-8"),
    ],
)
def test_piped_input_is_utf8_or_of_the_pipes_encoding(
    monkeypatch: pytest.MonkeyPatch, raw: bytes, encoding: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw + b"\r\n" + b"next"), encoding=encoding))
    assert [line.strip() for line in input_lines()] == ["절점 8번", "next"]


def test_piped_input_of_neither_encoding_names_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n" + "절점".encode("cp949")), encoding="utf-8"))
    with pytest.raises(InputError, match="standard input, line 2: neither UTF-8 nor utf-8"):
        list(input_lines())


def test_half_a_character_ends_no_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(b"8\xeb\n"), encoding="utf-8"))
    printable()
    assert sys.stdin.readline() == "8\ufffd\n"


def test_the_log_is_utf8_and_the_console_speaks_the_pipes_encoding(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tooltune.console import quiet\n"
        "with quiet(Path('log.txt')) as console:\n"
        "    print('🦥 소음'); print('오류 ★', file=sys.stderr); console.print('행 8 🦥')\n"
        "print('끝')"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp949"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("cp949").split() == ["행", "8", "?", "끝"]
    assert (tmp_path / "log.txt").read_text(encoding="utf-8").split() == ["🦥", "소음", "오류", "★"]


def test_the_log_gets_what_is_printed_where_standard_output_is_a_windows_console(tmp_path: Path) -> None:
    """Python's stream to it knows no other descriptor: there `import unsloth`, which prints, would end a run."""
    code = """
import io, os, sys
from pathlib import Path

class _WindowsConsoleIO(io.FileIO):
    at = os.fstat(1)

    def write(self, part):
        if not os.path.samestat(os.fstat(self.fileno()), self.at):
            raise OSError(6, "The handle is invalid")
        return super().write(part)

console = sys.stdout = io.TextIOWrapper(io.BufferedWriter(_WindowsConsoleIO(1, "w", closefd=False)), "utf-8")
from tooltune.console import quiet
with quiet(Path("log.txt")) as heard:
    print("🦥 소음", flush=True)
    heard.print("행 8")
assert sys.stdout is console
print("끝")
"""
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().split() == ["행", "8", "끝"]
    assert (tmp_path / "log.txt").read_text(encoding="utf-8").split() == ["🦥", "소음"]


def test_home_is_written_out_in_options_and_arguments(tmp_path: Path) -> None:
    write(tmp_path / "집" / "행.jsonl", ROW)
    words = ["data", "convert", "~/행.jsonl", "--out=~/나온 것/a.jsonl"]
    done = run(tmp_path, *words, encoding="utf-8", home=tmp_path / "집")
    assert done.returncode == 0 and (tmp_path / "집" / "나온 것" / "a.jsonl").is_file(), done.stderr.decode()
