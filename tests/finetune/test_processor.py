"""Training on a processor: only the factors of products are rounded, and NF4 stays NF4."""

import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from data.render import Example, Role
from finetune.attention import use_packed_attention
from finetune.losses import evaluation_loss, training_loss
from finetune.processor import compile_layers, products, store_factors_in_bf16
from finetune.shared_prefix import pack
from tests.finetune.shared_rows import make, make_rows
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


def test_what_torch_compiles_is_kept_by_vector_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.compile", lambda function: function)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")
    nothing: Any = SimpleNamespace(get_base_model=lambda: SimpleNamespace(model=SimpleNamespace(layers=[])))
    for kept, used in (("", "_avx2"), ("/mine", "/mine")):
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", kept or default_cache_dir())
        assert compile_layers(nothing) is None
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == (kept or default_cache_dir() + used)


@pytest.mark.slow
def test_compiled_training_and_evaluation_compute_the_same_and_are_never_given_up() -> None:
    """torch gives a function up, and computes it unfused from then on, when too many lengths need their own graph."""
    model = make("gemma3_text")
    wrapped: Any = SimpleNamespace(get_base_model=lambda: model, eval=model.eval)

    def losses(compiled: bool) -> list[float]:
        found = []
        for seed in range(4):
            rows = make_rows(seed)[: 6 - seed]
            examples = [
                Example(str(n), **row, roles=[0 if label < 0 else int(Role.TEXT) for label in row["labels"]])
                for n, row in enumerate(rows)
            ]
            model.train()
            loss = training_loss(wrapped, pack(rows, 83 if seed % 2 else 1000), None, compiled=compiled)
            loss.backward()
            model.eval()
            with torch.no_grad():
                scores = evaluation_loss(
                    wrapped, examples, 2, lambda batch: pack(batch, 1000), packed=True, compiled=compiled
                )
            found += [loss.item(), scores["eval_loss"]]
        return found

    use_packed_attention(model)
    wanted = losses(False)
    use_packed_attention(model, compiled=True)
    assert compile_layers(wrapped) is None
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        found = losses(True)
    assert found == pytest.approx(wanted, abs=1e-4)
