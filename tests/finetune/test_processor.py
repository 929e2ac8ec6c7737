"""Training on a processor: only the factors of products are rounded, and NF4 stays NF4."""

from types import SimpleNamespace

import pytest
import torch

from finetune.processor import products, store_factors_in_bf16
from tests.tiny import random_model


@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
def test_positions_are_exact(family: str) -> None:
    """A rotary embedding multiplies positions by frequencies: in bfloat16 positions 256 and 257 would be one."""
    model = random_model(family, 2)
    kind = ("sliding_attention",) if family == "gemma3_text" else ()
    far = torch.arange(250, 1100)[None], torch.zeros(1, 850, 32)
    exact = model.model.rotary_emb(far[1], far[0], *kind)
    with products(True):
        found = model.model.rotary_emb(far[1], far[0], *kind)
    for one, other in zip(exact, found, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(exact[1][0, 6], exact[1][0, 7])  # 256 and 257


def test_residual_stream_is_float32_and_products_are_not() -> None:
    model = random_model("gemma3_text", 2).requires_grad_(False)
    before = model.get_input_embeddings()(torch.tensor([[3, 4]]))
    store_factors_in_bf16(SimpleNamespace(get_base_model=lambda: model))
    seen: dict[str, torch.dtype] = {}
    layer = model.model.layers[0]
    layer.register_forward_pre_hook(lambda _, args: seen.update(stream=args[0].dtype))
    layer.mlp.up_proj.register_forward_hook(lambda _, args, out: seen.update(product=out.dtype))
    with products(True):
        model.model(torch.tensor([[3, 4]]))
    assert seen == {"stream": torch.float32, "product": torch.bfloat16}
    after = model.get_input_embeddings()(torch.tensor([[3, 4]]))
    assert after.dtype == torch.float32 and torch.allclose(before, after, rtol=2**-8)


def test_written_out_weights_are_those_of_nf4() -> None:
    from bitsandbytes.nn import Linear4bit

    torch.manual_seed(0)
    dense = torch.nn.Linear(128, 64, bias=True)
    linear = Linear4bit(128, 64, bias=True, compute_dtype=torch.float32, quant_type="nf4")
    linear.load_state_dict(dense.state_dict())
    linear = linear.to("cpu")
    linear.support_avx512bf16_for_cpu = False
    states = torch.randn(5, 128)
    wanted = linear(states)
    base = torch.nn.Module()
    base.linear, base.embedding = linear, torch.nn.Embedding(3, 4)
    base.get_input_embeddings = lambda: base.embedding
    store_factors_in_bf16(SimpleNamespace(get_base_model=lambda: base))
    assert torch.allclose(linear(states).float(), wanted, atol=0.05)
    assert not torch.allclose(dense(states), wanted, atol=0.05)  # what rounding to NF4 changes is far more
