"""Peak bytes of one Unsloth QLoRA step, counted on the meta device.

The adapter's autograd functions (`LoRA_MLP`, `LoRA_QKV`, `LoRA_W`) and the cross-entropy (`_ce_impl`) are Unsloth's.
Its Triton kernels and its checkpointing into host memory are replaced by functions that make the same allocations.
A process of its own: importing Unsloth changes transformers and PEFT.

Reads cases as JSON from standard input, writes one JSON line each.
"""

import contextlib
import gc
import io
import json
import os
import sys
from typing import Any

os.environ.update(UNSLOTH_ALLOW_CPU="1", UNSLOTH_DISABLE_STATISTICS="1", HF_HUB_OFFLINE="1")

import torch

with contextlib.redirect_stdout(io.StringIO()):
    import unsloth  # noqa: F401
    from unsloth.kernels import fast_lora
    from unsloth.kernels import utils as kernels
    from unsloth_zoo.fused_losses import fused_linear

from tests.finetune.memory.flash_attention import Attention
from tests.finetune.memory.live_bytes import LiveBytes
from tests.finetune.memory.meta_models import build, count_resident, fresh_gradients, optimizer_state

MIN_OFFLOAD = 2 * 2**20  # unsloth_zoo/gradient_checkpointing.py: MINIMUM_SIZE, bytes
FIRST_BUFFER = 2 * 256 * 2048  # the same: INITIAL_GPU_BUFFER_SIZE, elements
_scratch: list[Any] = []
_staging: dict[str, Any] = {}


def dequantise(weight: Any, quant_state: Any = None, out: Any = None, use_global_buffer: bool = False, **_: Any) -> Any:
    """`fast_dequantize`: into the one global buffer, which grows to the largest matrix, or into a new tensor."""
    if quant_state is None:
        return weight
    rows, columns = quant_state.shape
    if use_global_buffer:
        if not _scratch or _scratch[0].numel() < rows * columns:
            _scratch[:] = [torch.empty(rows * columns, dtype=torch.bfloat16, device="meta")]
        full = _scratch[0][: rows * columns].view(rows, columns)
    else:
        full = torch.empty((rows, columns), dtype=torch.bfloat16, device="meta")
    return full.t() if weight.shape[0] == 1 else full


kernels.fast_dequantize = fast_lora.fast_dequantize = dequantise


class Norm(torch.autograd.Function):
    """Fast_RMS_Layernorm: keeps its input and one float a row; the gradient is written over the incoming one."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x, torch.empty(x.shape[:-1], device="meta"))
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad


class Checkpoint(torch.autograd.Function):
    """Recompute a layer; its input waits in host memory, and comes back through two buffers on the card."""

    @staticmethod
    def forward(ctx: Any, layer: Any, x: Any, offload: bool) -> Any:
        ctx.layer, ctx.shape = layer, x.shape
        ctx.offload = offload and x.numel() * x.element_size() > MIN_OFFLOAD
        if ctx.offload:
            for name in ("a", "b"):
                if name not in _staging or _staging[name].numel() < x.numel():
                    size = max(x.numel(), FIRST_BUFFER)
                    _staging[name] = torch.empty(size, dtype=x.dtype, device="meta")
            ctx.save_for_backward()
        else:
            ctx.save_for_backward(x)
        with torch.no_grad():
            return layer(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x = _staging["a"][: grad.numel()].view(ctx.shape) if ctx.offload else ctx.saved_tensors[0]
        x = x.detach().requires_grad_(True)
        with torch.enable_grad():
            y = ctx.layer(x)
        torch.autograd.backward(y, grad)
        return None, x.grad, None


def product(a: Any, b: Any, out: Any = None) -> Any:
    """A 16-bit product with a float32 result, as a card makes it: without float32 copies of `a` and `b`."""
    return a.new_empty((a.shape[0], b.shape[1]), dtype=torch.float32) if out is None else out


fused_linear._mm_fp32, fused_linear._addmm_fp32 = product, lambda acc, a, b: None
fused_linear._launch = lambda device, kernel: None
fused_linear._use_triton = lambda device: True
fused_linear._logits_mode = lambda device, dtype: (True, False)
fused_linear._budget_bytes = lambda device: 2**31
_autocast = torch.autocast
torch.autocast = lambda device, **_: contextlib.nullcontext() if device == "meta" else _autocast(device, **_)


class CrossEntropy(torch.autograd.Function):
    """unsloth_zoo/fused_losses/fused_linear.py: the real function, told which card it is on."""

    @staticmethod
    def forward(ctx: Any, hidden: Any, weight: Any, labelled: int, turing: bool, large_card: bool) -> Any:
        fused_linear._flash_ce_ok = lambda device: not turing
        fused_linear._flash_min_rows = lambda device: 4096 if large_card else 0
        kept = torch.arange(labelled, device="meta")
        fused_linear._keep_index = lambda *_: (kept, labelled)
        targets, one = torch.empty(len(hidden), dtype=torch.long, device="meta"), torch.empty((), device="meta")
        frozen = (True, False, False)
        loss, grad, _, _ = fused_linear._ce_impl(
            hidden, weight, None, targets, one, one, -100, 0.0, 0.0, 0.0, 0.0, None, hidden.dtype, *frozen, False, 0
        )
        ctx.save_for_backward(grad)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.saved_tensors[0] * 1.0, None, None, None, None


def adapter(projection: Any) -> tuple[Any, ...]:
    """The five arguments that Unsloth's functions take for one projection."""
    base = projection.base_layer.weight
    return base, base.quant_state, projection.lora_A["default"].weight, projection.lora_B["default"].weight, 2.0


