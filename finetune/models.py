"""The two backends behind one function: Unsloth's FastLanguageModel, and plain transformers + peft + bitsandbytes.

`unsloth` is imported here and in `eval.backend`, before transformers, trl and peft; the plain arm never imports it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.backend import checkpointing, load_unsloth, start_unsloth
from eval.load import is_4bit, load_base
from finetune.attention import use_packed_attention
from finetune.device import Device, cap, family_of, keep_freed_memory
from finetune.library_internals import attention_name, on_fast_path
from finetune.packing import shares_prefixes
from finetune.processor import compile_layers, fast, store_factors_in_bf16
from finetune.words import phrase
from tooltune.config import Config
from tooltune.errors import InputError
from tooltune.words import Say


@dataclass
class LoadedModel:
    """A base model with a fresh adapter, ready to train."""

    model: Any
    dtype: str
    attention: str
    fast: bool  # products in bfloat16 on a processor, the rest in float32
    compiled: bool


def prepare_backend(config: Config, device: Device) -> None:
    """Set the process up for the backend; must run before transformers is imported.

    Raises:
        JobFailed: transformers, trl or peft is already there, so Unsloth could no longer patch it.
    """
    if device.kind == "cuda":
        cap(config.memory.budget_gb, device)
    if device.kind == "cpu":
        keep_freed_memory()
    if config.model.backend == "unsloth":
        start_unsloth()


def load(config: Config, folder: Path, dtype: str, device: Device, say: Say = print) -> LoadedModel:
    """Load the base model of `folder` in the wanted precision and put a fresh adapter on it.

    Args:
        say: told where a setting has no effect: layers that cannot be compiled, another attention, weights to be moved.

    Raises:
        InputError: the folder cannot be loaded, or 4-bit weights cannot be computed on this machine.
    """
    import torch
    from safetensors import SafetensorError

    torch.manual_seed(config.train.seed)
    make = _load_unsloth if config.model.backend == "unsloth" else _load_hf
    try:
        model = make(config, folder, dtype, device)
    except (OSError, ValueError, SafetensorError) as e:
        raise InputError(f"the model cannot be loaded: {str(e).splitlines()[0]}", where=str(folder)) from e
    if config.model.load_in_4bit and not is_4bit(model):
        raise InputError(
            "bitsandbytes cannot compute 4-bit weights on this machine",
            where="model.load_in_4bit",
            fix="pip install -r requirements.txt, or train 16-bit LoRA with model.load_in_4bit=false",
        )
    if changes := logit_changes(model.config):
        raise InputError(
            f"{model.config.model_type} models cap or scale their logits after the LM head ({changes}), "
            "which this project's loss does not support",
            where=str(folder),
            fix="train a Gemma 3, Llama, Mistral, Qwen2.5 or Qwen3 model",
        )
    attention = attention_of(model, config, device)
    if device.kind == "cuda" and config.model.attention not in ("auto", attention):
        say(phrase("run.attention", asked=config.model.attention, used=attention))
    moved = config.memory.offload_layers or config.memory.offload_embedding
    if moved and (device.kind != "cuda" or config.model.backend != "unsloth"):
        say(phrase("run.offload_hf") if device.kind == "cuda" else phrase("run.offload_cpu"))
    compiled = config.train.compile and device.kind == "cpu"
    if fast(config, device):
        store_factors_in_bf16(model)
    if compiled and (reason := compile_layers(model)):
        say(phrase("run.uncompiled", reason=reason))
        compiled = False
    if shares_prefixes(config, device, dtype, family_of(folder)):
        if config.model.attention == "eager":
            say(phrase("run.eager"))
        use_packed_attention(model, compiled=compiled)
        attention = "packed"
    return LoadedModel(model, dtype, attention, fast(config, device), compiled)


def logit_changes(config: Any) -> str:
    """How a model caps or scales its logits after the LM head (Gemma 2, Granite, Cohere, Falcon-H1), from its config;
    empty for most models, which do not."""
    names = ("final_logit_softcapping", "logits_scaling", "logit_scale", "lm_head_multiplier")
    values = {name: getattr(config.get_text_config(), name, None) for name in names}
    return ", ".join(f"{name}={value:g}" for name, value in values.items() if value not in (None, 1))


def attention_of(model: Any, config: Config, device: Device) -> str:
    """Whose kernels compute attention in training: sdpa, eager, flex_attention, or xformers and flash of Unsloth.

    Llama-like models (Llama, Mistral, Qwen2, Qwen3) have Unsloth's own forward on a GPU. It chooses among what is
    installed, whatever is asked for, and drops the padding mask in training (unsloth/models/llama.py pops
    attn_implementation; LlamaAttention_fast_forward). Other models go by their config, but that Unsloth's Gemma 3
    computes by torch's SDPA what is called eager (unsloth_zoo/temporary_patches/gemma.py).
    """
    own = device.kind == "cuda" and config.model.backend == "unsloth"
    if not own or not any(map(on_fast_path, model.modules())):
        name = attention_name(model)
        return "sdpa" if own and name == "eager" and model.config.model_type.startswith("gemma3") else name
    from unsloth.utils.attention_dispatch import select_attention_backend

    return str(select_attention_backend()).removesuffix("_dense")


def adapted_modules(model: Any, wanted: list[str] | str) -> list[str]:
    """The names of the linear modules that get an adapter; "all-linear": every one but the LM head, as in PEFT.

    Raises:
        InputError: a name is that of none. PEFT passes over it in silence where another name fits.
    """
    import torch

    head = model.get_output_embeddings()
    paths = [path for path, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head]
    names = sorted({path.rpartition(".")[2] for path in paths})
    if isinstance(wanted, str):
        return names
    for name in wanted:
        if not any(path == name or path.endswith(f".{name}") for path in paths):
            raise InputError(
                f"no linear module of this model is called {name!r}",
                where="lora.target_modules",
                fix=f"it has {', '.join(names)}; all-linear takes all of them",
            )
    return list(wanted)


def _load_unsloth(config: Config, folder: Path, dtype: str, device: Device) -> Any:
    from unsloth import FastLanguageModel

    model = load_unsloth(folder, config, dtype, max_length=config.data.max_length)
    return FastLanguageModel.get_peft_model(
        model,
        **_lora(config, model),
        use_gradient_checkpointing=checkpointing(config.train.gradient_checkpointing),
        random_state=config.train.seed,
        max_seq_length=config.data.max_length,
    )


def _load_hf(config: Config, folder: Path, dtype: str, device: Device) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    attention = "sdpa" if config.model.attention == "auto" else config.model.attention
    quantised = config.model.load_in_4bit
    model = load_base(folder, dtype=dtype, load_in_4bit=quantised, device=device.kind, attn_implementation=attention)
    model.config.use_cache = False
    if config.train.gradient_checkpointing != "off":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    torch.manual_seed(config.train.seed)
    return get_peft_model(model, LoraConfig(**_lora(config, model), task_type="CAUSAL_LM"))


def _lora(config: Config, model: Any) -> dict[str, Any]:
    """The adapter's settings, which both backends name alike."""
    return {
        "r": config.lora.r,
        "lora_alpha": config.lora.alpha,
        "lora_dropout": config.lora.dropout,
        "target_modules": adapted_modules(model, config.lora.target_modules),
        "bias": "none",
    }
