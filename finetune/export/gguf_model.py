"""A run as GGUF, the file of llama.cpp, Ollama and LM Studio: the merged model, or the adapter alone.

Names of tensors and of metadata come from the `gguf` library, which llama.cpp's own converter uses; what a family needs
besides is in `FAMILIES`. Whether it is right is not believed but proven (`finetune.export.proof`).
"""

import json
from contextlib import closing
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from finetune.export.gguf_tokenizer import add_tokenizer
from finetune.export.gguf_types import TYPES, kept_as, rounded
from finetune.export.weights import Adapter, Base, merged_tensors
from tooltune.console import Tick
from tooltune.errors import InputError

__all__ = ["FAMILIES", "TYPES", "write_gguf", "write_lora_gguf"]


@dataclass(frozen=True)
class GgufFamily:
    """What llama.cpp wants otherwise than transformers.

    Attributes:
        arch: its name in the `gguf` library.
        norm_shift: added to the weights of norms (Gemma's multiply by 1 + w).
        interleaved: whether the rows of queries and keys are in the order of the first rotary embeddings (Llama).
    """

    arch: str
    norm_shift: float = 0.0
    interleaved: bool = False


FAMILIES = {
    "gemma3_text": GgufFamily("GEMMA3", norm_shift=1.0),
    "llama": GgufFamily("LLAMA", interleaved=True),
    "qwen2": GgufFamily("QWEN2"),
    "qwen3": GgufFamily("QWEN3"),
}


def write_gguf(base: Base, adapter: Adapter, path: Path, kind: str, name: str, tick: Tick) -> None:
    """Write the merged model, a tensor at a time: memory holds one of them, and the disk nothing but the file.

    Args:
        kind: of the matrices, a key of `TYPES`.
        name: the model's, which servers show.
        tick: told of each tensor.

    Raises:
        InputError: the family is none of those that are known here.
    """
    import gguf

    config, family = _read(base.folder)
    layers = config["num_hidden_layers"]
    tied = bool(config.get("tie_word_embeddings")) or "lm_head.weight" not in base.shapes
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[family.arch], layers)
    with closing(_writer(path, family, name)) as writer:
        _add_shape(writer, config)
        writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{TYPES[kind]}"])
        if kind.startswith("q"):
            writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        add_tokenizer(writer, adapter.folder, config["vocab_size"])
        types = {}
        for name, shape in base.shapes.items():
            if name == "lm_head.weight" and tied:
                continue
            ours = _gguf_name(names, name, base.folder)
            types[name] = wanted = kept_as(ours, shape, kind, layers=layers, tied=tied)
            size = prod(gguf.quant_shape_to_byte_shape(shape, wanted))
            writer.add_tensor_info(ours, shape, np.dtype(np.float32), size, raw_dtype=wanted)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for _, name, tensor in merged_tensors(base, adapter):
            if name in types:
                writer.write_tensor_data(rounded(_for_llama_cpp(tensor.float(), name, config, family), types[name]))
            tick(1)


def write_lora_gguf(base: Base, adapter: Adapter, path: Path, name: str) -> None:
    """Write the adapter alone, for a llama.cpp that already has the base model (`--lora FILE`).

    Raises:
        InputError: the family is none of those that are known here.
    """
    import gguf

    config, family = _read(base.folder)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[family.arch], config["num_hidden_layers"])
    with closing(_writer(path, family, name)) as writer:
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", adapter.scale * adapter.settings["r"])  # llama.cpp divides it by r
        for module, lora in adapter.modules().items():
            ours = _gguf_name(names, module, base.folder)
            writer.add_tensor(f"{ours}.lora_a", lora.a.numpy())
            writer.add_tensor(f"{ours}.lora_b", _for_llama_cpp(lora.b, module, config, family))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()


def _read(folder: Path) -> tuple[dict[str, Any], GgufFamily]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not (family := FAMILIES.get(config["model_type"])):
        raise InputError(
            f"no GGUF is written for the family {config['model_type']!r}, only for {', '.join(FAMILIES)}",
            where=str(folder / "config.json"),
            fix="export --to merged and use llama.cpp's own convert_hf_to_gguf.py on it",
        )
    return config, family


def _writer(path: Path, family: GgufFamily, name: str) -> Any:
    import gguf

    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH[family.arch]])
    writer.add_name(name)
    return writer


def _add_shape(writer: Any, config: dict[str, Any]) -> None:
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    head = config.get("head_dim") or hidden // heads
    writer.add_type("model")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(hidden)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(_rope_base(config))
    if config["model_type"] == "gemma3_text":
        writer.add_sliding_window(config["sliding_window"])


def _rope_base(config: dict[str, Any]) -> float:
    """The base of the rotary embedding, of the layers that attend to everything.

    Raises:
        InputError: the embedding is scaled, which this export does not write.
    """
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope = rope.get("full_attention", rope)
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        raise InputError(
            f"no GGUF is written for scaled rotary embeddings ({rope.get('rope_type', rope.get('type'))})",
            where="config.json",
            fix="export --to merged and use llama.cpp's own convert_hf_to_gguf.py on it",
        )
    return float(rope.get("rope_theta") or config["rope_theta"])


def _for_llama_cpp(tensor: Any, name: str, config: dict[str, Any], family: GgufFamily) -> Any:
    """A tensor (or LoRA's B) in float32 as llama.cpp reads it, as numpy."""
    if family.norm_shift and name.endswith("norm.weight"):
        tensor = tensor + family.norm_shift
    if family.interleaved and (".q_proj." in name or ".k_proj." in name):
        # transformers keeps each head's two halves apart, llama.cpp has the pairs side by side
        heads = config["num_attention_heads"]
        heads = (config.get("num_key_value_heads") or heads) if ".k_proj." in name else heads
        half = tensor.shape[0] // heads // 2
        tensor = tensor.reshape(heads, 2, half, *tensor.shape[1:]).swapaxes(1, 2).reshape(tensor.shape)
    return tensor.contiguous().numpy()


def _gguf_name(names: Any, name: str, folder: Path) -> str:
    found = names.get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise InputError(f"llama.cpp has no tensor for {name}", where=str(folder), fix="export --to merged")
    return str(found)
