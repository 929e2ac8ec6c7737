"""A model to ask: a base model, with or without an adapter, through plain transformers and peft."""

import platform
import tempfile
from pathlib import Path
from typing import Any

from eval.shortage import is_shortage
from tooltune.errors import InputError
from tooltune.pretrained import check_files


def processor_dtype() -> str:
    """What a processor multiplies and decodes in: bfloat16 where it has it, else float32.

    Decoding reads every weight and the whole cache for each token: half the bytes was 2.4 times as fast, and only
    near-ties between two tokens can fall the other way. With AVX-512 alone oneDNN calls bfloat16 supported and emulates
    it, at a fifth of float32's speed (docs/decisions.md).
    """
    import torch

    if platform.machine().lower() in ("x86_64", "amd64"):
        has = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    else:
        has = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return "bfloat16" if has else "float32"


def compute_device(model: Any) -> Any:
    """The device that a model's layers compute on, where token ids and masks belong.

    That of its LM head. `next(model.parameters()).device` may be main memory: an input embedding that Unsloth keeps
    there comes first, and hooks take ids to it and its output back to the head's device (unsloth/models/vision.py:
    _install_offload_embedding_hooks); masks and positions have no such hooks.
    """
    return model.get_output_embeddings().weight.device


def is_4bit(model: Any) -> bool:
    """Whether any of its linear layers is NF4."""
    return any(type(module).__name__ == "Linear4bit" for module in model.modules())


def load_base(base: Path, *, dtype: str, load_in_4bit: bool, device: str, **chosen: Any) -> Any:
    """A base model as transformers loads it, its linear layers in NF4 where asked for.

    Args:
        dtype: of the activations, a name in torch.
        device: "cuda" or "cpu".
        chosen: further arguments of `from_pretrained`.
    """
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    kind = getattr(torch, dtype)
    if device == "cuda":
        _let_all_heads_be_written_out(kind)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=kind
    )
    model = AutoModelForCausalLM.from_pretrained(
        base,
        dtype=kind,
        quantization_config=quantization if load_in_4bit else None,
        device_map={"": 0 if device == "cuda" else "cpu"},
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        **chosen,
    )
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            # bitsandbytes 0.50 repacks the weights at the first evaluation on a CPU, and gradients go silently wrong.
            module.support_avx512bf16_for_cpu = False
    return model


def _let_all_heads_be_written_out(dtype: Any) -> None:
    """Have transformers write keys and values out for all heads, as the plan has it, where no fused kernel takes shared
    ones: before Ampere, in float32, and where torch is built without FlashAttention, as for Windows.

    Before 2.14 torch takes its plain kernel there, which holds all scores, 452 MiB for a prompt of 2,048 tokens of
    Qwen2.5-1.5B (unsloth/utils/attention_dispatch.py: _sdpa_gqa_state_now).
    """
    import torch
    from transformers.integrations import sdpa_attention

    able = torch.cuda.get_device_capability() >= (8, 0) and torch.backends.cuda.is_flash_attention_available()
    if not able or dtype == torch.float32:
        sdpa_attention.use_gqa_in_sdpa = lambda *_: False


def load_model(base: Path, *, dtype: str, load_in_4bit: bool, device: str) -> Any:
    """The base model in evaluation mode, with the numbers that were trained on; arguments as `load_base`.

    On a GPU 4-bit weights stay 4-bit. On a CPU they are quantised to NF4 and then written out again in `dtype`: the
    same function, several times faster to decode with.
    """
    import torch

    model = load_base(base, dtype=dtype, load_in_4bit=load_in_4bit, device=device)
    if load_in_4bit and device == "cpu":
        model = model.dequantize(dtype=getattr(torch, dtype))
    return model.eval()


def dense_copy(model: Any, base: Path, *, load_in_4bit: bool) -> Any:
    """A copy of a model in training that decodes fast on a CPU: the same numbers, dequantised and merged.

    Decoding with NF4 weights and separate adapters dequantises the whole model for every token; the copy costs seconds
    to make and half a gigabyte, and the model in training is not touched.

    Args:
        model: a PEFT model on the base of the folder `base`.
        load_in_4bit: whether its frozen weights are NF4.
    """
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        dense = load_model(base, dtype=processor_dtype(), load_in_4bit=load_in_4bit, device="cpu")
        return add_adapter(dense, Path(folder), device="cpu")


def add_adapter(model: Any, adapter: Path, *, device: str) -> Any:
    """Put a LoRA adapter on a loaded base; on a CPU it is merged into the (unquantised) weights, which is faster.

    Raises:
        InputError: a file of the adapter is cut off, or the adapter is not one of this model.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    check_files(adapter)
    try:
        model = PeftModel.from_pretrained(model, adapter)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, SafetensorError) as e:
        # peft builds what adapter_config.json says, and raises whatever a wrong value in it makes Python raise
        if is_shortage(e):
            raise
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise InputError(f"the adapter cannot be loaded: {reason}", where=str(adapter)) from e
    return model.merge_and_unload() if device == "cpu" else model
