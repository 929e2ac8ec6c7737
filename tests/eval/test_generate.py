"""Generating answers: what is written must be what `model.generate` writes for each prompt alone, in float32."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eval.cpu_decoding import _greedy, decode, decodes, slots_that_fit
from eval.generate import NoRoom, Output, begin, generate, safe_batch, usual_batch
from eval.prefixes import FAMILIES, Beginning, prefixes_hold, read_by_transformers, reading_order
from eval.slots import PromptRead, Slots
from tests.tiny import random_model

LENGTHS = (5, 60, 64, 65, 1, 130, 33, 200, 12, 13)  # on both sides of the cache's block of 64
SHARED = ((0, 70, 20), (0, 70, 8), (0, 700, 1), (1, 70, 30), (1, 130, 30), (1, 130, 30))  # whose first so many, own
NEW = 70  # more than a block
GEMMA: dict[str, Any] = {
    "layer_types": ["sliding_attention", "full_attention"],
    "query_pre_attn_scalar": 2,  # other than the head size; and what is attended to decides
    "tie_word_embeddings": False,  # else the random model repeats its last token
}
WINDOWS: dict[str, dict[str, Any]] = {  # of 16 tokens and of 100: prompts and answers cross both
    "gemma3_text": {**GEMMA, "sliding_window": 16},
    "gemma3_text, wide": {**GEMMA, "sliding_window": 100},
    "qwen2": {"use_sliding_window": True, "max_window_layers": 1, "sliding_window": 16},
    "qwen3": {},
}


def make(family: str) -> Any:
    """A random model of a family with two layers and the windows that `WINDOWS` has."""
    return random_model(family.partition(",")[0], 2, **WINDOWS.get(family, {})).eval()


def make_prompts() -> list[list[int]]:
    """Random ones, and some that begin alike, as far as a system turn, a tool list, or to the end."""
    import torch

    source = torch.Generator().manual_seed(0)

    def some(n: int) -> list[int]:
        return torch.randint(1, 100, (n,), generator=source).tolist()  # type: ignore[no-any-return]

    beginnings = [some(700), some(200)]
    shared = [beginnings[which][:n] + some(own) for which, n, own in SHARED]
    return [some(n) for n in LENGTHS] + shared + shared[-1:]


def by_transformers(model: Any, prompt: list[int]) -> list[int]:
    """What `model.generate` writes for one prompt, with no end token."""
    import torch

    out = model.generate(torch.tensor([prompt]), max_new_tokens=NEW, do_sample=False, pad_token_id=0)
    return out[0, len(prompt) :].tolist()  # type: ignore[no-any-return]


class Case:
    """A model with an end token that ends its answers at many different places, and some of them never."""

    def __init__(self, family: str) -> None:
        self.model, self.prompts = make(family), make_prompts()
        free = [by_transformers(self.model, p) for p in self.prompts]
        ends = {t: [a.index(t) + 1 if t in a else NEW for a in free] for t in range(100)}
        self.end = max(ends, key=lambda t: len(set(ends[t])) if NEW in ends[t] else 0)
        self.expected = [a[:n] for a, n in zip(free, ends[self.end], strict=True)]
        assert len({len(a) for a in self.expected}) >= 5
        self.tokenizer = SimpleNamespace(
            eos_token_id=self.end, pad_token_id=0, decode=lambda ids, **_: " ".join(map(str, ids))
        )
        self.outputs = [Output(" ".join(map(str, a)), len(a), truncated=self.end not in a) for a in self.expected]


@pytest.fixture(scope="module", params=[*FAMILIES, "gemma3_text, wide"])
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


@pytest.fixture(scope="module")
def llama() -> Case:
    return Case("llama")


@pytest.mark.parametrize("slots", [1, 3, len(LENGTHS) + len(SHARED) + 2])
def test_slots_write_what_transformers_writes(case: Case, slots: int) -> None:
    answers: dict[int, list[int]] = {}
    decode(case.model, case.prompts, end=case.end, max_new_tokens=NEW, slots=slots, done=answers.__setitem__)
    assert [answers[i] for i in range(len(case.prompts))] == case.expected


def test_prompts_read_in_parts_give_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.slots._QUERIES", 7)  # at a time
    monkeypatch.setattr("eval.cpu_decoding.TOGETHER", 100)
    answers: dict[int, list[int]] = {}
    decode(case.model, case.prompts, end=case.end, max_new_tokens=NEW, slots=4, done=answers.__setitem__)
    assert [answers[i] for i in range(len(case.prompts))] == case.expected


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("known", [True, False])
def test_outputs_are_in_order_whichever_way_they_come(
    llama: Case, batch: int, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.generate.decodes", lambda model: known)
    told: dict[int, Output] = {}
    outputs = generate(
        llama.model, llama.tokenizer, llama.prompts, max_new_tokens=NEW, batch=batch, done=told.__setitem__
    )
    assert outputs == llama.outputs == [told[i] for i in range(len(outputs))]
    assert {o.truncated for o in outputs} == {True, False}


def test_answers_are_told_as_they_end_and_a_stop_leaves_the_model_as_it_was(llama: Case) -> None:
    told: list[int] = []

    def done(i: int, answer: list[int]) -> None:
        told.append(i)
        if len(told) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode(llama.model, llama.prompts, end=llama.end, max_new_tokens=NEW, slots=3, done=done)
    first = reading_order(llama.prompts)[:7]
    assert len(set(told)) == 4 and set(told) < set(first)  # nobody waits for the whole batch
    assert llama.model.config._attn_implementation == "sdpa"
    assert by_transformers(llama.model, llama.prompts[0])[: len(llama.expected[0])] == llama.expected[0]


@pytest.mark.parametrize("slots", [1, 3, 20])
def test_what_prompts_have_in_common_is_read_once(llama: Case, slots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[PromptRead] = []
    right = Slots.prepare

    def told(cache: Slots, used: int, readings: list[PromptRead]) -> Any:
        read.extend(readings)
        return right(cache, used, readings)

    monkeypatch.setattr(Slots, "prepare", told)
    decode(llama.model, llama.prompts, end=llama.end, max_new_tokens=2, slots=slots, done=lambda i, answer: None)
    beginnings = {tuple(prompt[: n + 1]) for prompt in llama.prompts for n in range(len(prompt))}
    again = len(llama.prompts) - len({tuple(prompt) for prompt in llama.prompts})  # its last token, for the logits
    assert sum(reading.length - reading.shared for reading in read) == len(beginnings) + again
    assert again


ALIKE = [slice(10, 13), slice(13, 17)]
"""Prompts of `make_prompts` that share their first 70 tokens: a row has more padding than that, and none has."""


@pytest.mark.parametrize("alike", ALIKE)
def test_a_batch_of_transformers_reads_its_beginning_once(
    case: Case, alike: slice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.generate.decodes", lambda model: False)
    read = _count_tokens(monkeypatch, case.model)
    prompts = case.prompts[alike]
    outputs = generate(case.model, case.tokenizer, prompts, max_new_tokens=NEW, batch=4)
    assert outputs == case.outputs[alike]
    assert read[:2] == [70, len(prompts) * (max(map(len, prompts)) - 70)]
    assert set(read[2:]) == {len(prompts)}


def _count_tokens(monkeypatch: pytest.MonkeyPatch, model: Any) -> list[int]:
    """A list that grows by the tokens of each call of the model, those of padding included."""
    read: list[int] = []
    right = model.forward

    @wraps(right)  # generation looks at what it takes
    def forward(input_ids: Any = None, **rest: Any) -> Any:
        read.append(input_ids.numel())
        return right(input_ids=input_ids, **rest)

    monkeypatch.setattr(model, "forward", forward)
    return read


@pytest.mark.parametrize("known", [True, False])
def test_a_beginning_is_kept_for_prompts_one_by_one(case: Case, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a prompt in between begins otherwise; the beginning stays as it was read."""
    import torch

    monkeypatch.setattr("eval.generate.decodes", lambda model: known)
    kept = begin(case.model, case.prompts[12][:70])
    assert kept and len(kept.tokens) == 70
    before = {i: (keys.clone(), values.clone()) for i, (keys, values) in kept.layers.items()}
    read = _count_tokens(monkeypatch, case.model)
    for i in (10, 5, 13, 11, 10):
        read.clear()
        found = generate(case.model, case.tokenizer, [case.prompts[i]], max_new_tokens=NEW, batch=1, kept=kept)
        assert found == case.outputs[i : i + 1]
        assert read[0] == len(case.prompts[i]) - (70 if i in (10, 11) else 0)
    assert before.keys() == kept.layers.keys()
    assert all(torch.equal(a, b) for i in before for a, b in zip(before[i], kept.layers[i], strict=True))


