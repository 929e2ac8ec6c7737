"""The small models of 2026 in the table: the shapes that their configs and transformers' own modules have."""

import gc
import json
from pathlib import Path
from typing import Any

import pytest

from finetune.memory.inference import kv_cache
from finetune.memory.overheads import GIB
from finetune.memory.plan import make_plan
from finetune.memory.setup import Setup, setup_from
from finetune.memory.shapes import KNOWN, read_config, shape_of
from finetune.memory.terms import adapter_parameters, linear_weights
from tooltune.config import load_config
from tooltune.errors import InputError

QWEN3_5 = {
    "model_type": "qwen3_5_text",
    "hidden_size": 1024,
    "intermediate_size": 3584,
    "num_hidden_layers": 24,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 16,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 6,
    "vocab_size": 248_320,
    "tie_word_embeddings": True,
}
"""What Qwen3.5-0.8B's config.json says of its text model."""
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "in_proj_qkv", "in_proj_z", "out_proj"]
TARGETS += ["gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="module")
def hybrid() -> Any:
    """Qwen3.5-0.8B without its numbers."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(**QWEN3_5)
    with torch.device("meta"):
        yield AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    gc.collect()


@pytest.mark.parametrize("name", ["Qwen/Qwen3-0.6B", "google/gemma-3-270m-it", "Qwen/Qwen3.5-0.8B"])
def test_each_is_known_by_its_hub_name(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert shape_of(name)[1] == "built-in table"


def test_the_table_has_what_the_config_says(tmp_path: Path) -> None:
    """The text part of the file on the hub, where a vision tower stands beside it."""
    config = {"model_type": "qwen3_5", "text_config": QWEN3_5, "vision_config": {"hidden_size": 768}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert read_config(tmp_path / "config.json") == KNOWN["Qwen3.5-0.8B"]


@pytest.mark.parametrize(("name", "parameters"), [("Qwen3-0.6B", 596_049_920), ("gemma-3-270m", 268_098_176)])
def test_parameters_are_those_of_the_checkpoint(name: str, parameters: int) -> None:
    assert KNOWN[name].parameters == parameters


def test_a_hybrids_weights_and_adapter_are_those_of_all_its_layers(hybrid: Any) -> None:
    from peft import LoraConfig, get_peft_model

    shape = KNOWN["Qwen3.5-0.8B"]
    s = Setup(shape, r=8, targets=tuple(TARGETS), four_bit=False)
    assert shape.parameters == pytest.approx(sum(p.numel() for p in hybrid.parameters()), rel=0.001)
    linears = sum(p.numel() for name, p in hybrid.named_parameters() if p.dim() == 2 and "embed" not in name)
    assert linear_weights(s) == pytest.approx(2 * linears, rel=0.001)
    adapter = get_peft_model(hybrid, LoraConfig(r=8, target_modules=TARGETS, task_type="CAUSAL_LM"))
    trained = sum(p.numel() for p in adapter.parameters() if p.requires_grad)
    adapter.unload()
    assert trained <= adapter_parameters(s) <= 1.1 * trained


def test_a_hybrids_cache_is_keys_in_one_layer_of_four_and_a_state_in_the_others(hybrid: Any) -> None:
    import torch

    with torch.no_grad():
        ids = torch.zeros((1, 2048), dtype=torch.long, device="meta")
        cache = hybrid(input_ids=ids, use_cache=True).past_key_values
    kept = [x for layer in cache.layers for x in _tensors(vars(layer))]
    real = sum(x.nbytes for x in kept)
    planned = kv_cache(Setup(KNOWN["Qwen3.5-0.8B"], length=2048, new_tokens=0))
    assert len(kept) and planned == pytest.approx(real, rel=0.05)


OLDER = {
    "3gb-gemma3": ["model.dtype=float32"],
    "4gb-qwen3": [],
    "6gb-qwen35": ["model.dtype=float32"],
}
"""What is computed before Ampere: float32 where float16 overflows."""


@pytest.mark.parametrize("turing", [False, True])
@pytest.mark.parametrize("preset", OLDER)
def test_the_presets_fit_their_cards(preset: str, turing: bool) -> None:
    config = load_config(preset, OLDER[preset] if turing else [])
    assert not config.model.load_in_4bit
    plan = make_plan(setup_from(config, shape_of(config.model.name)[0], "unsloth", turing=turing))
    assert plan.verdict((load_config(preset).memory.card_gb or 0) * GIB) == "fits"


FAULTS: list[tuple[Any, str]] = [
    ([], "not a model's config"),
    (QWEN3_5 | {"text_config": [1]}, "not a model's config"),
    (QWEN3_5 | {"hidden_size": "1024"}, "hidden_size is '1024'"),
    (QWEN3_5 | {"num_attention_heads": 0}, "num_attention_heads is 0"),
    (QWEN3_5 | {"vocab_size": 10**400}, "vocab_size is 1000"),
    (QWEN3_5 | {"intermediate_size": [3584] * 24}, "intermediate_size is"),
    (QWEN3_5 | {"layer_types": None}, "layer_types does not name"),
    (QWEN3_5 | {"linear_key_head_dim": None}, "linear_key_head_dim is None"),
    ({"model_type": "gpt2", "n_embd": 768}, "num_attention_heads is missing"),
]


@pytest.mark.parametrize(("config", "said"), FAULTS)
def test_a_config_of_another_kind_is_one_clear_error(tmp_path: Path, config: Any, said: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        shape_of(str(tmp_path))


def test_what_a_config_leaves_open_is_no_fault(tmp_path: Path) -> None:
    config = QWEN3_5 | {"text_config": None, "quantization_config": "nf4"}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert read_config(tmp_path / "config.json") == KNOWN["Qwen3.5-0.8B"]


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the folder has no config"):
        shape_of(str(tmp_path))


def _tensors(value: Any) -> list[Any]:
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [x for part in inner for x in _tensors(part)]
