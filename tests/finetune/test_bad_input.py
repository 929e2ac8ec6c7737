"""Every fault of the user's input: exit code 2, what, where and what to do, no traceback, and nothing left behind."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from finetune.cli import app
from tests.tiny import FIXTURES, TINY, finetune


def first_row() -> Any:
    return json.loads((FIXTURES / "train.jsonl").read_text(encoding="utf-8").splitlines()[0])


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


def refuse(cwd: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str, clean: bool = True) -> str:
    """Run `finetune train` in this process, expect exit 2, and return the message."""
    monkeypatch.chdir(cwd)
    monkeypatch.setenv("TOOLTUNE_RUNS", str(cwd / "runs"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = CliRunner().invoke(app, ["train", "cpu", *TINY, "model.backend=hf", *arguments])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    message = "error: " + result.stderr.partition("error: ")[2]  # in a test the libraries' bars come before it
    assert len(message.strip().splitlines()) <= 2, message
    if clean:
        assert not list((cwd / "runs").glob("*")) if (cwd / "runs").exists() else True
    return message


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "none.jsonl: no such file" in refuse(tmp_path, monkeypatch, "data.train=none.jsonl")


def test_broken_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = write(tmp_path / "bad.jsonl", first_row(), '{"id": "b", ')
    assert f"{bad}:2" in refuse(tmp_path, monkeypatch, f"data.train={bad}")


@pytest.mark.parametrize("name", ["nowhere", "no_such_module:Domain", "examples.thermostat:TOOLS", "json:Thermostat"])
def test_a_domain_that_is_none(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = refuse(tmp_path, monkeypatch, f"data.domain={name}")
    assert message.startswith("error: data.domain: ") and repr(name) in message


def test_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes('{"id": "절점"}\n'.encode("cp949"))
    assert "UTF-8" in refuse(tmp_path, monkeypatch, f"data.train={bad}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["messages"].pop(), "no assistant turn"),
        (lambda r: r["tools"].clear(), "not among the tools this row offers"),
        (
            lambda r: r["messages"][-1]["tool_calls"][0]["function"]["arguments"].update(axis="up"),
            "do not match its schema",
        ),
        (lambda r: r["messages"][-1]["tool_calls"][0]["function"].update(arguments="{}"), "must be a JSON object"),
    ],
)
def test_wrong_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, message: str) -> None:
    row = first_row() | {"id": "wrong"}
    change(row)
    bad = write(tmp_path / "bad.jsonl", first_row(), row)
    error = refuse(tmp_path, monkeypatch, f"data.train={bad}")
    assert message in error and f"{bad}:2" in error


def test_same_id_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = write(tmp_path / "bad.jsonl", first_row(), first_row())
    assert "line 1 already" in refuse(tmp_path, monkeypatch, f"data.train={bad}")


def test_validation_row_that_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refuse(tmp_path, monkeypatch, f"data.validation={FIXTURES / 'train.jsonl'}")
    assert "a row that is trained on measures nothing" in error


def test_row_longer_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    error = refuse(tmp_path, monkeypatch, f"model.name={tiny_model}", "data.max_length=300", "data.too_long=fail")
    assert "the limit is 300" in error and "tiny-" in error


def test_no_row_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    error = refuse(tmp_path, monkeypatch, f"model.name={tiny_model}", "data.max_length=20")
    assert "data.train: no row is left" in error and "data.max_length" in error


def test_unknown_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "did you mean train.learning_rate?" in refuse(tmp_path, monkeypatch, "train.lerning_rate=1")


def test_value_out_of_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refuse(tmp_path, monkeypatch, "train.epochs=-1")
    assert "train.epochs" in error and "greater than 0" in error


def test_model_folder_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not a model folder" in refuse(tmp_path, monkeypatch, f"model.name={FIXTURES}")


def test_hub_model_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refuse(tmp_path, monkeypatch, "model.name=nobody/no-such-model")
    assert all(way in error for way in ("local folder", "cache", "model.name=embedded"))


def test_run_name_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = tmp_path / "runs" / "taken"
    taken.mkdir(parents=True)
    (taken / "notes.txt").touch()
    error = refuse(tmp_path, monkeypatch, "name=taken", clean=False)
    assert "a folder of this name exists" in error and "delete it" in error
    (taken / "config.yaml").touch()
    error = refuse(tmp_path, monkeypatch, "name=taken", clean=False)
    assert "a run of this name exists" in error and "--resume" in error


def test_a_refused_run_leaves_latest_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs" / "good").mkdir(parents=True)
    (tmp_path / "runs" / "latest").symlink_to("good")
    refuse(tmp_path, monkeypatch, f"model.name={FIXTURES}", clean=False)
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["good", "latest"]
    assert (tmp_path / "runs" / "latest").resolve().name == "good"


def test_runs_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").write_text("a file", encoding="utf-8")
    error = refuse(tmp_path, monkeypatch, clean=False)
    assert "runs cannot be kept here" in error and "TOOLTUNE_RUNS" in error


def test_no_disk_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10 * 1024**2))
    error = refuse(tmp_path, monkeypatch)
    assert "10 MiB are free" in error and "TOOLTUNE_RUNS" in error


def test_four_bit_where_bitsandbytes_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    import finetune.models

    monkeypatch.setattr(finetune.models, "is_4bit", lambda model: False)
    error = refuse(tmp_path, monkeypatch, f"model.name={tiny_model}")
    assert "4-bit" in error and "model.load_in_4bit=false" in error


def test_preset_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["train", "6g"])
    assert result.exit_code == 2 and "did you mean 6gb?" in result.stderr


def test_a_preset_beside_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["train", "cpu", "--resume", "any"])
    assert result.exit_code == 2 and "a preset or file cannot be given with --resume" in result.stderr


@pytest.mark.slow
def test_weights_that_were_cut_off(tmp_path: Path, tiny_model: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "half")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:100])
    said = finetune(tmp_path, "train", "cpu", *TINY, f"model.name={folder}", expect=2)
    assert "the model cannot be loaded" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("model.safetensors", "version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        ("model.safetensors", "<html>", "is cut off or no safetensors file"),
        ("tokenizer.json", '{"version": "1.0"', "the tokenizer cannot be loaded"),
        ("config.json", "{", "config.json is cut off or no JSON"),
    ],
)
def test_file_of_a_model_that_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path, file: str, content: str, said: str
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / file).write_text(content, encoding="utf-8")
    error = refuse(tmp_path, monkeypatch, f"model.name={folder}")
    assert said in error and file in error and "again" in error


@pytest.mark.parametrize("token", ["<|im_end|>", "<|im_start|>", "<pad>"])
def test_special_token_in_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path, token: str
) -> None:
    row = {
        "id": "spoken",
        "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": f"a {token}"}],
    }
    bad = write(tmp_path / "bad.jsonl", first_row(), row)
    error = refuse(tmp_path, monkeypatch, f"model.name={tiny_model}", f"data.train={bad}")
    assert "spoken" in error and token in error and "leave the row out" in error


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pad_token": "<|im_end|>", "eos_token": "<|im_end|>"}, "no token to pad with"),
        ({"pad_token": None}, "no token to pad with"),
    ],
)
def test_tokenizer_that_cannot_pad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path, settings: dict[str, Any], said: str
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    words = (folder / "tokenizer.json").read_text(encoding="utf-8")
    for spare, turn in (("<pad>", "<start_of_turn>"), ("<|endoftext|>", "<end_of_turn>")):
        words = words.replace(spare, turn)
    (folder / "tokenizer.json").write_text(words, encoding="utf-8")
    known = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    known = {key: value for key, value in (known | {"unk_token": None} | settings).items() if value is not None}
    (folder / "tokenizer_config.json").write_text(json.dumps(known), encoding="utf-8")
    error = refuse(tmp_path, monkeypatch, f"model.name={folder}")
    assert said in error and "tokenizer_config.json" in error


def test_row_on_which_the_models_own_template_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    from data.template import project_template
    from tooltune.pretrained import load_tokenizer

    folder = shutil.copytree(tiny_model, tmp_path / "model")
    tokenizer = load_tokenizer(folder)
    raising = "{% if messages[0].content == 'now' %}{{ raise_exception('not now') }}{% endif %}"
    tokenizer.chat_template = raising + project_template(tokenizer, "json").source
    tokenizer.save_pretrained(folder)
    row = {"id": "late", "messages": [{"role": "user", "content": "now"}, {"role": "assistant", "content": "a"}]}
    bad = write(tmp_path / "bad.jsonl", first_row(), row)
    settings = [f"model.name={folder}", f"data.train={bad}", "data.tools_style=json", "data.max_length=8192"]
    error = refuse(tmp_path, monkeypatch, *settings)
    assert "late: " in error and "not now" in error and "data.template=project" in error


@pytest.mark.slow
def test_settings_of_a_card_have_no_effect_on_a_processor(tmp_path: Path, tiny_model: Path) -> None:
    settings = ["memory.offload_layers=1", "memory.budget_gb=2", "train.max_steps=1"]
    said = finetune(tmp_path, "train", "cpu", *TINY, *settings, f"model.name={tiny_model}")
    assert "memory.budget_gb has no effect" in said and "memory.offload_layers" in said
