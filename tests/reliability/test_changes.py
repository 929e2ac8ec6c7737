"""What alters a run is named before it goes on; what only saves memory, or says where figures go, is not."""

from pathlib import Path
from typing import Any

import pytest

from data.cache import code_digest
from finetune.manifest import DECIDING, changes, deciding, model_files_digest, refuse
from tooltune.config import config_keys, load_config

MANIFEST: dict[str, Any] = dict.fromkeys(DECIDING, 1) | {"data": {"a.jsonl": "1"}}


def fields(*overrides: str, **manifest: Any) -> list[str]:
    before, now = ({"settings": deciding(load_config("6gb", list(given)))} for given in ((), overrides))
    found = changes(MANIFEST | before, MANIFEST | now | manifest)
    return [change["field"] for change in found]


@pytest.mark.parametrize(
    "override",
    [
        *("model.load_in_4bit=false", "lora.r=4", "lora.dropout=0.5"),
        *("data.limit=5", "data.tools_style=json", "train.epochs=9", "train.learning_rate=0.1", "train.seed=1"),
        *("train.optimizer=adamw_torch", "train.logging_steps=3", "loss.role_weights.name=2", "eval.every=7"),
        *("eval.select_by=exact_match", "eval.max_new_tokens=9", "train.weight_decay=0.1"),
    ],
)
def test_a_setting_that_alters_a_run_is_named(override: str) -> None:
    key = override.partition("=")[0].replace("loss.role_weights.name", "loss.role_weights")
    assert fields(override) == [key]


@pytest.mark.parametrize(
    "override",
    [
        *("name=other", "memory.offload_layers=3", "memory.recoveries=9", "report.wandb=true", "train.on_nan=skip"),
        *("train.micro_batch=2", "train.accumulation=4", "train.pass_tokens=512", "train.gradient_checkpointing=on"),
        *("eval.micro_batch=1", "eval.generate_batch=1", "train.optimizer=paged_adamw_8bit"),
        *("model.name=moved/model", "data.train=moved.jsonl"),  # their weights and rows are looked at
    ],
)
def test_a_setting_that_does_not_is_let_be(override: str) -> None:
    assert override.partition("=")[0] in config_keys() and fields(override) == []


@pytest.mark.parametrize("field", [field for field in DECIDING if field != "data"])
def test_what_else_a_run_depends_on_is_named(field: str) -> None:
    assert fields(**{field: 2}) == [field]
    assert str(refuse({"field": field, "was": 1, "now": 2})) == f"resume: {field} was 1 when the run began and is 2 now"


def test_rows_may_lie_elsewhere_but_not_be_others() -> None:
    assert fields(data={"moved/a.jsonl": "1"}) == []
    assert fields(data={"a.jsonl": "2"}) == fields(data={"a.jsonl": "1", "b.jsonl": "2"}) == ["data"]


def test_of_many_files_or_packages_the_one_is_named() -> None:
    said = refuse({"field": "packages", "was": {"peft": "1", "trl": "1"}, "now": {"peft": "1", "trl": "2"}})
    assert "packages: trl was 1 when the run began and is 2 now" in str(said) and "--force" in said.fix


def test_a_model_is_known_by_its_other_files_too(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    before = model_files_digest(tmp_path)
    for name in ("README.md", "model.safetensors"):  # the weights have a digest of their own
        (tmp_path / name).touch()
    assert model_files_digest(tmp_path) == before
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert model_files_digest(tmp_path) != before


def test_the_code_is_known() -> None:
    assert code_digest("finetune") == code_digest("finetune") and len(code_digest("finetune")) == 64
    assert code_digest("finetune", without=["report"]) != code_digest("finetune")
