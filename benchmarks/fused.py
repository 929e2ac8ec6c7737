"""Which of Unsloth's fused paths a model really has on a GPU: counted on its modules, not read off a message.

Unsloth's `patch_peft_model` puts `apply_lora_qkv` and `apply_lora_o` on a layer's attention and `apply_lora_mlp_…` in
place of its MLP's forward. Its own message counts Qwen2's QKV as patched although their biases keep PEFT's forward.
"""

from typing import Any

from benchmarks.results import Fused
from tooltune.config import Config


def fused_layers(model: Any) -> Fused:
    """[layers with Unsloth's kernel, layers] for QKV, MLP and O."""
    layers = _layers(model)
    qkv = sum(_name(layer.self_attn, "apply_qkv") == "apply_lora_qkv" for layer in layers)
    mlp = sum(
        any(_name(layer.mlp, slot).startswith("apply_lora_mlp") for slot in ("forward", "_unsloth_forward"))
        for layer in layers
    )
    o = sum(_name(layer.self_attn, "apply_o") == "apply_lora_o" for layer in layers)
    return Fused(qkv=[qkv, len(layers)], mlp=[mlp, len(layers)], o=[o, len(layers)])


def unfused_warnings(model: Any, config: Config, fused: Fused) -> list[str]:
    """One line for each path that is not fused in every layer, with the reason where it is a known one."""
    first = _layers(model)[0]
    parts = {
        "qkv": ("QKV", [getattr(first.self_attn, f"{name}_proj") for name in "qkv"]),
        "mlp": ("MLP", [getattr(first.mlp, f"{name}_proj") for name in ("gate", "up", "down")]),
        "o": ("O", [first.self_attn.o_proj]),
    }
    lines = []
    for part, (label, projections) in parts.items():
        applied, layers = fused[part]  # type: ignore[literal-required]
        if applied < layers:
            lines.append(f"{label} is fused in {applied} of {layers} layers: {_reason(config, projections)}")
    return lines


def _reason(config: Config, projections: list[Any]) -> str:
    if config.lora.dropout:
        return f"lora.dropout is {config.lora.dropout:g}, Unsloth's kernels want 0"
    if not all(hasattr(projection, "lora_A") for projection in projections):
        return "not all of its projections are in lora.target_modules"
    if any(projection.base_layer.bias is not None for projection in projections):
        return "its projections have biases"
    return "Unsloth declined (its log says why)"


def _layers(model: Any) -> list[Any]:
    return list(model.get_base_model().model.layers)


def _name(module: Any, slot: str) -> str:
    """The name of the function that was set on this very module, behind bound methods and partials."""
    function = vars(module).get(slot)
    function = getattr(function, "__func__", function)
    return getattr(getattr(function, "func", function), "__name__", "")
