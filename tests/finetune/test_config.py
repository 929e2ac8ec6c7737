"""A config with other values: checked as a whole, the first one left as it was."""

import pytest
from pydantic import ValidationError

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
