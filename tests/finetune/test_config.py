"""A config with other values, checked as a whole; the words of a command line that name one."""

import pytest
from pydantic import ValidationError

from finetune.arguments import named, named_or_default
from finetune.config import load_config


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