def make_layer(layer: Any, config: Any, expands: bool) -> Any:
    """A decoder layer as unsloth/models/llama.py and qwen3.py run it."""
    attention, mlp = layer.self_attn, layer.mlp
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    fused = attention.q_proj.base_layer.bias is None  # with a bias Unsloth leaves q, k, v to PEFT

    def run(x: Any) -> Any:
        rows, length, _ = x.shape
        y = Norm.apply(x)
        if fused:
            parts = (attention.q_proj, attention.k_proj, attention.v_proj)
            q, k, v = fast_lora.LoRA_QKV.apply(y, *(a for p in parts for a in adapter(p)), True)
        else:
            q, k, v = attention.q_proj(y), attention.k_proj(y), attention.v_proj(y)
        q = q.view(rows, length, heads, -1)
        k, v = k.view(rows, length, kv_heads, -1), v.view(rows, length, kv_heads, -1)
        if hasattr(attention, "q_norm"):
            q, k = Norm.apply(q), Norm.apply(k)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        if expands:  # the kernel takes as many keys as queries
            k, v = k.repeat_interleave(heads // kv_heads, 1), v.repeat_interleave(heads // kv_heads, 1)
        out = Attention.apply(q, k, v)
        del y, q, k, v
        out = out.transpose(1, 2).reshape(rows, length, -1)
        out = fast_lora.LoRA_W.apply(out, *adapter(attention.o_proj))
        x = x + out
        del out
        y = Norm.apply(x)
        parts = (mlp.gate_proj, mlp.up_proj, mlp.down_proj)
        swiglu = (lambda e, g: torch.empty_like(e)), (lambda dw, e, g: (dw, e, g))
        out = fast_lora.LoRA_MLP.apply(y, *(a for p in parts for a in adapter(p)), *swiglu, True)
        del y
        return x + out

    return run


def count(model: Any, case: dict[str, Any]) -> dict[str, Any]:
    """One step; the adapter and its gradients are float32 on a GPU, and counted here in 16 bit plus the difference."""
    _scratch.clear()
    _staging.clear()
    fresh_gradients(model)
    state, kept = optimizer_state(model, case.get("optimizer", "adamw_8bit"), 4)
    del kept
    counter = LiveBytes()
    count_resident(counter, model)
    lora = sum(p.numel() for p in model.parameters() if p.requires_grad)
    resident = counter.live
    base, turing, large = model.get_base_model(), case.get("turing", False), case.get("large_card", False)
    expands = turing or case.get("xformers", True)
    checkpointing = case.get("checkpointing", "unsloth")
    layers = [make_layer(layer, base.config, expands) for layer in base.model.layers]
    tokens = case["micro_batch"] * case["length"]
    with counter:
        counter.phase = "forward"
        ids = torch.zeros(case["micro_batch"], case["length"], dtype=torch.long, device="meta")
        x = base.model.embed_tokens(ids).detach().requires_grad_(True)
        for number, layer in enumerate(layers):
            last = number == len(layers) - 1
            x = (
                layer(x)
                if checkpointing == "off"
                else Checkpoint.apply(layer, x, checkpointing == "unsloth" and not last)
            )
        hidden = Norm.apply(x)
        del x
        counter.phase = "head"
        labelled = max(1, int(tokens * case.get("labelled", 1.0)))
        loss = CrossEntropy.apply(hidden.reshape(tokens, -1), base.lm_head.weight, labelled, turing, large)
        del hidden
        counter.phase = "backward"
        loss.backward()
        del loss
    known = state + 4 * lora  # two more bytes for each weight and each gradient
    return {"resident": resident + known, "peak": counter.peak + known, "phase": counter.peak_phase}


def main() -> None:
    torch.set_num_threads(1)
    gc.freeze()  # the libraries need not be looked through for every case
    last: Any = None
    model: Any = None
    for case in json.load(sys.stdin):
        recipe = {k: case.get(k) for k in ("model", "shape", "r", "targets")}
        if recipe != last:
            model = None
            gc.collect()
            model, last = build(case), recipe
        print(json.dumps(count(model, case)), flush=True)


if __name__ == "__main__":
    main()
