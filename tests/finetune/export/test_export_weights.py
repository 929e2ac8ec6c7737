"""Merged weights and GGUF files of a tiny model: peft merges alike, and what cannot be exported is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.load import add_adapter, load_model
from finetune.export.gguf_model import write_gguf, write_lora_gguf
from finetune.export.merged import write_merged
from finetune.export.weights import Adapter, Base, merged_tensors
from tooltune.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of the tiny model whose B is not zero, with its tokenizer and chat template."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("adapter")
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    torch.manual_seed(1)
    peft_model = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    with torch.no_grad():
        for name, parameter in peft_model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    peft_model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["10"] = vocabulary.pop("Ā")  # the byte 0 is in no text; llama.cpp wants a merge
    tokenizer["model"]["merges"] = [["1", "0"]]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    return folder


def test_merged_weights_are_pefts(tiny_model: Path, trained: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    write_merged(Base(tiny_model), Adapter(trained), tmp_path, "float16")
    ours = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).state_dict()
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    theirs = PeftModel.from_pretrained(base, trained).merge_and_unload().state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor.half().float()), name
    ends = json.loads((tmp_path / "generation_config.json").read_text(encoding="utf-8"))
    assert ends["do_sample"] is False and ends["eos_token_id"][0] == 2
    assert (tmp_path / "chat_template.jinja").read_text(encoding="utf-8") == "{{ messages[0].content }}"


def test_what_was_trained_in_four_bits_is_merged_into_what_they_stand_for(tiny_model: Path, trained: Path) -> None:
    """The export has the weights that the run was evaluated with, not those of the base model's file."""
    import torch

    asked = add_adapter(
        load_model(tiny_model, dtype="float32", load_in_4bit=True, device="cpu"), trained, device="cpu"
    ).state_dict()
    base = Base(tiny_model, four_bit=True)
    for _, name, tensor in merged_tensors(base, Adapter(trained)):
        assert torch.allclose(tensor.float(), asked[name], atol=1e-6), name
    differ = {
        name
        for _, name, tensor in merged_tensors(Base(tiny_model), Adapter(trained))
        if name in base.linear and not torch.allclose(tensor.float(), asked[name], atol=1e-3)
    }
    assert differ == base.linear


def test_a_base_in_four_bits_is_merged_as_it_is(tiny_model: Path, trained: Path, tmp_path: Path) -> None:
    """Some of its layers may be in 16 bits, as in Unsloth's dynamic 4 bits: the files say which."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    kept = ["lm_head", "model.layers.0.mlp", "model.layers.1.self_attn.q_proj"]
    nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", llm_int8_skip_modules=kept)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32, quantization_config=nf4)
    base, merged = Base(shutil.copytree(tiny_model, tmp_path / "base"), four_bit=True), tmp_path / "merged"
    (base.folder / "model.safetensors").unlink()
    model.save_pretrained(base.folder, max_shard_size="20KB")
    merged.mkdir()
    write_merged(base, Adapter(trained), merged, "float32")
    ours = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32).state_dict()
    asked = add_adapter(
        load_model(base.folder, dtype="float32", load_in_4bit=True, device="cpu"), trained, device="cpu"
    ).state_dict()
    assert len(base.files) > 1 and len(base.states) == 14 - 4 and ours.keys() == asked.keys()
    for name, tensor in asked.items():
        assert torch.allclose(ours[name], tensor, atol=1e-6), name
    write_gguf(base, Adapter(trained), tmp_path / "model.gguf", "f16", "tiny", lambda _: None)


def changed(folder: Path, target: Path, file: str, **values: Any) -> Path:
    shutil.copytree(folder, target)
    settings = json.loads((target / file).read_text(encoding="utf-8"))
    (target / file).write_text(json.dumps(settings | values), encoding="utf-8")
    return target


@pytest.mark.parametrize("setting", [{"use_dora": True}, {"bias": "all"}, {"rank_pattern": {"q_proj": 2}}], ids=str)
def test_other_adapters_are_refused(tiny_model: Path, trained: Path, tmp_path: Path, setting: dict[str, Any]) -> None:
    other = Adapter(changed(trained, tmp_path / "other", "adapter_config.json", **setting))
    with pytest.raises(InputError, match="only a plain LoRA adapter"):
        write_merged(Base(tiny_model), other, tmp_path)


def test_an_adapter_of_another_model_is_refused(tiny_model: Path, trained: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    weights = load_file(base / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    for others, said in ((weights | {name: weights[name][:-1].clone()}, "has the shape"), (weights, "does not have")):
        if said == "does not have":
            del others[name]
        save_file(others, base / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(InputError, match=said):
            write_merged(Base(base), Adapter(trained), tmp_path)


def test_quantised_weights_are_no_base(tiny_model: Path, trained: Path, tmp_path: Path) -> None:
    base = changed(tiny_model, tmp_path / "base", "config.json", quantization_config={"quant_method": "gptq"})
    with pytest.raises(InputError, match=r"quantised \(gptq\)"):
        write_merged(Base(base), Adapter(trained), tmp_path)


@pytest.mark.parametrize(
    ("setting", "said"),
    [({"model_type": "mamba"}, "'mamba'"), ({"rope_parameters": {"rope_type": "yarn"}}, "yarn")],
    ids=["family", "rope"],
)
def test_what_llama_cpp_would_not_read_is_refused(
    tiny_model: Path, trained: Path, tmp_path: Path, setting: dict[str, Any], said: str
) -> None:
    base = Base(changed(tiny_model, tmp_path / "base", "config.json", **setting))
    with pytest.raises(InputError, match=said):
        write_gguf(base, Adapter(trained), tmp_path / "model.gguf", "f16", "tiny", lambda _: None)


@pytest.fixture
def complete(tiny_model: Path, trained: Path) -> Callable[[list[int]], list[int]]:
    """The merged model's greedy continuation, as transformers writes it in float32."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, trained).merge_and_unload()

    def continued(ids: list[int]) -> list[int]:
        out = model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False, eos_token_id=None)
        return [int(i) for i in out[0, len(ids) :]]

    return continued


