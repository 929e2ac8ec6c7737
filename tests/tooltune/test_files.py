"""What cannot be written or read is one line: what, where, and what to do; nothing is left half written."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from data.commands import app as data_app
from eval.cli import app as eval_app
from finetune.cli import app as finetune_app
from tooltune.errors import InputError
from tooltune.files import atomic_write, quoted, read_jsonl, writable, write_jsonl

RECORDS = Path(__file__).parent.parent / "data" / "formats" / "records.jsonl"


def lines(path: Path, **more: Any) -> list[Any]:
    return [row for _, row in read_jsonl(path, **more)]


def refused(app: Any, *arguments: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in arguments])
    assert done.exit_code == 2 and len(done.stderr.strip().splitlines()) == 2, done.output
    return done.stderr


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.jsonl"
    write_jsonl(path, [1, 2])
    with pytest.raises(ValueError), atomic_write(path) as f:
        f.write("3")
        raise ValueError
    assert lines(path) == [1, 2] and [p.name for p in path.parent.iterdir()] == ["a.jsonl"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "x", Path("a" * 300), Path("/proc/x")):
        if sys.platform != "linux" and str(place).startswith("/proc"):
            continue
        with pytest.raises(InputError, match="cannot be written") as e, atomic_write(place):
            pass
        assert str(place) in str(e.value) and e.value.fix
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_place_is_looked_at_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    writable(tmp_path / "new" / "er" / "file")
    writable(tmp_path / "new", folder=True)
    writable(tmp_path / "file")
    writable(tmp_path, folder=True)
    for place, folder in ((tmp_path, False), (tmp_path / "file", True), (tmp_path / "file" / "x", True)):
        with pytest.raises(InputError, match="cannot be written"):
            writable(place, folder=folder)
    assert [p.name for p in tmp_path.iterdir()] == ["file"], "looking makes nothing"


def test_commands_refuse_an_output_of_the_wrong_kind(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert "this is a folder" in refused(data_app, "convert", RECORDS, "--out", tmp_path)
    assert "this is a file" in refused(data_app, "build", "--out", file)
    assert "this is a folder" in refused(finetune_app, "preview", "cpu", "--html", tmp_path)
    assert "this is a folder" in refused(finetune_app, "explain", "any", "--html", tmp_path)
    asked = ("--url", "http://localhost:9/v1", "--model", "m", "--data", RECORDS, "--out", file)
    assert "this is a file" in refused(eval_app, "endpoint", *asked)


@pytest.mark.parametrize("cut", ['{"a": 2', "{", '{"a": "\\u00', "nul"])
def test_a_last_line_that_was_cut_off(tmp_path: Path, cut: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n' + cut, encoding="utf-8")
    said: list[str] = []
    assert lines(path, torn=said.append) == [{"a": 1}]
    assert said == [f"{path}:2: the last line was cut off while it was written; it is left out"]
    with pytest.raises(InputError, match=r"a\.jsonl:2: the line is not JSON"):
        lines(path)
    path.write_text('{"a": 1}\n' + cut + '\n{"a": 3}', encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.jsonl:2: the line is not JSON"):
        lines(path, torn=said.append)


def test_a_last_line_cut_inside_a_character(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"a": 1}\n{"a": "절'.encode()[:-1])
    assert lines(path, torn=lambda _: None) == [{"a": 1}]


def test_a_whole_last_line_without_its_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}', encoding="utf-8")
    assert lines(path, torn=lambda line: pytest.fail(line)) == [{"a": 1}, {"a": 2}]


@pytest.mark.skipif(sys.platform == "win32", reason="it has neither")
def test_a_pipe_or_a_device_is_no_data(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        assert "a pipe or a device" in refused(data_app, "check", path)


@pytest.mark.parametrize("path", ["runs/beams-2", "runs/my run", "runs/$(id)", "runs/홍 길동's", "a`b`", 'a"b'])
def test_a_path_in_a_command_is_one_word(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shlex.split(quoted(path)) == [path]
    assert quoted("C:\\tooltune\\runs") == "C:\\tooltune\\runs"
    monkeypatch.setattr(os, "name", "nt")
    assert quoted("C:\\my runs") == '"C:\\my runs"'
