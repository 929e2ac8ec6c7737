"""From a GGUF to a plain Hugging Face folder: bfloat16 weights, and a tokenizer with the ids that llama.cpp gives."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tooltune.embedded.words import phrase
from tooltune.errors import JobFailed
from tooltune.words import Say

Convert = Callable[[Path, Path, Say], None]
"""From a GGUF to a Hugging Face folder that does not exist yet, told before each step that takes seconds."""

SAID = "say: "
"""What a line of the converting process begins with that names what it says; the others are the libraries'."""


def apart(name: str, gguf: Path, folder: Path, say: Say) -> None:
    """Convert in a process of its own: it imports transformers, which in a run must come after unsloth, and takes 3.5
    GiB, which a run does not need again.

    Raises:
        JobFailed: it failed, with the last line that it wrote.
    """
    command = [sys.executable, "-m", "tooltune.embedded.convert", name, str(gguf.resolve()), str(folder.resolve())]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        command,
        cwd=root,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:replace"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            last = line.strip() or last
            if last.startswith(SAID):
                say(phrase(f"convert.{last.removeprefix(SAID)}"))
    if process.returncode:
        raise JobFailed(
            f"the model could not be converted: {last[-200:]}", "run it again; if it fails again, report it"
        )


def gemma3(gguf: Path, folder: Path, say: Say) -> None:
    """Write Gemma 3, a pretrained base: no chat template; an answer ends with its own `<end_of_turn>`.

    `config.json` is what Google publishes for the model: layer types (one in six attends to everything), the window and
    both rotary bases follow from `Gemma3TextConfig`; a text may also end with `<eos>`, the end of a document.
    """
    say("tokenizer")
    tokenizer = gemma_tokenizer(gguf)
    say("weights")
    model = _weights(gguf)
    ends = tokenizer.convert_tokens_to_ids(["<eos>", "<end_of_turn>"])
    model.config.rms_norm_eps = 1e-6  # the file has the nearest float32
    del model.config.unk_token_id  # of a tokenizer, not of a model
    _save(model, tokenizer, folder, "gemma-3-270m", end=ends)


def smollm2(gguf: Path, folder: Path, say: Say) -> None:
    """Write SmolLM2-Instruct with its tokenizer corrected.

    The GGUF's metadata names the wrong end token and no padding token; the folder gets `<|im_end|>` and
    `<|endoftext|>`, which must differ: a padded end token that is masked is never learnt.
    """
    from transformers import AutoTokenizer

    say("whole")
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.eos_token, tokenizer.pad_token, tokenizer.bos_token = "<|im_end|>", "<|endoftext|>", None
    tokenizer.model_max_length, tokenizer.clean_up_tokenization_spaces = 8192, False
    _save(_weights(gguf), tokenizer, folder, "SmolLM2-135M-Instruct", end=tokenizer.eos_token_id)


def gemma_tokenizer(gguf: Path) -> Any:
    """Gemma's tokenizer as a BPE, which it is; transformers 5.17 makes a Unigram of a GGUF's, with other ids.

    The file has no merges, but they follow from the vocabulary: every split of a normal token into two normal tokens,
    in the order of the merged token's id, which is the order of the scores (`generate_merges` of transformers).
    Called with special tokens, it writes `<bos>` first, as Gemma's own does.
    """
    from gguf import GGUFReader, TokenType
    from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast
    from transformers.tokenization_utils_base import generate_merges

    fields = GGUFReader(gguf).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    vocab = {token: i for i, token in enumerate(tokens)}
    merges = generate_merges({token: i for token, i in vocab.items() if types[i] == TokenType.NORMAL})
    inner = Tokenizer(BPE(vocab=vocab, merges=merges, fuse_unk=True, unk_token="<unk>", byte_fallback=True))
    inner.normalizer = normalizers.Replace(" ", "▁")
    inner.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    inner.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    for kind in (TokenType.CONTROL, TokenType.USER_DEFINED):
        found = [t for t, y in zip(tokens, types, strict=True) if y == kind]
        inner.add_tokens([AddedToken(t, normalized=False, special=kind == TokenType.CONTROL) for t in found])
    inner.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", vocab["<bos>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<bos>",
        eos_token="<end_of_turn>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=32_768,
        clean_up_tokenization_spaces=False,
    )


def _weights(gguf: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)


def _save(model: Any, tokenizer: Any, folder: Path, name: str, *, end: int | list[int]) -> None:
    # The weights are plain tensors by now; save_pretrained refuses as long as the model calls itself quantised.
    model.hf_quantizer = None
    del model.config.quantization_config
    for config in (model.config, model.generation_config):
        config.eos_token_id, config.pad_token_id = end, tokenizer.pad_token_id
        config.bos_token_id = tokenizer.bos_token_id
    model.config._name_or_path = name
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    {"gemma3": gemma3, "smollm2": smollm2}[sys.argv[1]](
        Path(sys.argv[2]), Path(sys.argv[3]), lambda line: print(SAID + line, flush=True)
    )
