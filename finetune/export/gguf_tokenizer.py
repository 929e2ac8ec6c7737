"""A tokenizer as a GGUF carries it, with the chat template that was trained."""

import json
from pathlib import Path
from typing import Any

from gguf import TokenType

from finetune.export.merged import TEMPLATE
from tooltune.errors import InputError

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PRE_TOKENIZERS = {rf"{_WORDS}|\p{{N}}|{_REST}": "qwen2", rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}": "llama-bpe"}
"""How a byte-level tokenizer cuts a text into words, by its regular expression: llama.cpp's name for it."""


def add_tokenizer(writer: Any, folder: Path, rows: int) -> None:
    """Write vocabulary, special tokens and chat template of an adapter's folder.

    Args:
        rows: of the model's embedding; a model often has more than its tokenizer has tokens (Qwen), and llama.cpp wants
            a name for each.

    Raises:
        InputError: the tokenizer is of a kind that is not known here, or has more tokens than the model.
    """
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    model = data["model"]
    if model["type"] != "BPE":
        raise _unknown(folder, f"its model is {model['type']}")
    added = {token["id"]: token for token in data["added_tokens"]}
    vocabulary = {i: token for token, i in model["vocab"].items()} | {i: t["content"] for i, t in added.items()}
    if max(vocabulary) >= rows:
        raise _unknown(folder, f"it has {max(vocabulary) + 1} tokens, the model {rows}")
    tokens = [vocabulary.get(i, f"[UNUSED{i}]") for i in range(rows)]
    pieces = bool(model.get("byte_fallback"))
    types = [_type(i, vocabulary, added, model.get("unk_token"), pieces) for i in range(rows)]
    if pieces:
        # As SentencePiece has them: of two neighbours those merge first whose whole has the higher score. Merges are in
        # the order of the ids of the wholes.
        writer.add_tokenizer_model("llama")
        writer.add_add_space_prefix(False)
        writer.add_token_scores([-float(i) if kind == TokenType.NORMAL else 0.0 for i, kind in enumerate(types)])
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_pre_tokenizer(data["pre_tokenizer"], folder))
        writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    ids = {token: i for i, token in vocabulary.items()}
    for role, add in (
        ("bos_token", writer.add_bos_token_id),
        ("eos_token", writer.add_eos_token_id),
        ("pad_token", writer.add_pad_token_id),
        ("unk_token", writer.add_unk_token_id),
    ):
        if (token := settings.get(role)) is not None:
            add(ids[token if isinstance(token, str) else token["content"]])
    writer.add_add_bos_token(_begins_with_bos(data))
    writer.add_chat_template((folder / TEMPLATE).read_text(encoding="utf-8"))


def _type(i: int, vocabulary: dict[int, str], added: dict[int, Any], unknown: str | None, pieces: bool) -> int:
    if i not in vocabulary:
        return TokenType.UNUSED
    token = vocabulary[i]
    if pieces and token == unknown:
        return TokenType.UNKNOWN
    if i in added:
        return TokenType.CONTROL if added[i]["special"] else TokenType.USER_DEFINED
    if pieces and len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return TokenType.BYTE
    return TokenType.NORMAL


def _pre_tokenizer(settings: dict[str, Any], folder: Path) -> str:
    """llama.cpp's name for how a byte-level tokenizer cuts a text into words."""
    steps = settings.get("pretokenizers", [settings])
    patterns = [step["pattern"].get("Regex") for step in steps if step["type"] == "Split"]
    if patterns and patterns[0] in PRE_TOKENIZERS:
        return PRE_TOKENIZERS[patterns[0]]
    if any(step["type"] == "Digits" and step["individual_digits"] for step in steps):
        return "smollm"
    if not patterns and any(step["type"] == "ByteLevel" and step["use_regex"] for step in steps):
        return "gpt-2"
    raise _unknown(folder, "llama.cpp has no name for how it cuts words that is known here")


def _begins_with_bos(data: dict[str, Any]) -> bool:
    """Whether the tokenizer writes its begin token itself."""
    after = data.get("post_processor") or {}
    steps = after.get("processors", [after])
    return any("SpecialToken" in part for step in steps for part in (step.get("single") or [])[:1])


def _unknown(folder: Path, why: str) -> InputError:
    return InputError(
        f"no GGUF is written for this tokenizer: {why}",
        where=str(folder / "tokenizer.json"),
        fix="export --to merged and use llama.cpp's own convert_hf_to_gguf.py on it",
    )
