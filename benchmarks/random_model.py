"""A model of a known shape with random weights: speed and memory depend on the shape alone, and nothing is downloaded.

The folder is written once, in bfloat16 shards, and loaded like any other. Its tokenizer is SmolLM2's, with the smallest
vocabulary: every id it gives is in the others too (Gemma's 262,144 would enlarge them, and so the LM head that is
measured), but Korean takes more tokens than with the real one, so `mix` has longer rows. Of SmolLM2's folder only the
tokenizer is read: it may stand there without weights.

`python -m benchmarks.random_model NAME …` writes models ahead, on the GPU where there is one.
"""

import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.report.words import say as phrase
from finetune.memory.shapes import Shape, shape_of
from tooltune.embedded import SMOLLM2, embedded_model, models_dir
from tooltune.errors import InputError
from tooltune.pretrained import load_tokenizer
from tooltune.words import Say

POSITIONS = 32_768
TINY = {
    "tiny": Shape(256, 512, 4, 4, 2, 64, 49_152, True, "qwen2", qkv_bias=True),
    "tiny-untied": Shape(256, 512, 4, 4, 2, 64, 49_152, False, "qwen2", qkv_bias=True),
}
"""Nobody's shapes, for whatever is tried and not measured. Untied: the input embedding can be offloaded."""


def random_folder(name: str) -> Path:
    """Where the random model of that name is, or will be."""
    return models_dir() / f"random-{Path(name).name.lower()}"


def random_model(name: str, say: Say, device: str = "cpu") -> Path:
    """The folder of a model with the shape of `name` and random weights, the same ones every time on a device.

    Args:
        device: draws the weights. "cuda" takes seconds where a processor takes a minute, and leaves the card open in
            this process: not for one that then measures.

    Raises:
        InputError: the shape of `name` is not known.
    """
    from filelock import FileLock

    shape, origin = (TINY[name], "a tiny one") if name in TINY else shape_of(name)
    folder = random_folder(name)
    models_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(models_dir() / f".{folder.name}.lock"):  # commands that run side by side may want the same one
        if (folder / "config.json").is_file():
            return folder
        if shutil.disk_usage(models_dir()).free < 2.5 * shape.parameters:
            raise InputError(f"{2 * shape.parameters / 1e9:.1f} GB of disk are needed", where=str(models_dir()))
        say(phrase("told.weights", millions=shape.parameters / 1e6, name=name, origin=origin))
        tokenizer = load_tokenizer(embedded_model(SMOLLM2, say, weights=False))
        with tempfile.TemporaryDirectory(dir=models_dir(), prefix=".random-") as temporary:
            _write(replace(shape, vocab=max(shape.vocab, len(tokenizer))), tokenizer, Path(temporary) / "model", device)
            (Path(temporary) / "model").replace(folder)
    return folder


def _write(shape: Shape, tokenizer: Any, folder: Path, device: str) -> None:
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
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="1GB")
    tokenizer.save_pretrained(folder)


def main(names: list[str]) -> None:
    """Write the random models of these names, one after another."""
    import torch

    for name in names:
        print(random_model(name, print, "cuda" if torch.cuda.is_available() else "cpu"), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
