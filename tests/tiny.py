"""A random model that trains in seconds: two layers, and a byte-level tokenizer of 260 tokens."""

import os
from pathlib import Path
from typing import Any

from tests import forked
from tooltune.files import read_jsonl

FIXTURES = Path(__file__).parent / "fixtures"
ROOT = Path(__file__).parent.parent


def make_tokenizer(folder: Path) -> Any:
    """256 bytes and four special tokens; no merges, so one token is one byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<pad>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(special + alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<pad>", unk_token="<|endoftext|>"
    )
    fast.save_pretrained(folder)
    return fast


def make_model(folder: Path) -> Path:
    """Write the model; the same weights every time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.15,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).to(torch.float32).save_pretrained(folder)
    return folder


def random_model(family: str, layers: int, *, attention: str = "sdpa", **settings: Any) -> Any:
    """A random model of a family in float32: 100 tokens, two heads to a key; the same weights every time.

    Args:
        settings: of its config, besides these or in their place.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    usual: dict[str, Any] = {
        "vocab_size": 100,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "initializer_range": 0.3,
        "eos_token_id": None,
    }
    config = AutoConfig.for_model(family, **usual | settings)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=attention)


TINY = [
    "model.fast_matmul=false",
    "model.attention=sdpa",
    "lora.r=4",
    "lora.alpha=8",
    f"data.train={FIXTURES / 'train.jsonl'}",
    f"data.validation={FIXTURES / 'validation.jsonl'}",
    "data.test=null",
    "data.max_tools=null",
    "data.descriptions=false",
    "data.max_length=2048",
    "train.compile=false",
    "train.share_prefix=off",
    "train.micro_batch=4",
    "train.accumulation=1",
    "train.learning_rate=0.02",
    "train.logging_steps=1",
    "eval.micro_batch=4",
    "eval.generate=0",
]


def finetune(
    cwd: Path, *arguments: str, expect: int | None = 0, env: dict[str, str] | None = None, fresh: bool = False
) -> str:
    """Run `python -m finetune …` in its own process (unsloth must come first) and return what it printed."""
    unsloth = "model.backend=hf" not in arguments
    words = ["-m", "finetune", *arguments]
    done = forked.run(words, cwd=cwd, env=environment(cwd) | (env or {}), unsloth=unsloth, fresh=fresh)
    output = done.stdout + done.stderr
    log = "".join(p.read_text(encoding="utf-8")[-2000:] for p in sorted((cwd / "runs").glob("[!l]*/log.txt")))
    assert expect is None or done.returncode == expect, f"exit {done.returncode}\n{output}\n--- log\n{log}"
    return output


def environment(cwd: Path) -> dict[str, str]:
    """The environment of a command that works in `cwd` and reaches no network."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "TOOLTUNE_RUNS": str(cwd / "runs"), "HF_HUB_OFFLINE": "1"}


def losses(run: Path) -> dict[int, float]:
    """Training loss by step."""
    return {row["step"]: row["loss"] for _, row in read_jsonl(run / "metrics.jsonl") if "loss" in row}
