"""The benchmark of generation: batches are timed against one by one on the same prompts, and their answers compared."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import generate
from benchmarks.generate import GenerationTask, as_result, batch_sizes, measure
from benchmarks.report import table
from data import InputError

HERE: dict[str, Any] = {
    "device": {"kind": "cpu", "name": "a processor", "memory_gib": 1.0},
    "environment": {"packages": {}},
}


@pytest.fixture(scope="module")
def asked(tiny_model: Path) -> GenerationTask:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    prompts = [tokenizer(f"question {'x' * i}")["input_ids"] for i in (3, 0, 9, 1, 5)]
    return GenerationTask(model, tokenizer, prompts, 6, "cpu", {"model": "tiny", "prompts": 5})


def test_every_size_answers_the_same_prompts(asked: GenerationTask) -> None:
    ticks: list[int] = []
    arms = measure(asked, [1, 2, 4], 2, lambda: ticks.append(1))
    assert [arm["batch"] for arm in arms] == [1, 2, 4] and len(ticks) == 3 * 2 * 5
    for arm in arms:
        assert arm["status"] == "ok" and [run["repeat"] for run in arm["runs"]] == [0, 1]
        for run in arm["runs"]:
            assert run["samples_per_second"] == pytest.approx(5 / run["seconds"], rel=1e-2)
            assert run["tokens_per_second"] >= run["samples_per_second"]
    assert arms[0]["same_share"] == 1.0 and 0 <= arms[2]["same_share"] <= 1
    result = as_result(asked, HERE, arms, 2)
    assert [row["arm"] for row in result["speedup"]] == ["2", "4"]
    assert all(row["low"] <= row["ratio"] <= row["high"] for row in result["speedup"])
    assert table(result).row_count == 3 and result["verdict"]


def test_out_of_memory_is_a_result(asked: GenerationTask, monkeypatch: pytest.MonkeyPatch) -> None:
    import eval.generate

    real = eval.generate.generate

    def small_card(*args: Any, batch: int, **kwargs: Any) -> Any:
        if batch == 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(*args, batch=batch, **kwargs)

    monkeypatch.setattr(eval.generate, "generate", small_card)
    arms = measure(asked, [1, 2, 4], 3, lambda: None)
    assert [arm["status"] for arm in arms] == ["ok", "ok", "out of memory"]
    assert len(arms[2]["runs"]) == 1 and "2.00 GiB" in arms[2]["reason"], "it is not tried again"
    result = as_result(asked, HERE, arms, 3)
    assert [row["arm"] for row in result["speedup"]] == ["2"] and table(result).row_count == 3


def test_any_other_error_is_not_swallowed(asked: GenerationTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("eval.generate.generate", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        measure(asked, [1], 1, lambda: None)


def test_batch_sizes() -> None:
    assert batch_sizes("16,8") == [1, 8, 16] and batch_sizes(generate.BATCHES) == [1, 8, 16, 32, 64]
    for wrong in ("0", "eight", "", "-1,2"):
        with pytest.raises(InputError):
            batch_sizes(wrong)
