"""Training on a processor: products in bfloat16 where it has them, everything between them in float32, compiled.

bfloat16 has 8 bits: enough for the factors of a product whose sum is kept in float32, too few for a residual stream in
which the first LoRA updates would be rounded away (docs/decisions.md).
"""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from finetune.device import Device
from tooltune.config import Config


def fast(config: Config, device: Device) -> bool:
    """Whether products are in bfloat16: as asked, on a processor that has it, in a run that is not in it anyway."""
    return device.kind == "cpu" and device.bf16 and config.model.fast_matmul and config.model.dtype != "bfloat16"


def products(fast: bool) -> AbstractContextManager[Any]:
    """Around a forward pass: linear layers and attention multiply in bfloat16, norms and sums stay in float32."""
    import torch

    return torch.autocast("cpu", torch.bfloat16) if fast else nullcontext()


def store_factors_in_bf16(model: Any) -> None:
    """Keep what products are made of as bfloat16, so that no step converts it anew.

    The frozen 4-bit weights are written out once: a linear layer then multiplies with its NF4 values, as QLoRA does,
    without dequantising them twice a step (a fifth of a step of the embedded model). Embedding and LM head go back to
    the bfloat16 of their checkpoint; the embedding's output is float32 again, where the residual stream begins.

    Args:
        model: a PEFT model, its frozen weights in NF4 or float32.
    """
    import torch
    from bitsandbytes.nn import Linear4bit

    base = model.get_base_model()
    for module in base.modules():
        if isinstance(module, Linear4bit):
            _write_out(module)
        elif isinstance(module, torch.nn.Linear) and not module.weight.requires_grad:
            module.weight.data = module.weight.data.bfloat16()
    _float_output(base.get_input_embeddings())


def compile_layers(model: Any) -> str | None:
    """torch.compile each decoder layer; returns why it cannot be done here, else None.

    One graph serves all lengths and all layers. Needs a C++ compiler when it runs.
    """
    import torch

    _keep_apart_by_width()
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(8))
    except Exception as e:  # whatever a compiler, its headers or a read-only folder may raise: the run goes on eagerly
        return f"{type(e).__name__}: {(str(e).strip().splitlines() or [''])[0][:160]}"
    for layer in model.get_base_model().model.layers:
        layer.compile(dynamic=True)
    return None


def _keep_apart_by_width() -> None:
    """Cache what is compiled by the processor's vector width, which torch's own key lacks: AVX2 after AVX-512 on one
    disk was a segmentation fault."""
    import torch
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    usual = default_cache_dir()
    if os.environ.get("TORCHINDUCTOR_CACHE_DIR", usual) == usual:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{usual}_{torch.backends.cpu.get_cpu_capability().lower()}"


def _write_out(linear: Any) -> None:
    import torch
    from bitsandbytes.functional import dequantize_4bit

    weight = dequantize_4bit(linear.weight.data, linear.weight.quant_state).to(torch.bfloat16)
    bias = None if linear.bias is None else linear.bias.data.to(torch.bfloat16)

    def forward(x: Any) -> Any:
        return torch.nn.functional.linear(x.to(torch.bfloat16), weight, bias)

    linear.forward = forward


def _float_output(embedding: Any) -> None:
    import torch

    scale = getattr(embedding, "scalar_embed_scale", 1.0)  # Gemma's; in bfloat16 it would be rounded
    embedding.weight.data = embedding.weight.data.bfloat16()

    def forward(ids: Any) -> Any:
        return torch.nn.functional.embedding(ids, embedding.weight).float() * scale

    embedding.forward = forward
