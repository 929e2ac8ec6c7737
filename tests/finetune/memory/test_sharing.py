"""Packed rows in the plan: whether they are, what a pass holds, and what the user's rows share."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from finetune import attention, manifest
from finetune.attention import PACKED_FAMILIES, attend
from finetune.cli import app
from finetune.device import Device
from finetune.length import Length
from finetune.memory import activations, inference, terms
from finetune.memory.advice import advise
from finetune.memory.calibration import planned_memory
from finetune.memory.overheads import GIB
from finetune.memory.plan import make_plan
from finetune.memory.setup import Engine, Setup, for_rows, planned_card, setup_from
from finetune.memory.shapes import KNOWN, shape_of
from finetune.memory.sharing import find_tokenizer, why_padded
from finetune.packing import shares_prefixes
from finetune.shared_prefix import Layout, PrefixGroup
from tests.finetune.memory.flash_attention import Attention
from tests.finetune.memory.live_bytes import LiveBytes
from tests.tiny import FIXTURES, make_tokenizer
from tooltune.config import load_config
from tooltune.errors import InputError

QWEN = KNOWN["Qwen2.5-1.5B"]
LLAMA = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
LLAMA |= {"num_attention_heads": 4, "vocab_size": 260}


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOOLTUNE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr("finetune.memory.installed_card.find_card", lambda: None)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a tokenizer and a shape, and no weights."""
    make_tokenizer(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8")
    return tmp_path / "model"


def plan(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["plan", *arguments])


def test_why_rows_are_padded_is_the_trainers_own_rule() -> None:
    base, cpu = load_config("6gb"), Device("cpu", "", (0, 0), 0, bf16=True)
    families, dtypes = [*PACKED_FAMILIES, "qwen3_5_text"], ["float16", "bfloat16", "float32"]
    cases = itertools.product(["auto", "off"], ["hf", "unsloth"], [cpu, planned_card(turing=False)], dtypes, families)
    for share, backend, device, dtype, family in cases:
        config = base.changed({"train.share_prefix": share, "model.backend": backend})
        said = why_padded(config, device, dtype, family)
        assert bool(said) is not shares_prefixes(config, device, dtype, family), said


@pytest.mark.parametrize(
    ("preset", "overrides", "engine", "turing", "packed"),
    [
        ("6gb", [], "unsloth", False, True),
        ("6gb", [], "trl", False, True),
        ("6gb", [], "full", False, False),
        ("6gb", [], "unsloth", True, False),
        ("6gb", ["model.dtype=float16"], "unsloth", False, False),
        ("6gb", ["train.share_prefix=off"], "unsloth", False, False),
        ("3gb-gemma3", [], "unsloth", False, False),
        ("3gb-gemma3", [], "trl", False, True),
        ("3gb-gemma3", [], "trl", True, True),
        ("6gb-qwen35", ["train.share_prefix=auto"], "trl", False, False),
    ],
)
def test_rows_are_planned_packed_where_they_are(
    preset: str, overrides: list[str], engine: Engine, turing: bool, packed: bool
) -> None:
    config = load_config(preset, overrides)
    s = setup_from(config, shape_of(config.model.name)[0], engine, turing=turing)
    assert s.packed is packed and s.own_head is packed
    weights = load_config(preset, [*overrides, "loss.role_weights.name=4"])
    assert setup_from(weights, s.shape, engine, turing=turing).own_head


def test_a_pass_is_bounded_and_holds_the_longest_row() -> None:
    s = Setup(QWEN, micro_batch=4, length=1024, pass_tokens=3000)
    assert s.tokens == 3000
    assert replace(s, micro_batch=2).tokens == 2048
    assert replace(s, micro_batch=1, pass_tokens=500).tokens == 1024
    assert replace(s, pass_tokens=0).tokens == 4096
    known = for_rows(replace(s, pass_tokens=2048), longest=300, labelled=0.25)
    assert known.tokens == 2048, "short rows fill a pass all the same"
    assert known.labels == 512 and known.mode == "unsloth", "Unsloth goes by the limit, not by the rows"
    assert inference.evaluation(known) == inference.evaluation(replace(known, eval_batch=64))


def test_gradients_of_earlier_passes_wait() -> None:
    one = Setup(QWEN, micro_batch=2, length=512, accumulation=1, pass_tokens=1024, own_head=True)
    two = replace(one, pass_tokens=1000)
    assert not one.several and two.several
    slightly_less = make_plan(two).phases["forward and loss"]
    assert slightly_less > make_plan(one).phases["forward and loss"] + terms.gradients(one) / 2


GROUPS = [
    [PrefixGroup(2048)],
    [PrefixGroup(1448, (75,) * 8)],
    [PrefixGroup(1024, (128,) * 8)],
    [PrefixGroup(400, (100,) * 6)] * 2,
    [PrefixGroup(1536, (60, 61, 62, 63, 65, 66, 67, 68))],  # those of unlike length are padded, which takes more
]


@pytest.mark.parametrize(("heads", "key_heads", "size"), [(12, 2, 128), (32, 8, 64), (32, 32, 64)])
def test_packed_attention_is_planned_as_it_allocates(
    heads: int, key_heads: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps of eight rows: no layout takes more than is planned, and one takes nearly as much."""
    shape = replace(QWEN, heads=heads, kv_heads=key_heads, head_dim=size)
    planned = activations.packed_attention(Setup(shape, length=2048, pass_tokens=2048))
    counts = [counted(groups, heads, key_heads, size, monkeypatch.setattr) for groups in GROUPS]
    for of_all, most in zip(zip(*counts, strict=True), planned, strict=True):
        assert 0.75 * most < max(of_all) < 1.02 * most


def counted(
    groups: list[PrefixGroup], heads: int, key_heads: int, size: int, patch: Callable[..., None]
) -> tuple[float, float]:
    """Widths that attention keeps for the backward pass, and the most in it: bytes / (2·N)."""
    patch(torch.nn.functional, "scaled_dot_product_attention", lambda q, k, v, **_: Attention.apply(q, k, v))
    patch(torch, "is_autocast_enabled", lambda *_: False)
    patch(attention, "_runs_on_gpu", lambda _: True)
    tokens = sum(group.tokens for group in groups)
    wide = [
        torch.empty(1, tokens, n, size, dtype=torch.bfloat16, device="meta", requires_grad=True)
        for n in (heads, key_heads, key_heads)
    ]
    counter = LiveBytes()
    with counter:
        states = [x.clone().transpose(1, 2) for x in wide]
        out = attend(None, *states, None, scaling=1.0, layout=Layout(groups))[0].reshape(1, tokens, -1)
        del states
        kept = counter.live
        out.backward(torch.empty_like(out))
    return kept / (2 * tokens), counter.peak / (2 * tokens)


def test_a_shorter_pass_is_advised_where_rows_are_packed() -> None:
    s = Setup(QWEN, micro_batch=4, length=1024, pass_tokens=4096, own_head=True, new_tokens=0)
    how = {advice.how for advice in advise(make_plan(s), 6 * GIB)}
    assert "train.pass_tokens=2048" in how
    assert not any("pass_tokens" in a.how for a in advise(make_plan(replace(s, pass_tokens=0)), 6 * GIB))


def test_a_manifests_plan_is_of_the_computed_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(manifest, "planned_memory", lambda config, **named: given.update(named))
    rows = SimpleNamespace(examples=[], dropped=[])
    template = SimpleNamespace(origin="project", family="hermes")
    prepared: Any = SimpleNamespace(folder=Path("model"), template=template, train=rows, validation=rows)
    length = Length(1, 1, 0, tokens=4000, supervised=250, longest=900, computed=1000)
    made = manifest.make_manifest(load_config("6gb"), planned_card(turing=False), "bfloat16", prepared, length)
    assert (given["labelled"], given["longest"]) == (0.25, 900) and made["tokens"]["computed"] == 1000


def test_a_manifests_plan_counts_a_whole_pass() -> None:
    config = load_config("6gb", ["eval.generate=0"])
    short, long = (planned_memory(config, longest=n, labelled=0.2, turing=False) for n in (600, 2000))
    padded = planned_memory(config.changed({"train.share_prefix": "off"}), longest=600, labelled=0.2, turing=False)
    assert short and long and padded and short["tensors_gib"] == pytest.approx(long["tensors_gib"], rel=0.001)
    assert padded["tensors_gib"] < short["tensors_gib"]


def test_the_plan_says_what_the_users_rows_share(model: Path) -> None:
    words = ("6gb", f"data.train={FIXTURES / 'train.jsonl'}", "data.validation=null", "data.test=null")
    words += (f"model.name={model}", "data.max_length=4096", "train.pass_tokens=4096")
    done = plan(*words, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    rows, shared = found["rows"], found["rows"]["shared"]
    assert found["padded"] == "" and rows["own"] and 0 < rows["labelled"] < 1
    assert shared["rows"] and shared["step"] == 8 and shared["computed"] < shared["total"]
    assert rows["gate"] < found["plan"]["gate"] and rows["verdict"] == "fits"
    text = plan(*words).output
    assert rows["sentence"] in text and f"{shared['computed']:,} computed; effective batch 8" in text
    assert "at most 4,096 tokens in a pass" in text
    off = plan(*words, "train.share_prefix=off").output
    assert (
        "Rows are padded, each computed whole: train.share_prefix=off" in off and "computed if they were packed" in off
    )


def test_rows_are_read_only_where_a_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any, **__: Any) -> None:
        raise AssertionError("a plan of a preset reads no rows")

    monkeypatch.setattr("finetune.memory.sharing.look_at_rows", read)
    assert "What your rows share: add data.train=FILE" in plan("6gb").output
    assert json.loads(plan("6gb", "--json").output)["rows"] is None


def test_another_models_tokenizer_is_said(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("finetune.memory.sharing.converted", lambda _: model)
    assert find_tokenizer("Qwen/Qwen2.5-1.5B-Instruct") == (model, False)
    assert find_tokenizer(str(model)) == (model, True)
    words = (f"data.train={FIXTURES / 'train.jsonl'}", "data.validation=null", "data.test=null")
    assert "the model's tokenizer is not on this machine" in plan("6gb", *words).output
    monkeypatch.setattr("finetune.memory.sharing.converted", lambda _: None)
    assert "no tokenizer is on this machine" in plan("6gb", *words).output


@pytest.mark.parametrize(
    "words", [["6gb"], ["--fit"], ["--budget", "6"], ["--table"], ["--labelled", "0.5"], ["train.epochs=2"]]
)
@pytest.mark.parametrize("option", ["--all", "--docs"])
def test_all_presets_are_planned_as_they_are(option: str, words: list[str]) -> None:
    done = plan(option, *words)
    assert done.exit_code == 2 and option in done.output and words[0] in done.output


def test_the_generation_that_is_assumed_is_said() -> None:
    assumed = "Below is {} on an RTX 30 or newer (bfloat16)"
    for said, words in {"6gb": [], "8gb": ["8gb"]}.items():
        assert assumed.format(said) in plan(*words).output
    older = plan("6gb", "--turing").output
    assert "RTX 30 or newer" not in older and "cannot be scaled alike in float16" in older


def test_a_loaded_model_without_a_gated_mlp_is_one_clear_error() -> None:
    from transformers import GPT2Config

    from eval.memory import decoder_of

    with pytest.raises(InputError, match=r"config of this gpt2 model has no usable .*intermediate_size") as error:
        decoder_of(SimpleNamespace(config=GPT2Config()))
    assert "--batch" in error.value.fix
