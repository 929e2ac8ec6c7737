"""Memory that runs out while a model answers: fewer prompts at a time, nothing asked twice, one clear error at last."""

import errno
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from eval import run
from eval.generate import NoRoom, generate, safe_batch, say_shrunk
from eval.load import compute_device
from eval.shortage import is_shortage
from tests.tiny import random_model

PROMPTS = [[number] * (3 + number) for number in range(1, 11)]
TOKENIZER = SimpleNamespace(eos_token_id=99, pad_token_id=0, decode=lambda ids, **_: " ".join(map(str, ids)))


class Card(torch.nn.Module):
    """Answers a prompt with its first token and the end token; more rows than `most` are too many for it.

    Its input embedding comes first and lies elsewhere, as Unsloth's `offload_embedding` leaves it.
    """

    def __init__(self, most: int, compute: str = "cpu", error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(4, 4, device="cpu")
        self.head = torch.nn.Linear(4, 4, bias=False, device=compute)
        self.layer = torch.nn.Module()
        self.most, self.error = most, error
        self.asked: list[int] = []
        self.buffers_seen: list[bool] = []

    def get_output_embeddings(self) -> Any:
        return self.head

    def generate(self, input_ids: Any, **_: Any) -> Any:
        rows = len(input_ids)
        self.asked.append(rows)
        self.buffers_seen.append(hasattr(self.layer, "paged_attention"))
        self.layer.paged_attention = torch.zeros(rows)  # what Unsloth's decoding leaves on a layer
        if rows > self.most:
            raise self.error("CUDA out of memory. Tried to allocate 2.00 GiB")
        ends = torch.full((rows, 1), 99)
        return SimpleNamespace(sequences=torch.cat([input_ids, input_ids[:, -1:], ends], 1))


def answers(card: Card, batch: int, **rest: Any) -> list[str]:
    return [o.text for o in generate(card, TOKENIZER, PROMPTS, max_new_tokens=4, batch=batch, **rest)]


def test_batch_is_halved_until_it_fits_and_what_is_answered_stays() -> None:
    card, said, told = Card(most=3), list[str](), list[int]()
    texts = answers(card, 8, shrunk=say_shrunk(said.append), done=lambda i, output: told.append(i))
    assert texts == [f"{prompt[0]} 99" for prompt in PROMPTS]
    assert card.asked == [8, 4, 2, 2, 2, 2, 2] and sorted(told) == list(range(10))
    assert list(map(str, said)) == [
        "out of memory: answering 4 prompts at a time instead of 8",
        "out of memory: answering 2 prompts at a time instead of 4",
    ]


def test_answers_before_the_shortage_are_not_asked_again() -> None:
    card = Card(most=8)
    right = card.generate

    def second_is_short(**rest: Any) -> Any:
        card.most = 2 if len(card.asked) == 1 else 8
        return right(**rest)

    card.generate = second_is_short  # type: ignore[assignment]
    told: list[int] = []
    answers(card, 4, shrunk=lambda before, now: None, done=lambda i, output: told.append(i))
    assert card.asked == [4, 4, 2, 2, 2] and told[:4] == [9, 8, 7, 6] and len(told) == 10


def test_decode_buffers_of_the_failed_batch_are_gone_before_the_next() -> None:
    card = Card(most=5)
    answers(card, 10, shrunk=lambda before, now: None)
    assert card.asked == [10, 5, 5] and card.buffers_seen == [False, False, True]


def test_one_prompt_too_many_is_one_clear_error() -> None:
    with pytest.raises(NoRoom, match="single prompt of 13 tokens and up to 4 new ones") as raised:
        answers(Card(most=0), 2, shrunk=lambda before, now: None)
    assert "eval.max_new_tokens" in raised.value.fix and is_shortage(raised.value)
    assert isinstance(raised.value.__cause__, torch.OutOfMemoryError)


def test_shortage_is_the_callers_where_nobody_is_told() -> None:
    card = Card(most=3)
    with pytest.raises(torch.OutOfMemoryError):
        answers(card, 8)
    assert card.asked == [8]


def test_other_errors_are_not_taken_for_a_shortage() -> None:
    card = Card(most=0, error=ValueError)
    with pytest.raises(ValueError, match="Tried to allocate"):
        answers(card, 8, shrunk=lambda before, now: None)
    assert card.asked == [8]


def test_batch_is_tried_no_larger_than_it_is_wanted() -> None:
    card = Card(most=2)
    tried = safe_batch_of(card, batch=2)
    assert tried == 2 and max(card.asked) == 2
    card, said = Card(most=2), list[str]()
    assert safe_batch_of(card, batch=8, said=said) == 8 and card.asked[:2] == [4, 2]
    assert list(map(str, said)) == ["out of memory: answering 2 prompts at a time instead of 4"]


def safe_batch_of(card: Card, batch: int, said: list[str] | None = None) -> int:
    return safe_batch(card, TOKENIZER, PROMPTS, batch=batch, warn=pytest.fail if said is None else said.append)


def test_an_evaluation_asks_what_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = list[str]()
    monkeypatch.setattr(run, "render_prompt", lambda row, *_: PROMPTS[row.id])
    monkeypatch.setattr(run, "load_base", lambda *_: Card(4))
    monkeypatch.setattr(run, "usual_batch", lambda *_, **__: 8)
    trained: Any = SimpleNamespace(tokenizer=TOKENIZER, template=None)
    rows: Any = [SimpleNamespace(id=n, tools=[]) for n in range(9)]
    answer = run._Answering(trained, rows, tmp_path, None, said.append, lambda *_: None)
    answer("base", run.Settings("", None, "", "test", None, True, 4, "", False))
    assert len(said) == 1 and "answering 4 prompts" in str(said[0])


@pytest.mark.parametrize("slots", [4, 16])
def test_slots_on_a_processor_are_halved_too(slots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import eval.generate

    model = random_model("llama", 2).eval()
    expected = generate(model, TOKENIZER, PROMPTS, max_new_tokens=5, batch=1)
    right, tried = eval.generate.decode, list[int]()

    def small(*args: Any, slots: int, done: Any, **rest: Any) -> None:
        tried.append(slots)
        left = [2 if slots > 2 else len(PROMPTS)]

        def some(i: int, new: list[int]) -> None:
            if not left[0]:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            left[0] -= 1
            done(i, new)

        right(*args, slots=slots, done=some, **rest)

    monkeypatch.setattr("eval.generate.decode", small)
    shrunk: list[tuple[int, int]] = []
    found = generate(
        model,
        TOKENIZER,
        PROMPTS,
        max_new_tokens=5,
        batch=slots,
        shrunk=lambda before, now: shrunk.append((before, now)),
    )
    assert found == expected and tried == ([4, 2] if slots == 4 else [10, 5, 2])
    assert shrunk == list(pairwise(tried))


def test_token_ids_go_to_where_the_layers_are() -> None:
    """Not to the first parameter's device: with `offload_embedding` that is main memory."""
    card = Card(most=8, compute="meta")
    assert next(card.parameters()).device.type == "cpu" and compute_device(card).type == "meta"
    seen: list[str] = []
    card.generate = lambda **rest: seen.extend(rest[name].device.type for name in ("input_ids", "attention_mask"))  # type: ignore[assignment,func-returns-value]
    with pytest.raises(AttributeError):  # it answers nothing
        answers(card, 4)
    assert seen == ["meta", "meta"]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        NoRoom("out of memory with a single prompt"),
    ],
)
def test_shortages_are_known(error: Exception) -> None:
    assert is_shortage(error) and not is_shortage(RuntimeError("shape mismatch"))
    assert not is_shortage(OSError(errno.ENOSPC, "No space left on device"))
