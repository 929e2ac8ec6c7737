"""A model of a known shape with random weights: speed and memory depend on the shape alone, and nothing is downloaded.

The folder is written once, in bfloat16 shards, and loaded like any other. Its tokenizer is SmolLM2's, with the smallest
vocabulary: every id it gives is in the others too (Gemma's 262,144 would enlarge them, and so the LM head that is
measured), but Korean takes more tokens than with the real one, so `mix` has longer rows.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.embedded import SMOLLM2, embedded_model, models_dir
from data.errors import InputError
from data.pretrained import load_tokenizer
from finetune.memory.shapes import Shape, shape_of

POSITIONS = 32_768


def random_model(name: str, say: Callable[[str], None]) -> Path:
    """The folder of a model with the shape of `name` and random weights, the same ones every time.

    Raises:
        InputError: the shape of `name` is not known.
    """
    shape, origin = shape_of(name)
    folder = models_dir() / f"random-{Path(name).name.lower()}"
    if (folder / "config.json").is_file():
        return folder
    models_dir().mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(models_dir()).free < 2.5 * shape.parameters:
        raise InputError(f"{2 * shape.parameters / 1e9:.1f} GB of disk are needed", where=str(models_dir()))
    say(f"Writing {shape.parameters / 1e6:,.0f} M random weights in the shape of {name} ({origin}, once) …")
    tokenizer = load_tokenizer(embedded_model(SMOLLM2, say))
    with tempfile.TemporaryDirectory(dir=models_dir(), prefix=".random-") as temporary:
        _write(replace(shape, vocab=max(shape.vocab, len(tokenizer))), tokenizer, Path(temporary) / "model")
        (Path(temporary) / "model").replace(folder)
    return folder


def _write(shape: Shape, tokenizer: Any, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        shape.family,
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=shape.tied,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="1GB")
    tokenizer.save_pretrained(folder)