def test_every_row_of_the_embedding_has_a_token(tiny_model: Path, trained: Path, tmp_path: Path) -> None:
    """Models of the Qwen family have more rows than their tokenizer has tokens; llama.cpp counts the tokens."""
    from gguf import GGUFReader, TokenType
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.resize_token_embeddings(264)
    model.save_pretrained(tmp_path / "padded")
    write_gguf(Base(tmp_path / "padded"), Adapter(trained), tmp_path / "model.gguf", "f16", "tiny", lambda _: None)
    found = GGUFReader(tmp_path / "model.gguf")
    assert len(found.fields["tokenizer.ggml.tokens"].contents()) == 264
    assert found.fields["tokenizer.ggml.token_type"].contents()[260:] == [TokenType.UNUSED] * 4
    assert next(t for t in found.tensors if t.name == "token_embd.weight").shape[1] == 264
    base = Base(changed(tiny_model, tmp_path / "small", "config.json", vocab_size=259))
    with pytest.raises(InputError, match="it has 260 tokens, the model 259"):
        write_gguf(base, Adapter(trained), tmp_path / "model.gguf", "f16", "tiny", lambda _: None)


@pytest.mark.parametrize("kind", ["bf16", "q8_0"])
def test_a_gguf_needs_no_temporary_file(
    tiny_model: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A large model would not fit into a small folder of temporary files."""
    from gguf import GGUFReader, dequantize

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no such folder"))
    base, adapter = Base(tiny_model), Adapter(trained)
    write_gguf(base, adapter, tmp_path / "model.gguf", kind, "tiny", lambda _: None)
    found = {t.name: dequantize(t.data, t.tensor_type) for t in GGUFReader(tmp_path / "model.gguf").tensors}
    merged = {name: tensor.float().numpy() for _, name, tensor in merged_tensors(base, adapter)}
    assert len(found) == len(merged)
    for ours, theirs in (("token_embd", "embed_tokens"), ("blk.1.ffn_up", "layers.1.mlp.up_proj")):
        values = merged[f"model.{theirs}.weight"]
        assert np.abs(found[f"{ours}.weight"] - values).max() < 0.01 * np.abs(values).max()


@pytest.mark.parametrize("lora", [False, True], ids=["merged", "lora"])
def test_llama_cpp_answers_as_transformers_does(
    tiny_model: Path, trained: Path, complete: Callable[[list[int]], list[int]], tmp_path: Path, lora: bool
) -> None:
    pytest.importorskip("xllamacpp", reason="needs the extra `llama`")
    from transformers import AutoTokenizer

    from finetune.export.llama_cpp import post, serving

    base, adapter = Base(tiny_model), Adapter(trained)
    write_lora_gguf(base, adapter, tmp_path / "lora.gguf", "tiny")
    untrained = Adapter(without_product(trained, tmp_path / "zero")) if lora else adapter
    write_gguf(base, untrained, tmp_path / "model.gguf", "f16", "tiny", lambda _: None)
    tokenizer = AutoTokenizer.from_pretrained(trained)
    text = "<|im_start|>user\n절점 8번에 10kN<|im_end|>\n"
    with serving(tmp_path / "model.gguf", lora=tmp_path / "lora.gguf" if lora else None, context=512) as url:
        ids = post(url, "/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]
        assert ids == tokenizer(text)["input_ids"]
        body = {"prompt": ids, "n_predict": 24, "temperature": 0, "ignore_eos": True, "return_tokens": True}
        found = post(url, "/completion", body)["tokens"]
    wanted = complete(ids)
    alike = next((i for i, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b), len(wanted))
    assert alike >= 12, (found, wanted)  # float16 weights may settle a near tie otherwise later on


def without_product(trained: Path, target: Path) -> Path:
    """The adapter with B set to zero: merged, it leaves the base model as it is."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(trained, target)
    tensors = load_file(trained / "adapter_model.safetensors")
    zeroed = {name: tensor * 0 if "lora_B" in name else tensor for name, tensor in tensors.items()}
    save_file(zeroed, target / "adapter_model.safetensors", metadata={"format": "pt"})
    return target
