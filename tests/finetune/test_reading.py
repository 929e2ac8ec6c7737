"""How a run's figures are read: verdicts, mean losses, row order, and that NaN stops the run."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data.render import Example
from finetune.batching import EpochOrder, collate
from finetune.callbacks import Recorder, mean_loss
from finetune.device import Device
from finetune.diagnose import verdict
from finetune.system import SystemMonitor
from tooltune.errors import JobFailed
from tooltune.files import read_jsonl

CPU = Device("cpu", "a processor", (0, 0), 8.0, False)


def row(train: float, validation: float) -> dict[str, float]:
    return {"train_loss": train, "eval_loss": validation}


def test_verdicts_of_the_reference_table() -> None:
    """The rough table that the reference task is expected to show."""
    table = [
        (2.1, 2.0, "early"),
        (1.4, 1.35, "improving fast"),
        (0.8, 0.82, "improving fast"),
        (0.5, 0.55, "improving fast"),
        (0.35, 0.56, "marginal"),
        (0.25, 0.65, "overfitting"),
        (0.15, 0.80, "worse"),
        (0.08, 1.10, "much worse"),
    ]
    history = [row(train, validation) for train, validation, _ in table]
    assert [verdict(history[: i + 1]) for i in range(len(table))] == [word for *_, word in table]


def test_rise_of_both_losses_is_not_overfitting() -> None:
    assert verdict([row(1.0, 1.0), row(1.2, 1.3)]) == "not learning"


def test_mean_loss_weighs_each_value_by_the_steps_it_covers() -> None:
    history = [
        {"step": 1, "loss": 4.0},
        {"step": 10, "loss": 2.0},
        {"step": 12, "eval_loss": 9.0},
        {"step": 20, "loss": 1.0},
    ]
    assert mean_loss(history) == pytest.approx((4.0 + 9 * 2.0 + 10 * 1.0) / 20)
    assert mean_loss(history, since=10) == 1.0
    assert mean_loss(history, since=15) == 1.0
    assert mean_loss([]) is None


def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path, SystemMonitor(CPU), [])


ARGS: Any = SimpleNamespace(fp16=False, per_device_train_batch_size=1, gradient_accumulation_steps=1)


def test_nan_evaluation_stops_the_run_before_it_can_be_the_best(tmp_path: Path) -> None:
    state = SimpleNamespace(global_step=3, epoch=1.0, log_history=[])
    with pytest.raises(JobFailed, match="eval_loss is nan at step 3"):
        recorder(tmp_path).on_evaluate(ARGS, state, None, {"eval_loss": float("nan")})
    assert not (tmp_path / "epochs.jsonl").exists()


def test_a_gradient_that_is_nan_is_written_down_as_text(tmp_path: Path) -> None:
    state = SimpleNamespace(global_step=5, epoch=0.5)
    recorder(tmp_path).on_log(ARGS, state, None, {"grad_norm": float("nan"), "learning_rate": 1e-4})
    assert [r["grad_norm"] for _, r in read_jsonl(tmp_path / "metrics.jsonl")] == ["nan"]


def test_order_is_a_function_of_seed_and_epoch() -> None:
    lengths = [(i * 37) % 101 for i in range(203)]
    order = EpochOrder(lengths, 4, seed=1, group=True)
    first = order.order()
    order.set_epoch(1)
    second = order.order()
    again = EpochOrder(lengths, 4, seed=1, group=True)
    assert first == again.order() != second
    assert sorted(first) == sorted(second) == list(range(203))


def test_groups_hold_rows_of_similar_length() -> None:
    lengths = [(i * 37) % 101 for i in range(200)]

    def padding(order: list[int]) -> int:
        batches = [order[i : i + 4] for i in range(0, 200, 4)]
        return sum(max(lengths[r] for r in b) * len(b) - sum(lengths[r] for r in b) for b in batches)

    grouped = EpochOrder(lengths, 4, seed=1, group=True).order()
    assert padding(grouped) < 0.2 * padding(EpochOrder(lengths, 4, seed=1, group=False).order())


def test_padding_is_masked_and_unlabelled() -> None:
    rows = [Example("a", [5, 6, 7], [-100, 6, 7], [0, 1, 1]), Example("b", [8], [8], [1])]
    batch = collate([{"input_ids": r.input_ids, "labels": r.labels} for r in rows], pad_token_id=3)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 3, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [8, -100, -100]]


@pytest.mark.parametrize(
    ("lends", "held", "free", "said"),
    [
        (True, 4.0, 0.5, 0),  # as when the run began
        (True, 4.0, 0.0, 1),  # another program has taken what was left
        (True, 5.0, 0.5, 1),  # more than others left it, some of it therefore elsewhere
        (False, 4.0, 0.0, 0),  # Linux raises out of memory instead
    ],
)
def test_memory_lent_by_the_driver_is_said_once(
    monkeypatch: pytest.MonkeyPatch, lends: bool, held: float, free: float, said: int
) -> None:
    import io

    from rich.console import Console

    from finetune.callbacks import SpillWarning

    now = {"held": 4.0, "free": 0.5}
    monkeypatch.setattr("finetune.callbacks.lends_main_memory", lambda: lends)
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda: int(now["held"] * 2**30))
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (int(now["free"] * 2**30), 6 * 2**30))
    heard = io.StringIO()
    card = Device("cuda", "NVIDIA GeForce RTX 3060 Laptop GPU", (8, 6), 6.0, True)
    spill = SpillWarning(Console(file=heard, width=1000), card)
    spill.on_step_end(None, None, None)
    assert heard.getvalue() == ""
    now |= {"held": held, "free": free}
    spill.on_step_end(None, None, None)
    spill.on_step_end(None, None, None)
    assert heard.getvalue().count("lends main memory") == said
