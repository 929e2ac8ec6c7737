"""A config with other values, checked as a whole; the words of a command line that name one."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from finetune.arguments import named, named_or_default
from tooltune.config import PRESETS, load_config
from tooltune.errors import InputError


def test_changed_values_stand_under_dotted_keys() -> None:
    config = load_config("cpu")
    other = config.changed({"train.micro_batch": 2, "loss.role_weights.name": 3, "name": "other"})
    assert (other.train.micro_batch, other.loss.role_weights.name, other.name) == (2, 3, "other")
    assert other.train.epochs == config.train.epochs and other.loss.role_weights.text == config.loss.role_weights.text
    assert config == load_config("cpu"), "the first is left as it was"


@pytest.mark.parametrize(
    "wrong",
    [
        {"train.micro_batch": 0},
        {"train.lerning_rate": 1e-4},
        {"trian.epochs": 1},
        {"eval.select_by": "exact_match", "eval.generate": 0},
    ],
)
def test_a_change_is_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        load_config("cpu").changed(wrong)


def test_the_first_word_without_an_equals_sign_names_the_config() -> None:
    assert named(["cpu", "train.epochs=2"]) == ("cpu", ["train.epochs=2"])
    assert named(["train.epochs=2"]) == (None, ["train.epochs=2"])
    assert named(None) == (None, [])


def test_a_preset_chosen_by_the_device_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("finetune.device.has_cuda", lambda: False)
    assert named_or_default(["train.epochs=2"], said.append) == ("cpu", ["train.epochs=2"])
    assert said == ["Preset: cpu (no NVIDIA GPU was found)"]
    assert named_or_default(["4gb"], said.append) == ("4gb", []) and len(said) == 1


@pytest.mark.parametrize(
    "name", ["beams-2", "보_1.2", "3", "2026", "2026_11_25", "010", "on", "true", "1e3", "console", "com-1"]
)
def test_a_run_can_be_called(name: str) -> None:
    assert load_config("cpu", [f"name={name}"]).name == name


@pytest.mark.parametrize(
    "name", [".", "..", "latest", "Latest", ".hidden", "-x", "a/b", "a\\\\b", "x y", "a.", "NUL", "con.1", "Com1"]
)
def test_a_run_cannot_be_called(name: str) -> None:
    with pytest.raises(InputError, match=r"^name: ") as e:
        load_config("cpu", [f"name={name}"])
    assert "for example name=beams-2" in str(e.value)


@pytest.mark.parametrize("key", ["train.learning_rate", "train.weight_decay", "train.epochs", "memory.budget_gb"])
@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf"])
def test_a_number_is_finite(key: str, value: str) -> None:
    with pytest.raises(InputError, match=f"{key}: input should be a finite number"):
        load_config("cpu", [f"{key}={value}"])


def test_a_key_of_two_kinds_says_both() -> None:
    with pytest.raises(InputError, match=r"eval\.every: input should be 'epoch', or .* greater than 0 \(got '0'\)"):
        load_config("cpu", ["eval.every=0"])
    with pytest.raises(InputError, match=r"^lora\.target_modules: input should be a valid list, or .* 'all-linear'"):
        load_config("cpu", ["lora.target_modules=all-liner"])


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("data.train=123.jsonl", Path("123.jsonl")),
        ("data.train=2026", Path("2026")),
        ("data.train=010", Path("010")),
        ("data.train=a: b.jsonl", Path("a: b.jsonl")),
        ("data.train=행 #1.jsonl", Path("행 #1.jsonl")),
        ("data.train=[a].jsonl", Path("[a].jsonl")),
        ("data.train=null", Path("null")),
        ("model.name=7b", "7b"),
        ("model.name=123", "123"),
        ("model.name=yes", "yes"),
        ("data.domain=on", "on"),
        ("train.epochs=1e1", 10.0),
        ("train.epochs=.5", 0.5),
        ("train.learning_rate=2e-4", 2e-4),
        ("train.max_steps=010", 10),
        ("train.seed=1_000", 1000),
        ("eval.every=7", 7),
        ("eval.every=epoch", "epoch"),
        ("train.gradient_checkpointing=off", "off"),
        ("train.share_prefix=off", "off"),
        ("train.compile=off", False),
        ("train.compile=True", True),
        ("model.load_in_4bit=no", False),
        ("lora.target_modules=[q_proj, v_proj]", ["q_proj", "v_proj"]),
        ("lora.target_modules=all-linear", "all-linear"),
        *((f"{key}={nothing}", None) for key in ("data.validation", "data.max_tools", "name", "memory.budget_gb")
          for nothing in ("null", "None", "~", "")),
    ],
)  # fmt: skip
def test_an_override_is_of_its_keys_type(override: str, value: Any) -> None:
    found: Any = load_config("cpu", [override])
    for part in override.partition("=")[0].split("."):
        found = getattr(found, part)
    assert (found, type(found)) == (value, type(Path("a")) if isinstance(value, Path) else type(value))


@pytest.mark.parametrize(
    "override",
    ["train.epochs=null", "train.epochs=true", "data.train=", "model.name=", "lora.target_modules=[a", "train.seed=on",
     "train.max_steps=1.5", "train.compile=2", "eval.every=null"],
)  # fmt: skip
def test_an_override_of_another_type_is_refused(override: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(override.partition('=')[0])}: "):
        load_config("cpu", [override])


def test_a_saved_config_finds_its_files_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "여기 ~", tmp_path / "저기"
    there.mkdir()
    (here / "model").mkdir(parents=True)
    (here / "행 1.jsonl").touch()
    monkeypatch.chdir(here)
    config = load_config("cpu", ["data.train=행 1.jsonl", "data.validation=null", "model.name=model"])
    config.save(there / "config.yaml")
    monkeypatch.chdir(there)
    again = load_config("config.yaml")
    assert again.data.train == here / "행 1.jsonl" and again.model.name == str(here / "model")
    assert again.data.test.is_file() and again.data.test == PRESETS.parents[1] / "data/structural/test.jsonl"
    kept = yaml.safe_load((there / "config.yaml").read_text(encoding="utf-8"))["data"]
    assert kept["test"] == "data/structural/test.jsonl", "it moves with the project"
    assert load_config("cpu").data.train.is_file(), "a preset's rows are found too"
    assert again.portable()["data"] == kept


def test_a_file_of_the_current_folder_goes_before_the_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "structural").mkdir(parents=True)
    (tmp_path / "data" / "structural" / "train.jsonl").touch()
    monkeypatch.chdir(tmp_path)
    assert load_config("cpu").data.train == Path("data/structural/train.jsonl")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load_config("cpu", ["data.train=~/없음.jsonl"]).data.train == tmp_path / "없음.jsonl"
    assert load_config("cpu", ["data.train=~nobody-here/a"]).data.train == Path("~nobody-here/a")


def preset(**changes: Any) -> str:
    whole = yaml.safe_load((PRESETS / "cpu.yaml").read_text(encoding="utf-8"))
    return yaml.safe_dump({key: value for key, value in (whole | changes).items() if value != "absent"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the file is empty; a config file holds every section"),
        ("# only a remark\n", ": the file is empty"),
        ("- model\n", ": this is no mapping of sections"),
        ("a: [", ": not a YAML file"),
        ("trian: {}\n", " trian: unknown config key; did you mean train?"),
        (preset(train="absent", trian={}), " trian: unknown config key; did you mean train?"),
        (preset(train="absent"), " train: this section is missing"),
        (preset(model=3), " model: this section must hold keys (got 3)"),
        (preset(name=".."), " name: a run's name"),
        (preset(lora={"r": 8}), " lora.alpha: this key is missing"),
    ],
)
def test_a_fault_in_a_file_names_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as e:
        load_config(str(path))
    assert str(e.value).startswith(f"{path}{message}")
    assert "presets/cpu.yaml" in e.value.fix or "did you mean" in str(e.value) or "name" in message or "[" in text


def test_what_was_given_on_the_command_line_is_not_the_files_fault(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(preset(), encoding="utf-8")
    with pytest.raises(InputError, match=r"^train\.epochs: "):
        load_config(str(tmp_path / "mine.yaml"), ["train.epochs=-1"])
