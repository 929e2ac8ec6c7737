"""`import tooltune` and the command `tooltune`: every name and command is there, and both answer at once."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

import tooltune
from tooltune.__main__ import FINETUNE, help_text, main

ROOT = Path(__file__).parents[2]


def test_every_public_name_is_there() -> None:
    assert all(callable(getattr(tooltune, name)) for name in tooltune.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'train'"):
        tooltune.train  # noqa: B018


def test_the_face_loads_nothing() -> None:
    code = "import sys, tooltune; print(sorted({'data', 'eval', 'pydantic', 'yaml', 'torch'} & set(sys.modules)))"
    assert run("-c", code).stdout == "[]\n"


def test_help_lists_the_commands_and_imports_no_package() -> None:
    done = run("-X", "importtime", "-m", "tooltune", "--help")
    assert done.stdout == help_text() + "\n" and "finetune" not in done.stderr and "pydantic" not in done.stderr


def test_every_command_of_finetune_has_a_name_here() -> None:
    commands = typer.main.get_command(import_module("finetune.cli").app).commands  # type: ignore[attr-defined]
    assert commands.keys() == FINETUNE.keys()


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["plan", "--help"], "Usage: tooltune plan "),
        (["data", "check", "--help"], "Usage: tooltune data check "),
        (["eval", "compare", "--help"], "Usage: tooltune eval compare "),
        (["bench", "--help"], "Usage: tooltune bench "),
    ],
)
def test_a_command_is_called(words: list[str], usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0 and usage in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("plan --rows", "tooltune plan: no such option: --rows (Possible options: --docs)"),
        (
            "eval --limit 0",
            "tooltune eval run: invalid value for '--limit': Input should be greater than or equal to 1",
        ),
        ("eval endpoint", "tooltune eval endpoint: missing option '--url'"),
        ("explain --lang fr", "tooltune explain: invalid value for '--lang': 'fr' is not one of 'ko', 'en'"),
        ("data check", "tooltune data check: missing argument 'FILE...'"),
        ("data chek", "tooltune data: no such command 'chek'. Did you mean 'check'?"),
        ("data --nope", "tooltune data: no such option: --nope"),
    ],
)
def test_a_wrong_option_is_told_in_two_lines(words: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words.split())
    command = error.split(":")[0]
    assert end.value.code == 2
    assert capsys.readouterr().err == f"error: {error}\n→ {command} --help says what it takes\n"


def test_an_app_without_words_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["data"])
    shown = capsys.readouterr()
    assert end.value.code == 0 and "Usage: tooltune data" in shown.out and not shown.err


def test_a_subcommand_may_be_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOOLTUNE_RUNS", str(tmp_path))
    with pytest.raises(SystemExit) as end:
        main(["eval", "none"])
    assert end.value.code == 2 and "no run 'none'" in capsys.readouterr().err


def test_a_wrong_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["trian"])
    assert end.value.code == 2 and "did you mean train?" in capsys.readouterr().err


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=60)
