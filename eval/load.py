"""A model to ask: a base model, with or without an adapter, through plain transformers and peft."""

from pathlib import Path
from typing import Any


def load_model(base: Path, *, dtype: str, load_in_4bit: bool, device: str) -> Any:
    """The base model in evaluation mode, with the numbers that were trained on.

    On a GPU 4-bit weights stay 4-bit. On a CPU they are quantised to NF4 and then written out again in `dtype`: the
    same function, several times faster to decode with.

    Args:
        dtype: of the activations, a name in torch.
        device: "cuda" or "cpu".
    """
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    kind = getattr(torch, dtype)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=kind
    )
    model = AutoModelForCausalLM.from_pretrained(
        base,
        dtype=kind,
        quantization_config=quantization if load_in_4bit else None,
        device_map={"": 0 if device == "cuda" else "cpu"},
        local_files_only=True,
    )
    if load_in_4bit and device == "cpu":
        model = model.dequantize(dtype=kind)
    return model.eval()


def add_adapter(model: Any, adapter: Path, *, device: str) -> Any:
    """Put a LoRA adapter on a loaded base; on a CPU it is merged into the (unquantised) weights, which is faster."""
    from peft import PeftModel

    model = PeftModel.from_pretrained(model, adapter)
    return model.merge_and_unload() if device == "cpu" else model
