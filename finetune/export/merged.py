"""A merged model as plain transformers loads it: shard by shard, so that memory holds one file of weights."""

import json
import shutil
from itertools import groupby
from pathlib import Path

from finetune.export.weights import INDEX, Adapter, Base, merged_tensors
from tooltune.console import Tick
from tooltune.files import write_json
from tooltune.licence import copy_licence

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
TEMPLATE = "chat_template.jinja"


def write_merged(
    base: Base, adapter: Adapter, folder: Path, dtype: str = "bfloat16", tick: Tick = lambda more: None
) -> None:
    """Write weights, config, tokenizer, chat template and licence into an empty folder.

    Args:
        dtype: bfloat16 or float16, of all weights.
        tick: told of each tensor.
    """
    import torch
    from safetensors.torch import save_file

    kind = getattr(torch, dtype)
    for file, tensors in groupby(merged_tensors(base, adapter), key=lambda found: found[0]):
        shard = {}
        for _, name, tensor in tensors:
            shard[name] = tensor.to(kind).contiguous()
            tick(1)
        save_file(shard, folder / file, metadata={"format": "pt"})
        (folder / file).chmod(0o644)  # safetensors lets only the owner read it, and a server may be someone else
    if (base.folder / INDEX).is_file():
        places = {name: file for file, names in base.files.items() for name in names}
        write_json(folder / INDEX, {"metadata": {}, "weight_map": places})
    config = json.loads((base.folder / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((adapter.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    for key in ("torch_dtype", "quantization_config"):
        config.pop(key, None)
    write_json(folder / "config.json", config | {"dtype": dtype})
    write_json(folder / "generation_config.json", _generation(config, adapter.folder, tokenizer))
    for name in (*TOKENIZER, TEMPLATE, "vocab.json", "merges.txt"):
        if (adapter.folder / name).is_file():
            shutil.copyfile(adapter.folder / name, folder / name)
    copy_licence(base.folder, folder)
    copy_licence(adapter.folder, folder)


def _generation(config: dict[str, object], adapter: Path, tokenizer: dict[str, object]) -> dict[str, object]:
    """How a server generates by default: greedily, since calls repeat the prompt, until the trained end token."""
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_file(str(adapter / "tokenizer.json"))
    end = vocabulary.token_to_id(str(tokenizer["eos_token"]))
    known = config.get("eos_token_id")
    ends = [end, *(i for i in (known if isinstance(known, list) else [known]) if isinstance(i, int) and i != end)]
    kept = {key: config[key] for key in ("bos_token_id",) if config.get(key) is not None}
    pad = vocabulary.token_to_id(str(tokenizer["pad_token"])) if tokenizer.get("pad_token") else None
    return {**kept, "eos_token_id": ends, "pad_token_id": pad, "do_sample": False}
