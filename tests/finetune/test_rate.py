"""MFU: what is counted equals what torch counts, a shared prefix once and padding never; the rates reach the log."""

import json
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from data.render import IGNORED
from finetune import rate
from finetune.batching import collate
from finetune.callbacks import ProgressLine, Recorder
from finetune.device import Device
from finetune.losses import training_loss
from finetune.rate import Ceiling, Flops, Meter, Tally, count_flops, flops_text, matmul_rate, new_tally
from finetune.shared_prefix import pack
from finetune.system import SystemMonitor
from tests.finetune.test_shared_prefix import make, make_rows

CPU = Device("cpu", "processor", (0, 0), 8.0, False)


def tallied(batch: dict[str, Any], *windows: int | None) -> Tally:
    tally = Tally(dict.fromkeys(windows or (None,), 0))
    tally.add(batch)
    return tally


def seen(start: int, end: int, window: int) -> int:
    return sum(min(t + 1, window) for t in range(start, end))


def test_padded_batch_is_counted_without_its_padding() -> None:
    rows = [{"input_ids": [1] * n, "labels": [IGNORED] * (n - 2) + [1] * 2} for n in (9, 4)]
    rows[1]["labels"] = [1] * 4  # the first token of a row is predicted by nothing
    tally = tallied(collate(rows, 0), None, 5)
    assert (tally.rows, int(tally.computed), int(tally.supervised)) == (2, 13, 2 + 3)
    assert {w: int(n) for w, n in tally.pairs.items()} == {
        None: 9 * 10 // 2 + 4 * 5 // 2,
        5: seen(0, 9, 5) + seen(0, 4, 5),
    }
    tally.add(collate(rows[:1], 0))
    assert (tally.rows, int(tally.computed), int(tally.pairs[5])) == (3, 22, 2 * seen(0, 9, 5) + seen(0, 4, 5))
    tally.reset()
    assert tally == Tally({None: 0, 5: 0})