@pytest.mark.parametrize("known", [True, False])
def test_kept_bytes_are_bounded(llama: Case, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.generate.decodes", lambda model: known)
    monkeypatch.setattr("eval.memory.KEPT", 66 * 256 + 7)  # two layers of keys and values, two heads of 8 in float32
    kept = begin(llama.model, llama.prompts[12])
    assert kept and len(kept.tokens) == 66
    assert sum(t.untyped_storage().nbytes() for pair in kept.layers.values() for t in pair) == 66 * 256
    for prompts in (llama.prompts[10:13], llama.prompts[10:11]):
        found = generate(llama.model, llama.tokenizer, prompts, max_new_tokens=NEW, batch=len(prompts), kept=kept)
        assert found == llama.outputs[10 : 10 + len(prompts)]


@pytest.mark.parametrize("known", [True, False])
def test_what_is_kept_decides_on_the_answer(llama: Case, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above would pass without any of it being used."""
    monkeypatch.setattr("eval.generate.decodes", lambda model: known)
    other = begin(llama.model, llama.prompts[7][:70])
    assert other
    false = Beginning(llama.prompts[10][:70], other.layers)
    found = generate(llama.model, llama.tokenizer, llama.prompts[10:11], max_new_tokens=NEW, batch=1, kept=false)
    assert found != llama.outputs[10:11]


def test_no_room_for_one_prompt_behind_what_is_kept(llama: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = begin(llama.model, llama.prompts[10][:70])

    def short(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("eval.generate.decode", short)
    with pytest.raises(NoRoom, match="single prompt of 90 tokens"):
        generate(llama.model, llama.tokenizer, llama.prompts[10:11], max_new_tokens=4, batch=1, kept=kept)
    monkeypatch.setattr("eval.generate.read_beginning", short)
    with pytest.raises(NoRoom, match="single prompt of 70 tokens"):
        begin(llama.model, llama.prompts[10][:70])


def test_beginnings_are_the_same_however_they_are_read(case: Case) -> None:
    import torch

    tokens = case.prompts[12]
    ours, theirs = begin(case.model, tokens), read_by_transformers(case.model, tokens)
    assert ours and ours.tokens == theirs.tokens == tokens
    for i, pair in theirs.layers.items():
        for found, wanted in zip(ours.layers[i], pair, strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_no_mask_is_made_of_a_prompt(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    import eval.cpu_decoding

    masks: list[Any] = []
    right = eval.cpu_decoding._attend

    def attend(*args: Any, **rest: Any) -> Any:
        masks.append(args[4])
        return right(*args, **rest)

    monkeypatch.setattr("eval.cpu_decoding._attend", attend)
    decode(case.model, case.prompts, end=case.end, max_new_tokens=2, slots=4, done=lambda i, answer: None)
    assert masks and set(masks) == {None}


@pytest.mark.parametrize("vocabulary", [1, 97, 1024, 1280])
def test_greedy_token_is_the_first_of_the_greatest(vocabulary: int) -> None:
    import torch

    source = torch.Generator().manual_seed(0)
    for values in (4, 1000):  # many ties, few
        logits = torch.randint(values, (50, vocabulary), generator=source).to(torch.bfloat16) - 2
        assert _greedy(logits).tolist() == [row.index(max(row)) for row in logits.tolist()]


def test_nothing_to_ask(llama: Case) -> None:
    assert generate(llama.model, llama.tokenizer, [], max_new_tokens=4, batch=4) == []


def test_penalty_that_the_model_brings_does_not_count(llama: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama.model.generation_config, "repetition_penalty", 5.0)
    alone = generate(llama.model, llama.tokenizer, llama.prompts[:1], max_new_tokens=NEW, batch=1)
    assert alone == llama.outputs[:1]


@pytest.mark.parametrize("known", [True, False])
def test_batch_that_answers_alike_is_kept(llama: Case, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.generate.decodes", lambda model: known)
    assert safe_batch(llama.model, llama.tokenizer, llama.prompts, batch=8, warn=pytest.fail) == 8


def _padding_seen(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    """As left padding breaks: the padding is attended to."""
    right = model.generate

    def wrong(attention_mask: Any, **rest: Any) -> Any:
        return right(attention_mask=attention_mask.fill_(1), **rest)

    monkeypatch.setattr("eval.generate.decodes", lambda model: False)
    monkeypatch.setattr(model, "generate", wrong)


def _columns_seen(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    """A cache that shows a row what another one left behind it."""
    right = Slots.prepare

    def wrong(cache: Slots, used: int, readings: list[PromptRead]) -> Any:
        prepared = right(cache, used, readings)
        cache.attention_mask.zero_()
        return prepared

    monkeypatch.setattr(Slots, "prepare", wrong)


def _other_beginning(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    """A prompt that goes on from another one's beginning."""
    monkeypatch.setattr("eval.cpu_decoding.shared_tokens", lambda before, prompt: min(len(before), len(prompt) - 1))


@pytest.mark.parametrize("fault", [_padding_seen, _columns_seen, _other_beginning])
def test_batch_that_answers_otherwise_falls_back_to_single_prompts(
    llama: Case, fault: Callable[[pytest.MonkeyPatch, Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch, llama.model)
    warnings: list[str] = []
    assert safe_batch(llama.model, llama.tokenizer, llama.prompts, batch=8, warn=warnings.append) == 1
    assert "one by one" in str(warnings[0])


def test_models_whose_prompts_are_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from peft import LoraConfig, get_peft_model

    model = make("qwen3")
    assert prefixes_hold(get_peft_model(make("qwen3"), LoraConfig(target_modules=["q_proj"])))
    assert not prefixes_hold(make("gemma2")) and not prefixes_hold(SimpleNamespace())
    stretched = random_model("llama", 1, rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0})
    assert not prefixes_hold(stretched) and not decodes(stretched)
    monkeypatch.setattr(type(model), "for_inference", None, raising=False)  # as on a model that Unsloth has loaded
    assert not prefixes_hold(model) and begin(model, [1] * 99) is None
    outputs = generate(model, _never_ending(), [[1] * 99, [1] * 80], max_new_tokens=2, batch=2)
    assert [o.tokens for o in outputs] == [2, 2]


def _never_ending() -> Any:
    return SimpleNamespace(eos_token_id=None, pad_token_id=0, decode=lambda ids, **_: "")


def test_models_that_are_left_to_transformers(llama: Case, tmp_path: Path) -> None:
    assert decodes(llama.model)
    llama.model.set_attn_implementation("eager")
    assert not decodes(llama.model)
    llama.model.set_attn_implementation("sdpa")
    assert not decodes(make("gemma2"))
    chunked = make("qwen3")
    chunked.config.layer_types = ["full_attention", "chunked_attention"]
    assert not decodes(chunked)
    gemma = make("gemma3_text")
    assert decodes(gemma)
    gemma.config.use_bidirectional_attention = True
    assert not decodes(gemma)
    wrapped = SimpleNamespace(get_output_embeddings=llama.model.get_output_embeddings)  # an adapter on a model, say
    assert not decodes(wrapped)
    assert usual_batch(wrapped, llama.prompts, max_new_tokens=NEW) == 16


def test_batch_fits_in_a_quarter_of_the_free_memory(llama: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    a_token = 2 * 2 * (2 * 8) * 4  # layers, keys and values, key heads of 8, bytes
    longest = max(map(len, llama.prompts)) + NEW
    free = SimpleNamespace(available=7 * 4 * a_token * longest)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    assert slots_that_fit(llama.model, longest) == 7
    assert usual_batch(llama.model, llama.prompts, max_new_tokens=NEW) == 7
    free.available = 1
    assert usual_batch(llama.model, llama.prompts, max_new_tokens=NEW) == 1
    free.available = 1 << 40
    assert usual_batch(llama.model, llama.prompts, max_new_tokens=NEW) == 64
