"""Qwen3, Gemma 3 and Qwen3.5 with their own tokenizers, rebuilt small: turns, begin token, and the token that stops."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from data.render import IGNORED, render_prompt
from eval.generate import generate
from finetune.models import adapted_modules, logit_changes
from finetune.rows import Prepared, prepare, read_rows
from tests.tiny import FIXTURES, random_model
from tooltune.config import load_config
from tooltune.errors import InputError
from tooltune.pretrained import load_tokenizer

CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
MARKS = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]  # not special


@dataclass(frozen=True)
class Family:
    """A model's tokenizer and turns. `own_template`: the hub's chat template, a file that TRL brings."""

    tokenizer: str
    own_template: str
    model_type: str
    start: str
    end: str
    assistant: str
    begins: int  # begin tokens in a row
    sizes: dict[str, Any]  # of a tiny model, besides the usual


HYBRID = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "full_attention"],
}
FAMILIES = {
    "qwen3": Family("Qwen2Tokenizer", "qwen3", "qwen3", "<|im_start|>", "<|im_end|>", "assistant", 0, {}),
    "gemma3": Family(
        "GemmaTokenizer",
        "gemma3",
        "gemma3_text",
        "<start_of_turn>",
        "<end_of_turn>",
        "model",
        1,
        {"sliding_window": 32},
    ),
    "qwen3.5": Family(
        "Qwen3_5Tokenizer", "qwen3_5_nothink", "qwen3_5_text", "<|im_start|>", "<|im_end|>", "assistant", 0, HYBRID
    ),
}


def write_tokenizer(family: Family, folder: Path) -> None:
    """The family's tokenizer as the hub has it, with the bytes as its whole vocabulary: special tokens, end and padding
    tokens, chat template."""
    import transformers
    import trl
    from tokenizers import AddedToken, pre_tokenizers

    if family.tokenizer == "GemmaTokenizer":
        first = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
        words = [*first, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *map(chr, range(33, 127))]
        special, marks = ["<start_of_turn>", "<end_of_turn>"], []
        ends: dict[str, Any] = {"add_bos_token": True}
    else:
        words = sorted(pre_tokenizers.ByteLevel.alphabet())
        special, marks = CHATML, MARKS
        ends = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    words += [*special, *marks]
    make = getattr(transformers, family.tokenizer)
    tokenizer = make(vocab={word: i for i, word in enumerate(words)}, merges=[], **ends)
    tokenizer.add_tokens([AddedToken(word, special=True, normalized=False) for word in special], special_tokens=True)
    tokenizer.add_tokens([AddedToken(word, special=False, normalized=False) for word in marks])
    template = Path(trl.__file__).parent / "chat_templates" / f"{family.own_template}.jinja"
    tokenizer.chat_template = template.read_text(encoding="utf-8")
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": family.model_type}), encoding="utf-8")


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Family, Path]:
    found, folder = FAMILIES[request.param], tmp_path_factory.mktemp(request.param)
    write_tokenizer(found, folder)
    return found, folder


def prepared(folder: Path, style: str = "signature") -> Prepared:
    """What `make train ARGS="6gb model.name=…"` makes of the model and the rows."""
    data = [f"data.{split}={FIXTURES / split}.jsonl" for split in ("train", "validation")]
    overrides = [f"model.name={folder}", f"data.tools_style={style}", "data.test=null", "data.max_length=4096", *data]
    config = load_config("6gb", overrides)
    return prepare(config, read_rows(config), lambda line: None)


@pytest.mark.parametrize("style", ["signature", "json"])
def test_each_answer_ends_with_the_familys_own_end_token(family: tuple[Family, Path], style: str) -> None:
    own, folder = family
    run = prepared(folder, style)
    tokenizer, end = run.tokenizer, run.tokenizer.convert_tokens_to_ids(own.end)
    assert (run.template.origin, run.template.family) == ("project", "hermes")
    assert tokenizer.eos_token_id == end != tokenizer.pad_token_id
    for example in run.train.examples:
        answers = [i for i, label in enumerate(example.labels) if label != IGNORED]
        last = [i for i in answers if i + 1 == len(example.labels) or example.labels[i + 1] == IGNORED]
        assert last and all(example.labels[i] == end for i in last), "the end token is learnt, and nothing after it"
        assert sum(label == end for label in example.labels) == len(last)
        assert list(example.input_ids).count(tokenizer.bos_token_id) == own.begins
        assert example.input_ids[0] == tokenizer.convert_tokens_to_ids("<bos>" if own.begins else own.start)
        assert "<think>" not in tokenizer.decode(example.input_ids)


def test_a_prompt_opens_the_familys_own_turn(family: tuple[Family, Path]) -> None:
    own, folder = family
    run = prepared(folder)
    prompt = render_prompt(run.scored[0], run.tokenizer, run.template)
    assert run.tokenizer.decode(prompt).endswith(f"{own.end}\n{own.start}{own.assistant}\n")
    assert prompt.count(run.tokenizer.bos_token_id) == own.begins
    for mark in (own.start, own.end):
        ids = run.tokenizer(mark, add_special_tokens=False)["input_ids"]
        assert ids == [run.tokenizer.get_vocab()[mark]], "a turn token is one id"


def test_the_tokenizer_saved_with_the_adapter_stops_there_too(family: tuple[Family, Path], tmp_path: Path) -> None:
    own, folder = family
    prepared(folder).tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).eos_token == own.end


@pytest.mark.parametrize("batch", [1, 2])  # by transformers, and on a CPU by this project for the families it knows
def test_generation_stops_at_the_end_token(family: tuple[Family, Path], batch: int) -> None:
    own, folder = family
    tokenizer = prepared(folder).tokenizer  # the model's own config says no end token
    model = random_model(own.model_type, 2, vocab_size=len(tokenizer), **own.sizes).eval()
    letter = tokenizer("x", add_special_tokens=False)["input_ids"][0]
    model.set_output_embeddings(_speaker([letter, letter, tokenizer.eos_token_id], len(tokenizer)))
    found = generate(model, tokenizer, [[letter] * 3] * 2, max_new_tokens=8, batch=batch)
    assert [(o.text, o.tokens, o.truncated) for o in found] == [(f"xx{own.end}", 3, False)] * 2


def _speaker(ids: list[int], vocabulary: int) -> Any:
    """An LM head that writes `ids` over and over, whatever it is given."""
    import torch

    class Speaker(torch.nn.Linear):
        calls = 0

        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            logits = hidden.new_zeros(*hidden.shape[:-1], vocabulary)
            logits[..., ids[self.calls % len(ids)]] = 1
            self.calls += 1
            return logits

    return Speaker(32, vocabulary)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("Gemma2Config", {}, "final_logit_softcapping=30"),
        ("GraniteConfig", {"logits_scaling": 8.0}, "logits_scaling=8"),
        ("GraniteConfig", {}, ""),
        ("CohereConfig", {}, "logit_scale=0.0625"),
        ("FalconH1Config", {"lm_head_multiplier": 0.5}, "lm_head_multiplier=0.5"),
        *((name, {}, "") for name in ("Gemma3TextConfig", "LlamaConfig", "Qwen2Config", "Qwen3Config")),
    ],
)
def test_models_that_change_their_logits_are_known(name: str, settings: dict[str, Any], said: str) -> None:
    import transformers

    assert logit_changes(getattr(transformers, name)(**settings)) == said


def test_a_name_that_no_module_has_is_refused_and_all_linear_is_all_but_the_head() -> None:
    model = random_model("qwen2", 1)
    every = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    assert adapted_modules(model, "all-linear") == every
    assert adapted_modules(model, ["q_proj", "mlp.up_proj"]) == ["q_proj", "mlp.up_proj"]
    for wrong in ("W_pack", "lm_head", "proj", "self_attn"):
        with pytest.raises(InputError, match=wrong) as e:
            adapted_modules(model, ["q_proj", wrong])
        assert "gate_proj" in e.value.fix
