"""A run of the tiny model as a training leaves it, without the training: for the tests of what loads its adapter."""

import json
from pathlib import Path

from data.template import project_template
from tests.tiny import TINY
from tooltune.config import load_config
from tooltune.files import write_json
from tooltune.pretrained import load_tokenizer

MANIFEST = {
    "device": {"kind": "cpu"},
    "precision": "float32",
    "template": {"family": "hermes", "origin": "project"},
    "best": {"sha256": "0"},
}


def make_run(run: Path, tiny_model: Path) -> Path:
    """Write config, manifest and `best/`, whose adapter changes one matrix; llama.cpp can read the tokenizer."""
    import torch
    from safetensors.torch import save_file

    best = run / "best"
    best.mkdir(parents=True)
    load_config("cpu", [*TINY, f"model.name={tiny_model}", "model.backend=hf"]).save(run / "config.yaml")
    write_json(run / "manifest.json", MANIFEST)
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.chat_template = project_template(tokenizer, "signature").source
    tokenizer.save_pretrained(best)
    give_a_merge(best)
    write_json(best / "adapter_config.json", {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none"})
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    torch.manual_seed(1)
    matrices = {f"{name}.lora_A.weight": torch.randn(4, 64), f"{name}.lora_B.weight": torch.randn(64, 4)}
    save_file(matrices, best / "adapter_model.safetensors")
    return run


def give_a_merge(folder: Path) -> None:
    """llama.cpp wants a tokenizer to have merges; the tiny one gets one of two bytes that are in no text."""
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["āĂ"] = vocabulary.pop("Ā")
    tokenizer["model"]["merges"] = [["ā", "Ă"]]
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
