"""Rotary positions stay exact when products are rounded to bfloat16, as oneDNN does them on processors with AMX."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaConfig, LlamaForCausalLM

from finetune.config import load_config
from finetune.device import detect
from finetune.exact import full_precision, keep_positions_exact
from finetune.models import load
from tests import tiny

PRODUCTS = {torch.ops.aten.mm.default, torch.ops.aten.bmm.default, torch.ops.aten.addmm.default}


class RoundedProducts(TorchDispatchMode):
    """What an AMX unit does to float32 products unless "highest" precision is asked for: bfloat16 factors."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in PRODUCTS and torch.get_float32_matmul_precision() != "highest":
            args = [a.bfloat16().float() if isinstance(a, torch.Tensor) else a for a in args]
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def _medium():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


def _model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, **shape)).eval()


def _angles(model: LlamaForCausalLM) -> torch.Tensor:
    """Cosines of positions 0 to 1023, [tokens, head dim]."""
    positions = torch.arange(1024)[None]
    with RoundedProducts():
        return model.model.rotary_emb(torch.zeros(1, 1024, 32), positions)[0][0]


def test_rounded_products_would_make_neighbouring_positions_one():
    angles = _angles(_model())
    assert torch.equal(angles[256], angles[257])


def test_positions_stay_apart_and_exact():
    model = _model()
    with full_precision():
        exact = _angles(model)
    assert keep_positions_exact(model) == 1
    angles = _angles(model)
    assert torch.equal(angles, exact)
    assert len(angles.unique(dim=0)) == 1024


def test_only_the_positions_are_computed_in_full_precision():
    model = _model()
    ids = torch.arange(48)[None] % 64
    plain = model(ids).logits
    keep_positions_exact(model)
    with RoundedProducts():
        rounded = model(ids).logits
    assert not torch.equal(plain, rounded)
    torch.testing.assert_close(plain, rounded, rtol=0.1, atol=0.01)
    assert torch.get_float32_matmul_precision() == "medium"


def test_the_choice_comes_back_after_an_error():
    with pytest.raises(ZeroDivisionError), full_precision():
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == "medium"


def test_a_model_loaded_for_training_has_exact_positions(tiny_model):
    config = load_config("cpu", [*tiny.TINY, "model.backend=hf", "model.load_in_4bit=false"])
    angles = _angles(load(config, tiny_model, "float32", detect()).model.get_base_model())
    assert len(angles.unique(dim=0)) == 1024
