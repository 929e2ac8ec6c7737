"""Real transformers + PEFT + bitsandbytes models without weights, and what a training step keeps of them."""

import gc
from typing import Any

import bitsandbytes as bnb
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import masking_utils
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from finetune.memory.shapes import KNOWN, LINEARS, Shape
from tests.finetune.memory.live_bytes import LiveBytes

CLASSES = {"qwen2": "Qwen2", "qwen3": "Qwen3", "llama": "Llama", "gemma3_text": "Gemma3Text"}


def fused_attention(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float | None = None, **_: Any
) -> tuple[Any, None]:
    """Memory-efficient attention, as SDPA dispatches it without the flash kernel: keys expanded to all heads."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    attend = torch.ops.aten._scaled_dot_product_efficient_attention
    out = attend(query, key, value, None, True, 0.0, True, scale=scaling)[0]
    return out.transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register("fused_for_count", fused_attention)
# It reads values out of a tensor, which a tensor without values cannot answer.
masking_utils.find_packed_sequence_indices = lambda *_, **__: None


def build(case: dict[str, Any]) -> Any:
    """The PEFT model of a case, on the meta device, ready to train."""
    shape: Shape = KNOWN[case["model"]] if "model" in case else Shape(**case["shape"])
    prefix = CLASSES[shape.family]
    extra = {} if prefix == "Qwen2" else {"head_dim": shape.head_dim}
    config = getattr(transformers, f"{prefix}Config")(
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        vocab_size=shape.vocab,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=32768,
        **extra,
    )
    config._attn_implementation = "eager" if case.get("attention") == "eager" else "fused_for_count"
    prefix = prefix.removesuffix("Text")
    with torch.device("meta"):
        torch.set_default_dtype(torch.bfloat16)
        model = getattr(transformers, f"{prefix}ForCausalLM")(config)
        torch.set_default_dtype(torch.float32)
    model.tie_weights()
    if case.get("four_bit", True):
        _quantise(model, double=case.get("double_quant", True))
    model.requires_grad_(False)
    if case.get("kbit"):
        for parameter in model.parameters():  # what peft.prepare_model_for_kbit_training does to them
            if parameter.dtype == torch.bfloat16:
                parameter.data = parameter.data.float()
    targets = case.get("targets", list(LINEARS))
    with torch.device("meta"):
        lora = LoraConfig(r=case.get("r", 8), lora_alpha=16, target_modules=targets, task_type="CAUSAL_LM")
        peft = get_peft_model(model, lora)
    for parameter in peft.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32 if case.get("kbit") else torch.bfloat16)
    peft.config.use_cache = False
    gc.collect()
    return peft


def _quantise(model: Any, *, double: bool) -> None:
    for name, module in list(model.named_modules()):
        if not isinstance(module, torch.nn.Linear) or "lm_head" in name:
            continue
        parent, leaf = name.rsplit(".", 1)
        with torch.device("meta"):  # a processor would draw random weights, which are thrown away
            linear = bnb.nn.Linear4bit(
                module.in_features,
                module.out_features,
                bias=module.bias is not None,
                compute_dtype=torch.bfloat16,
                compress_statistics=double,
                quant_type="nf4",
            )
        linear.support_avx512bf16_for_cpu = False
        weight = bnb.nn.Params4bit(
            module.weight.data, requires_grad=False, compress_statistics=double, quant_type="nf4", module=linear
        )
        linear.weight = weight._quantize("meta")
        if module.bias is not None:
            linear.bias = torch.nn.Parameter(module.bias.data, requires_grad=False)
        setattr(model.get_submodule(parent), leaf, linear)
    model.is_loaded_in_4bit = True


def count_resident(counter: LiveBytes, model: Any) -> None:
    """Everything that is there between two steps, the optimizer's state left out."""
    for parameter in model.parameters():
        counter.add(parameter)
        if parameter.grad is not None:
            counter.add(parameter.grad)
        state = getattr(parameter, "quant_state", None)
        if state is not None:
            for tensor in (state.absmax, state.code, state.offset):
                if tensor is not None:
                    counter.add(tensor)
            if state.state2 is not None:
                counter.add(state.state2.absmax)
                counter.add(state.state2.code)
    for buffer in model.buffers():
        counter.add(buffer)


def fresh_gradients(model: Any) -> None:
    """Gradients of an earlier micro-batch of the same step, as every micro-batch but the first finds them."""
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    gc.collect()


def optimizer_state(model: Any, optimizer: str, element: int) -> tuple[int, list[Any]]:
    """(bytes, tensors) of the optimizer's state: bitsandbytes' own rule for 8 bit, two copies for torch's AdamW.

    Args:
        element: bytes of a LoRA parameter, which torch's AdamW follows.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    if optimizer == "adamw_torch":
        return sum(2 * element * p.numel() for p in trainable), []
    adam = bnb.optim.AdamW8bit(trainable)
    tensors = []
    for index, parameter in enumerate(trainable):
        adam.init_state(adam.param_groups[0], parameter, 0, index)
        state = adam.state[parameter]
        tensors += [state[k] for k in ("state1", "state2", "absmax1", "absmax2") if k in state]
    counter = LiveBytes()
    for tensor in tensors:
        counter.add(tensor)
    return counter.live, tensors