def test_shared_prefix_is_counted_once() -> None:
    rows = make_rows()  # prefix 40 with suffixes 9, 30, 5; a row of 33; prefix 70 with suffixes 8, 1
    tally = tallied(pack(rows, 1000), None, 24)
    supervised = sum(label != IGNORED for row in rows for label in row["labels"][1:])
    assert (tally.rows, tally.computed, tally.supervised) == (6, 40 + 44 + 33 + 70 + 9, supervised)
    for window, limit in ((None, 10**6), (24, 24)):
        prefixes = seen(0, 40, limit) + seen(0, 33, limit) + seen(0, 70, limit)
        suffixes = sum(seen(p, p + s, limit) for p, s in ((40, 9), (40, 30), (40, 5), (70, 8), (70, 1)))
        assert tally.pairs[window] == prefixes + suffixes
    alone = [rows[0], rows[3], rows[4]]
    assert tallied(pack(alone, 1000), None, 24).pairs == {
        window: int(pairs) for window, pairs in tallied(collate(alone, 0), None, 24).pairs.items()
    }


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "mistral"])
def test_flops_are_those_that_torch_counts(family: str) -> None:
    """Torch counts every pair of a row, as eager attention computes them; the tally is given as many."""
    from peft import LoraConfig, get_peft_model
    from torch.utils.flop_counter import FlopCounterMode

    targets = ["q_proj", "v_proj", "down_proj"]
    model: Any = get_peft_model(make(family), LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM"))
    model.enable_input_require_grads()  # as with checkpointing: the first layer's input has a gradient too
    model.train()
    rows = [{"input_ids": list(range(1, 41)), "labels": [IGNORED] * 30 + list(range(31, 41))}] * 2
    batch = collate(rows, 0)
    flops = count_flops(model, checkpointing=True)
    tally = new_tally(flops)
    tally.add(batch)
    tally.pairs = dict.fromkeys(tally.pairs, 2 * 40 * 40)
    with FlopCounterMode(display=False) as counter:
        training_loss(model, batch, None).backward()
    whole = counter.get_total_flops()
    assert whole == pytest.approx(flops.needed(tally), rel=1e-4), "but for the table of the rotary positions"
    model.gradient_checkpointing_enable({"use_reentrant": False})
    with FlopCounterMode(display=False) as counter:
        training_loss(model, batch, None).backward()
    again = counter.get_total_flops() - whole
    # torch stops computing a layer again where nothing more of it is needed
    assert 0.8 * flops.recomputed(tally) < again <= flops.recomputed(tally)


def test_windows_are_those_of_the_layers() -> None:
    from peft import LoraConfig, get_peft_model

    expected: dict[str, dict[int | None, int]] = {
        "gemma3_text": {24: 2 * 32, None: 32}, "mistral": {24: 96}, "qwen3": {None: 96}, "llama": {None: 96}
    }  # fmt: skip
    for family, attention in expected.items():
        model: Any = get_peft_model(make(family), LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
        flops = count_flops(model, checkpointing=False)
        assert flops.attention == attention and flops.recomputed(new_tally(flops)) == 0
        matrices = 3 * (32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 64)
        assert (flops.frozen, flops.trained, flops.head) == (matrices, 3 * (32 * 2 + 2 * 32), 32 * 100)


def test_matmul_is_measured_and_leaves_the_random_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "TOKENS", 128)
    clock = iter(range(10_000))  # each reading a second after the one before
    monkeypatch.setattr(rate.time, "perf_counter", lambda: float(next(clock)))
    before = torch.get_rng_state()
    assert matmul_rate("cpu", "float32", 64, seconds=0) == 2 * 128 * 128 * 128, "the larger product, one a second"
    assert matmul_rate("cpu", "bfloat16", 256, seconds=0) == 2 * 128 * 256 * 1024
    assert torch.equal(torch.get_rng_state(), before)


def test_rates_are_read_as_they_are() -> None:
    shown = {87.31: "87.3 GFLOP/s", 405.2: "405 GFLOP/s", 999.6: "1 TFLOP/s", 71_300: "71.3 TFLOP/s"}
    assert {value: flops_text(value) for value in shown} == shown


def meter(*, checkpointing: bool) -> Meter:
    """10 FLOP a token are 4 of a frozen weight and 6 of a trained one; a supervised token takes 8 more."""
    return Meter(Flops(1, 1, {None: 0}, 2, checkpointing), Ceiling(100.0, "bfloat16"))


def batch() -> dict[str, Any]:
    return collate([{"input_ids": [1] * 10, "labels": [IGNORED] * 5 + [1] * 5}], 0)


def test_meter_reads_and_begins_anew() -> None:
    one = meter(checkpointing=False)
    one.tally.add(batch())
    one.tally.add(batch())
    assert one.read(4.0) == {
        "tokens_per_second": 5.0,
        "supervised_per_second": 2.5,
        "mfu": (20 * 10 + 10 * 8) / 4 / 100,
    }
    assert one.read(4.0) == {}, "nothing since"
    again = meter(checkpointing=True)
    again.tally.add(batch())
    assert again.read(2.0)["hfu"] == pytest.approx((10 * (10 + 4) + 5 * 8) / 2 / 100)
    assert again.facts == {"matmul_gflops": 0.0, "matmul_dtype": "bfloat16"}


def test_rates_reach_the_log_and_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = meter(checkpointing=False)
    recorder = Recorder(tmp_path, SystemMonitor(CPU), [], found)
    console = Console(file=StringIO(), width=160)
    line = ProgressLine(console)
    args: Any = SimpleNamespace(fp16=False, per_device_train_batch_size=1, gradient_accumulation_steps=1, world_size=1)
    state = SimpleNamespace(global_step=0, epoch=0.5, max_steps=2)
    found.tally.add(batch())  # a step made to check
    for callback in (recorder, line):
        callback.on_train_begin(args, state, None)
    found.tally.add(batch())
    recorder.busy, state.global_step = 2.0, 1
    logs = {"loss": 0.5, "grad_norm": 1.0, "learning_rate": 1e-3}
    for callback in (recorder, line):
        callback.on_log(args, state, None, logs=logs)
    (event,) = map(json.loads, (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    assert (event["tokens_per_second"], event["supervised_per_second"], event["mfu"]) == (5.0, 2.5, 0.7)
    assert event["samples_per_second"] == 0.5
    assert "5 tokens/s  MFU 70%" in console.file.getvalue()  # type: ignore[attr-defined]
    recorder.on_log(args, state, None, logs={"eval_loss": 1.0})
    assert "mfu" not in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[1]
