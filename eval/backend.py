"""Unsloth's loader: for training, and for asking a run whose frozen weights wait in main memory.

`start_unsloth` imports it first, before transformers, trl and peft, which it patches.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from tooltune.config import Config
from tooltune.cuda import CONTEXT, GIB, lends_main_memory
from tooltune.errors import JobFailed

OF_FREE = 0.9
"""Share of what other programs leave of the card that is used where the driver lends main memory."""


def start_unsloth() -> None:
    """Import unsloth, with its statistics off and its compiled code kept where this version's alone is.

    On a GPU nothing is compiled unless the environment says so. Whole blocks and FlexAttention, which Unsloth takes for
    Gemma 3, are compiled anew for every length: the first step was not over after three minutes (docs/gpu.md). Norms,
    MLP and rotary positions are compiled once for all lengths, but a run of minutes does not earn that back.

    Raises:
        JobFailed: transformers, trl or peft is already there, so Unsloth could no longer patch it.
    """
    early = [m for m in ("transformers", "trl", "peft") if m in sys.modules and "unsloth" not in sys.modules]
    if early:
        raise JobFailed(f"{', '.join(early)} was imported before unsloth", "start the run in a fresh process")
    from importlib.metadata import version

    import torch

    os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tooltune"
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(cache / f"unsloth-{version('unsloth')}"))
    os.environ["UNSLOTH_CPU_COMPILE"] = "0"  # layers are compiled by this project, for both backends
    os.environ.setdefault("UNSLOTH_BLOCK_COMPILE_LEGACY", "0")
    os.environ.setdefault("UNSLOTH_BLOCK_COMPILE", "0")
    os.environ.setdefault("UNSLOTH_ENABLE_FLEX_ATTENTION", "0")
    if torch.cuda.is_available():  # on a processor it would break up what `train.compile` compiles
        os.environ.setdefault("UNSLOTH_COMPILE_DISABLE", "partial")
    import unsloth  # noqa: F401


def load_unsloth(folder: Path, config: Config, dtype: str, *, max_length: int) -> Any:
    """The base model of a folder as training loads it, its frozen weights on the card or in main memory.

    Args:
        config: a run's.
        dtype: of the activations, a name in torch.
        max_length: tokens, beyond which Unsloth cuts a sequence.
    """
    import torch
    from unsloth import FastLanguageModel

    model, memory = config.model, config.memory
    chosen: dict[str, Any] = {}
    if model.attention != "auto":
        chosen["attn_implementation"] = model.attention
    if torch.cuda.is_available():  # the CPU loader knows none of these; it never loads what sees pictures
        chosen |= {"text_only": True, "offload_embedding": memory.offload_embedding}
        if memory.offload_layers:
            chosen["offload_layers"] = memory.offload_layers
    loaded, _ = FastLanguageModel.from_pretrained(
        str(folder.absolute()),
        max_seq_length=max_length,
        dtype=getattr(torch, dtype),
        load_in_4bit=model.load_in_4bit,
        use_gradient_checkpointing=checkpointing(config.train.gradient_checkpointing),
        local_files_only=True,
        **chosen,
    )
    return loaded


def put_adapter(model: Any, adapter: Path, config: Config) -> Any:
    """A trained adapter on a base model of `load_unsloth`, in the order of Unsloth's own loader (unsloth/models/
    loader.py, the branch of `is_peft`)."""
    from peft import PeftModel
    from unsloth import FastLanguageModel

    model = PeftModel.from_pretrained(model, adapter, is_trainable=True)
    return FastLanguageModel.patch_peft_model(model, checkpointing(config.train.gradient_checkpointing))


def context_length(folder: Path) -> int:
    """Tokens that the model of a folder takes. An evaluation's prompts may be longer than the rows that trained, and
    nothing is allocated for the difference."""
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return int({**values, **(values.get("text_config") or {})}["max_position_embeddings"])


def checkpointing(setting: str) -> str | bool:
    """`train.gradient_checkpointing` as Unsloth takes it."""
    return "unsloth" if setting == "unsloth" else setting == "on"


def bound_card(budget_gib: float | None) -> None:
    """Bound what torch takes of the card, so that it raises where more is wanted, and fewer prompts can be asked.

    Args:
        budget_gib: the run's `memory.budget_gb`: no more than a card of that size would have, as in training. A card
            that has less is used whole. Where the driver lends main memory, nothing would ever be raised: `OF_FREE` of
            what other programs leave.
    """
    import torch

    total = most = torch.cuda.get_device_properties(0).total_memory
    if budget_gib:
        most = int(budget_gib * GIB) - CONTEXT
    if lends_main_memory():
        free, _ = torch.cuda.mem_get_info()
        most = min(most, int(OF_FREE * (free + torch.cuda.memory_reserved())))
    if most < total:
        torch.cuda.set_per_process_memory_fraction(most / total)
