"""Training's own evaluation: what it asks fits in memory, at the next evaluation from the start."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from data.record import Record
from finetune import generation_metrics as scoring
from finetune.generation_metrics import scorer
from finetune.shortage import OutOfMemory, next_change, phase
from tests.tiny import FIXTURES
from tooltune.config import load_config
from tooltune.files import read_jsonl

ROWS = [Record.from_dict(row) for _, row in read_jsonl(FIXTURES / "validation.jsonl")]
CUDA: Any = SimpleNamespace(kind="cuda")


class Model(torch.nn.Module):
    """Writes its end token; more rows than `most` are too many."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.head = torch.nn.Linear(4, 4)
        self.most, self.asked = most, list[int]()

    def get_output_embeddings(self) -> Any:
        return self.head

    def generate(self, input_ids: Any, **_: Any) -> Any:
        self.asked.append(len(input_ids))
        if len(input_ids) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        sequences = torch.cat([input_ids, torch.full((len(input_ids), 1), 9)], 1)
        return SimpleNamespace(sequences=sequences, scores=[torch.zeros(1, 10)])


def make(said: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(scoring, "render_prompt", lambda record, *_: [1] * len(record.id))
    tokenizer = SimpleNamespace(eos_token_id=9, pad_token_id=0, decode=lambda ids, **_: "<|im_end|>")
    prepared: Any = SimpleNamespace(tokenizer=tokenizer, template=SimpleNamespace(family="hermes"), scored=ROWS)
    config = load_config("6gb", ["eval.generate=8", "eval.generate_batch=8"])
    return scorer(config, CUDA, prepared, ROWS, said.append)


def test_shortage_halves_the_batch_for_the_evaluations_to_come_too(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    score, model = make(said, monkeypatch), Model(most=4)
    first = score(model)
    assert first["truncated"] == 0 and list(map(str, said)) == [
        "out of memory: answering 4 prompts at a time instead of 8"
    ]
    model.asked.clear()
    assert score(model) == first
    assert model.asked == [4, 4] and len(said) == 1


def test_shortage_with_one_prompt_is_the_runs_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is one by then: what is left to try is to keep weights in main memory."""
    with pytest.raises(OutOfMemory, match="single prompt") as raised, phase("generation"):
        make([], monkeypatch)(Model(most=0))
    machine = {"gpu": True, "packed": True, "tied": True, "layers": 28, "longest": 700, "pages": True}
    change = next_change(load_config("6gb"), raised.value.phase, **machine)
    assert change == {"memory.offload_layers": 7}
