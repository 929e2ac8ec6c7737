"""In a process of its own: Unsloth's forward pass for a GPU, on a CPU, with packed rows and with the same rows apart.

    python -m tests.finetune.unsloth_forward FAMILY …

Unsloth leaves its own forward passes out on a CPU, so they are put in here as on a GPU; two of their parts are Triton
kernels, which the formulas that they compute stand in for. The model's forward, the layers, the attention modules and
Unsloth's dispatch, through which `prefix_seg_info` goes, are the installed ones.
"""

import os
import sys
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

os.environ |= {"UNSLOTH_DISABLE_STATISTICS": "1", "UNSLOTH_CPU_COMPILE": "0"}
import unsloth  # noqa: F401  before transformers

import torch  # isort: skip
from unsloth.models import llama, mistral, qwen2, qwen3  # isort: skip
from unsloth.utils import attention_dispatch  # isort: skip

from data.render import IGNORED
from finetune import attention
from finetune.losses import training_loss
from finetune.shared_prefix import pack
from tests.finetune.shared_rows import PASSES, make_rows
from tests.tiny import random_model

FAMILIES = {
    "llama": llama.FastLlamaModel,
    "mistral": mistral.FastMistralModel,
    "qwen2": qwen2.FastQwen2Model,
    "qwen3": qwen3.FastQwen3Model,
}


def norm(layer: Any, x: Any, **_: Any) -> Any:
    return layer.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + layer.variance_epsilon)


def turn(x: Any, cos: Any, sin: Any, positions: Any) -> Any:
    """RoPE of [1, heads, tokens, size]; cos, sin: [positions, size]."""
    at = torch.arange(x.shape[2]) if positions is None else positions[0].long()
    left, right = x.chunk(2, -1)
    return x * cos[at] + torch.cat((-right, left), -1) * sin[at]


def rotate(q: Any, k: Any, cos: Any, sin: Any, positions: Any = None) -> tuple[Any, Any]:
    return turn(q, cos, sin, positions), turn(k, cos, sin, positions)


def angles(size: int, base: float = 10_000.0) -> tuple[Any, Any]:
    turns = torch.arange(512)[:, None] / base ** (torch.arange(0, size, 2) / size)
    return torch.cat((turns, turns), -1).cos(), torch.cat((turns, turns), -1).sin()


def make(family: str) -> Any:
    model = random_model(family, 3)
    tables = angles(8)
    rope = SimpleNamespace(extend_rope_embedding=lambda *_, **__: None, get_cached=lambda *_: tables)
    FAMILIES[family].pre_patch()
    for module in (llama, mistral, qwen3):
        module.fast_rope_embedding = rotate
        module.fast_rms_layernorm = norm
    attention_dispatch.HAS_XFORMERS = False  # for a GPU only
    qwen3._qk_norm_rope.QK_NORM_ROPE_ENABLED = False
    del model.model.rotary_emb
    model.model.rotary_emb = rope
    for layer in model.model.layers:
        layer.self_attn.rotary_emb = rope
    assert not attention.has_unsloth_forward(model)
    llama.mark_unsloth_fast_path(model)
    model.model.max_seq_length = 64  # shorter than a packed pass: it must not be cut there
    return model


def main(family: str) -> None:
    rows = make_rows()
    items = sum(mark != IGNORED for row in rows for mark in row["labels"])
    model = make(family)
    assert attention.has_unsloth_forward(model)
    model.model.max_seq_length, cut = 512, model.model.max_seq_length
    total = 0.0
    for row in rows:
        ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
        states = model.model(input_ids=ids, use_cache=False)[0][0, :-1]
        loss = torch.nn.functional.cross_entropy(
            model.lm_head(states), labels[0, 1:], ignore_index=IGNORED, reduction="sum"
        )
        (loss / items).backward()
        total += loss.item() / items
    head = model.get_output_embeddings().weight
    apart = {n: p.grad.clone() for n, p in model.named_parameters() if p is not head and "embed" not in n}
    assert len(apart) > 20
    model.model.max_seq_length = cut
    attention.use_packed_attention(model)
    wrapped = SimpleNamespace(get_base_model=lambda: model)
    for checkpointing in (False, True):
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": True})  # as Unsloth's is
            model.enable_input_require_grads()
            model.train()
        for answer in (False, True):
            attention._runs_on_gpu = Mock(return_value=answer)
            for most in PASSES:
                model.zero_grad()
                loss = training_loss(wrapped, pack(rows, most), items)
                loss.backward()
                assert abs(loss.item() - total) < 1e-5, (loss.item(), total)
                for name, gradient in apart.items():
                    found = model.get_parameter(name).grad
                    torch.testing.assert_close(found, gradient, atol=1e-5, rtol=1e-3)
    print(family, "equal")


if __name__ == "__main__":
    for family in sys.argv[1:]:
        main(family)
