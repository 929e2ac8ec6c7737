"""What alters a run is named before it goes on; what only saves memory, or says where figures go, is not."""

import os
from pathlib import Path
from typing import Any

import pytest

from finetune.manifest import BLOCK, DECIDING, SAMPLES, changes, code_digest, model_digest, refuse
from tooltune.config import config_keys, load_config

MANIFEST: dict[str, Any] = dict.fromkeys(DECIDING, 1)


def fields(*overrides: str, **manifest: Any) -> list[str]:
    found = changes(MANIFEST, MANIFEST | manifest, load_config("6gb"), load_config("6gb", list(overrides)))
    return [change["field"] for change in found]


@pytest.mark.parametrize(
    "override",
    [
        *("model.name=smollm2", "model.load_in_4bit=false", "lora.r=4", "lora.dropout=0.5", "data.train=a.jsonl"),
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
    ],
)
def test_a_setting_that_does_not_is_let_be(override: str) -> None:
    assert override.partition("=")[0] in config_keys() and fields(override) == []


@pytest.mark.parametrize("field", DECIDING)
def test_what_else_a_run_depends_on_is_named(field: str) -> None:
    assert fields(**{field: 2}) == [field]
    assert str(refuse({"field": field, "was": 1, "now": 2})) == f"resume: {field} was 1 when the run began and is 2 now"


def test_of_many_files_or_packages_the_one_is_named() -> None:
    said = refuse({"field": "packages", "was": {"peft": "1", "trl": "1"}, "now": {"peft": "1", "trl": "2"}})
    assert "packages: trl was 1 when the run began and is 2 now" in str(said) and "--force" in said.fix


def test_a_model_is_known_by_every_file_and_by_samples_of_its_weights(tmp_path: Path) -> None:
    weights = bytearray(os.urandom(2 * SAMPLES * BLOCK // 64))
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    before = model_digest(tmp_path)
    (tmp_path / "README.md").touch()
    assert model_digest(tmp_path) == before
    for at in (0, len(weights) // 2, len(weights) - 1):
        weights[at] ^= 1
        (tmp_path / "model.safetensors").write_bytes(weights)
        assert model_digest(tmp_path) != before
        weights[at] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "config.json").write_text("{ }", encoding="utf-8")
    assert model_digest(tmp_path) != before


def test_the_samples_of_a_large_file_reach_its_end(tmp_path: Path) -> None:
    size = 3 * SAMPLES * BLOCK
    with (tmp_path / "model.safetensors").open("wb") as f:
        f.truncate(size)
    before = model_digest(tmp_path)
    with (tmp_path / "model.safetensors").open("r+b") as f:
        f.seek(size // SAMPLES * (SAMPLES - 1))
        f.write(b"x")
    assert model_digest(tmp_path) != before


def test_the_code_is_known() -> None:
    assert code_digest() == code_digest() and len(code_digest()) == 64
