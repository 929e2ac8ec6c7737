"""Findings and verdicts: each rule fires where it should, with the right figures, and not just below its threshold."""

import math
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from finetune.diagnose import RunFinding, findings, verdict, verdict_word, verdicts
from finetune.diagnose.rules import NORMAL, RULES
from finetune.diagnose.run_finding import _words
from finetune.diagnose.step_rules import scheduled_rate
from finetune.history import History, read_history, rows_of_step
from tests.finetune import run_samples
from tooltune.config import load_config

PER_EPOCH, TOTAL = 250, 750
Curve = Callable[[float], float]


def falling(end: float, start: float = 2.5) -> Curve:
    """From `start` at 0 to `end` at 1 (of the run), straight in the logarithm."""
    return lambda share: start * (end / start) ** share


HEALTHY_LOSS, HEALTHY_NORM = falling(0.35), falling(0.5, 1.8)


def make(
    loss: Curve = HEALTHY_LOSS,
    norm: Curve = HEALTHY_NORM,
    evaluations: Sequence[float] = (0.7, 0.48, 0.46),
    *,
    train: Sequence[float] | None = None,
    tools: tuple[float, float] | None = (0.96, 0.99),
    every: int = 10,
    steps: int = TOTAL,
    overrides: Sequence[str] = (),
    at: dict[int, dict[str, Any]] | None = None,
    row: dict[str, Any] | None = None,
    manifest: dict[str, Any] | None = None,
    gpu: bool = True,
    finished: bool = True,
    **system: float,
) -> History:
    """A run of the 6gb preset (2,000 rows, 750 steps, warm-up 38), healthy where nothing else is asked.

    Args:
        loss, norm: values by the share of the run that is done.
        evaluations: eval_loss at the end of each epoch.
        train: training loss of each epoch in the table.
        tools: tool name accuracy and JSON validity of every evaluation; None: nothing was generated.
        at: changes of the event of a step.
        row: changes of the last row of the table.
        system: changes of the system's figures.
    """
    config = load_config("6gb", [f"train.logging_steps={every}", *overrides])
    readings = {"gpu_memory_reserved": 4.9, "gpu_utilization": 95.0, "cpu_utilization": 14.0, "memory": 3.2} | system
    if not gpu:
        readings |= {"gpu_memory_reserved": None, "gpu_utilization": None}  # type: ignore[dict-item]
    made = History("made", config, {"steps": TOTAL, "precision": "bfloat16", "recoveries": []}, [], [], [], None, [])
    made.manifest["device"] = {"kind": "cuda" if gpu else "cpu", "name": "", "memory_gib": 6.0}
    made.manifest.update(manifest or {})
    made.rows.extend({"id": f"row-{i}", "tokens": 200} for i in range(2000))
    for step in [1, *range(every, steps + 1, every)] if every > 1 else range(1, steps + 1):
        event = {"step": step, "epoch": step / PER_EPOCH, "learning_rate": scheduled_rate(made, step)}
        event |= {"loss": loss(step / TOTAL), "grad_norm": norm(step / TOTAL), **readings}
        made.steps.append(event | (at or {}).get(step, {}))
    for i, value in enumerate(evaluations):
        figures: dict[str, Any] = {"epoch": float(i + 1), "step": PER_EPOCH * (i + 1), "eval_loss": value}
        figures |= {"train_loss": train[i] if train else value * 0.95, "eval_runtime": 12.5}
        if tools:
            figures |= {"tool_name_accuracy": tools[0], "json_validity": tools[1]}
        made.epochs.append(figures)
    if row:
        made.epochs[-1] |= row
    if finished:
        end = {"train_loss": 0.9, "train_runtime": 5400.0}
        made = History(made.name, config, made.manifest, made.steps, [], made.epochs, end, made.rows)
    return made


def found(history: History, rule: str) -> RunFinding | None:
    return next((f for f in findings(history, normal=True) if f.rule == rule), None)


def figures(history: History, rule: str) -> dict[str, Any]:
    finding = found(history, rule)
    assert finding, f"{rule} was not found; there are {[f.rule for f in findings(history)]}"
    return finding.figures


def flat(value: float) -> Curve:
    return lambda share: value


def from_share(share: float, value: float, before: float = 0.8) -> Curve:
    return lambda done: value if done > share else before


# ---- losses over the epochs ----


def test_a_healthy_run_has_no_warning() -> None:
    for every in (1, 10):
        assert {f.level for f in findings(make(every=every), normal=True)} <= {"good", "note"}


def test_not_learning_is_high_and_flat() -> None:
    stuck = make(flat(2.4), evaluations=(2.3, 2.3, 2.3))
    assert figures(stuck, "not_learning") == pytest.approx({"start": 2.4, "now": 2.4, "steps": 750, "rate": 2e-4})
    assert findings(stuck)[0].rule == "not_learning" and findings(stuck)[0].level == "fault"
    assert not found(make(falling(1.9), evaluations=(2.2, 2.1, 2.0)), "not_learning"), "it falls by more than a tenth"
    assert not found(make(flat(0.99), evaluations=(1.1, 1.1, 1.1)), "not_learning"), "it is flat, but not high"
    assert not found(make(flat(2.4), evaluations=(), steps=40, finished=False), "not_learning"), "too early to say"
    assert found(make(flat(2.4), evaluations=(), steps=60, finished=False), "not_learning")


def test_loss_is_read_by_its_level() -> None:
    high = figures(make(falling(2.02, 6.0), evaluations=(3, 2.5, 2.4)), "loss_high")
    assert high["now"] == pytest.approx(2.15, abs=0.1)
    assert not found(make(falling(1.8, 6.0), evaluations=(3, 2.5, 2.4)), "loss_high")
    assert not found(make(falling(2.02, 6.0), evaluations=(), finished=False), "loss_high"), "it may still fall"
    assert figures(make(falling(0.4)), "in_progress")["start"] == pytest.approx(2.28, abs=0.1)
    good = figures(make(falling(0.2)), "well_learnt")
    assert good["now"] == pytest.approx(0.226, abs=0.01) and good["p"] == pytest.approx(math.exp(-good["now"]))
    assert not found(make(falling(0.2)), "in_progress")
    assert not found(make(falling(0.29)), "well_learnt"), "its last tenth is above 0.3"
    overfitted = make(falling(0.1), evaluations=(0.5, 0.6, 0.9), train=(0.6, 0.3, 0.1))
    assert not found(overfitted, "well_learnt"), "that was bought with overfitting"


def test_overfitting_and_the_best_epoch_of_the_reference_table(tmp_path: Path) -> None:
    history = read_history(run_samples.reference_run(tmp_path))
    over, best = figures(history, "overfitting"), figures(history, "best_epoch")
    assert (over["best_epoch"], over["rises_from"], over["epoch"]) == (3, 4, 5)
    assert (over["best_loss"], over["last_loss"], over["next_epochs"]) == (0.55, 1.10, 3)
    assert (best["epoch"], best["step"], best["value"], best["after"]) == (3, 750, 0.55, 7)
    assert not [f for f in findings(history) if f.level in ("warning", "fault") and f.rule != "overfitting"]


def test_overfitting_begins_a_tenth_above_the_best() -> None:
    train = (0.6, 0.5, 0.3)
    assert not found(make(evaluations=(0.70, 0.50, 0.549), train=train), "overfitting")
    assert figures(make(evaluations=(0.70, 0.50, 0.551), train=train), "overfitting")["epoch"] == 3
    risen = make(evaluations=(0.70, 0.50, 0.60), train=(0.6, 0.5, 0.5))
    assert not found(risen, "overfitting"), "training loss does not fall"


def test_calls_that_rose_while_the_loss_rose_are_said_with_their_figures() -> None:
    """The loss says that it is surer of its wrong answers, and not that there are more of them."""
    overrides = ["eval.generate=32"]
    risen = make(evaluations=(0.3, 0.24, 0.28), train=(0.5, 0.1, 0.02), tools=(0.34, 0.92), overrides=overrides)
    risen.manifest["rows"] = {"train": 2000, "validation": 250}
    risen.epochs[-1]["tool_name_accuracy"] = 0.47
    figure = figures(risen, "overfitting_by_loss")
    assert figure["calls"] == {"tool_name_accuracy": (0.34, 0.47)} and figure["scored"] == 32
    assert figure["best_loss"] == 0.24 and not found(risen, "overfitting") and not found(risen, "well_learnt")
    english, korean = (found(risen, "overfitting_by_loss").text(lang) for lang in ("en", "ko"))  # type: ignore[union-attr]
    assert "tool name 34% → 47%, on 32 rows" in english.meaning and "python -m eval run" in english.advice
    assert "도구 이름 34% → 47%" in korean.meaning and "32문항" in korean.meaning
    risen.epochs[-1]["tool_name_accuracy"] = 0.33
    assert not found(risen, "overfitting_by_loss")
    words = found(risen, "overfitting").text("ko")  # type: ignore[union-attr]
    assert "더 틀리는" not in words.meaning and "더 확신" in words.meaning


def test_choosing_by_calls_is_not_advised_on_few_rows() -> None:
    advice = found(make(tools=(0.55, 0.99), overrides=["eval.generate=32"]), "format_not_tool").text("en").advice  # type: ignore[union-attr]
    assert "only where 100 rows or more are scored (eval.generate, now 32)" in advice


def test_a_loss_says_which_steps_it_is_the_mean_of() -> None:
    """The table on the same page has the mean of an epoch, which is another figure."""
    for end in (0.2, 0.4):
        for lang, words in (("en", "of the last tenth"), ("ko", "마지막 10% 스텝의 평균")):
            rule = "well_learnt" if end < 0.3 else "in_progress"
            assert words in found(make(falling(end)), rule).text(lang).meaning  # type: ignore[union-attr, arg-type]


def test_best_epoch_is_by_what_the_run_selects_by() -> None:
    history = make(evaluations=(0.7, 0.5, 0.52), overrides=["eval.select_by=tool_name_accuracy"])
    history.epochs[0]["tool_name_accuracy"] = 0.99
    best = figures(history, "best_epoch")
    assert (best["epoch"], best["metric"], best["value"], best["after"]) == (1, "tool_name_accuracy", 0.99, 2)
    assert not found(make(), "best_epoch"), "the last is the best so far, and nothing proves it the lowest"


def test_still_falling_at_the_end() -> None:
    few = figures(make(evaluations=(1.35, 0.82, 0.55)), "too_few_epochs")
    assert few["fall"] == pytest.approx(1 - 0.55 / 0.82) and (few["epoch"], few["next_epochs"]) == (3, 4)
    small = make(evaluations=(1.0, 0.5, 0.46))
    assert figures(small, "last_is_best")["before"] == 0.5 and not found(small, "too_few_epochs")
    assert not found(make(evaluations=(1.35, 0.82), finished=False), "too_few_epochs"), "it goes on"


def test_one_evaluation_or_none() -> None:
    assert figures(make(evaluations=(0.5,)), "one_evaluation") == {"last_loss": 0.5, "epoch": 1.0, "every": 62}
    assert not found(make(evaluations=(0.5, 0.4)), "one_evaluation")
    for steps in (TOTAL, 10, 0):
        history = make(evaluations=(), steps=steps, finished=steps == TOTAL)
        assert all(f.level in ("good", "note") for f in findings(history, normal=True))


# ---- steps ----


def test_no_number_is_a_fault_with_its_rows() -> None:
    history = make(at={400: {"loss": "nan", "grad_norm": "nan"}}, steps=400, evaluations=(0.7,), finished=False)
    figure = figures(history, "not_finite")
    assert (figure["step"], figure["key"], figure["value"]) == (400, "loss", "nan")
    assert figure["rows"] == rows_of_step(history, 400) and len(figure["rows"]) == 8
    infinite = {"at": {10: {"grad_norm": "inf"}}}
    assert figures(make(**infinite), "not_finite")["key"] == "grad_norm"  # type: ignore[arg-type]
    half = make(**infinite, manifest={"precision": "float16"})  # type: ignore[arg-type]
    assert not found(half, "not_finite"), "float16 skips such steps"


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant_with_warmup"])
def test_rate_off_its_schedule(schedule: str) -> None:
    overrides = [f"train.schedule={schedule}"]
    right = make(overrides=overrides)
    assert not found(right, "lr_off_schedule")
    rate = scheduled_rate(right, 300)
    near = make(overrides=overrides, at={300: {"learning_rate": rate + 0.009 * 2e-4}})
    assert not found(near, "lr_off_schedule")
    off = figures(make(overrides=overrides, at={300: {"learning_rate": rate + 0.02 * 2e-4}}), "lr_off_schedule")
    assert off["step"] == 300 and off["expected"] == rate and off["found"] == pytest.approx(rate + 4e-6)


def test_schedule_is_the_trainers() -> None:
    """Against transformers' own, with the warm-up of the preset."""
    import torch
    from transformers import get_scheduler

    for schedule in ("linear", "cosine", "constant_with_warmup"):
        history = make(overrides=[f"train.schedule={schedule}"])
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
        scheduler = get_scheduler(schedule, optimizer, num_warmup_steps=38, num_training_steps=TOTAL)
        for step in range(1, TOTAL + 1):
            assert scheduled_rate(history, step) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-12)
            optimizer.step()
            scheduler.step()


def test_float16_may_lag_behind_its_schedule() -> None:
    """An overflow skips a step, and the schedule waits with it."""

    def lagging(by: int) -> History:
        history = make(manifest={"precision": "float16"})
        for event in history.steps:
            event["learning_rate"] = scheduled_rate(history, max(1, event["step"] - by))
        return history

    assert not found(lagging(20), "lr_off_schedule")
    assert found(lagging(60), "lr_off_schedule")


def test_rate_too_high_comes_back_up_with_large_gradients() -> None:
    def loss(end: float) -> Curve:
        return lambda share: 2.5 - 3.5 * share if share < 0.5 else 0.75 + (end - 0.75) * (share - 0.5) / 0.5

    wild = make(loss(1.6), flat(4.0))
    figure = figures(wild, "lr_too_high")
    assert (figure["rate"], figure["half"], figure["norm"]) == (2e-4, 1e-4, 4.0)
    assert figure["lowest"] == pytest.approx(0.85, abs=0.1) and figure["now"] == pytest.approx(1.52, abs=0.05)
    assert not found(make(loss(1.6), flat(2.0)), "lr_too_high"), "gradients are normal"
    assert not found(make(loss(0.9), flat(4.0)), "lr_too_high"), "it came back by less than a fifth"


def test_rate_too_low_leaves_gradients_as_they_were() -> None:
    slow = {"loss": falling(1.2), "evaluations": (1.8, 1.5, 1.3), "overrides": ["train.learning_rate=2e-5"]}
    figure = figures(make(norm=flat(1.5), **slow), "lr_too_low")  # type: ignore[arg-type]
    assert figure["rate"] == 2e-5 and (figure["norm_start"], figure["norm"]) == (1.5, 1.5)
    assert not found(make(norm=falling(1.0, 1.5), **slow), "lr_too_low"), "gradients shrink"  # type: ignore[arg-type]
    assert not found(make(norm=flat(1.5), **slow | {"overrides": []}), "lr_too_low")  # type: ignore[arg-type]
    assert not found(make(norm=flat(1.5), **slow | {"loss": falling(0.4)}), "lr_too_low")  # type: ignore[arg-type]


def test_unstable_is_more_than_a_few_large_gradients() -> None:
    def with_large(count: int) -> History:
        return make(at={100 + 10 * i: {"grad_norm": 10.5 + i} for i in range(count)})

    figure = figures(with_large(5), "grad_unstable")  # 72 values are logged after the warm-up
    assert figure["share"] == pytest.approx(5 / 72) and (figure["step"], figure["norm"]) == (140, 14.5)
    assert not found(with_large(3), "grad_unstable")
    assert not found(make(norm=flat(9.9)), "grad_unstable")


def test_stalled_gradients() -> None:
    assert figures(make(norm=from_share(0.8, 0.0009)), "grad_stalled")["norm"] == 0.0009
    assert not found(make(norm=from_share(0.8, 0.001)), "grad_stalled")
    learnt = found(make(falling(0.05), norm=from_share(0.8, 0.0009)), "grad_stalled")
    assert learnt and learnt.level == "note", "nothing is left to learn"


def test_spike_of_the_loss_names_the_rows_of_its_steps() -> None:
    history = make(flat(0.5), at={400: {"loss": 1.7}, 650: {"loss": 1.2}}, evaluations=(0.5, 0.5, 0.5))
    figure = figures(history, "loss_spike")
    assert (figure["step"], figure["loss"], figure["usual"], figure["count"]) == (400, 1.7, 0.5, 2)
    assert figure["rows"] == [row for step in range(391, 401) for row in rows_of_step(history, step)]
    single = make(flat(0.5), at={400: {"loss": 1.7}}, every=1)
    assert figures(single, "loss_spike")["rows"] == rows_of_step(single, 400)
    assert not found(make(flat(0.5), at={400: {"loss": 1.0}}), "loss_spike"), "twice the usual"
    assert not found(make(flat(0.1), at={400: {"loss": 0.6}}), "loss_spike"), "by no more than 0.5"
    noisy = make(lambda share: 1.2 if round(share * TOTAL) % 50 == 0 else 0.3, evaluations=(0.5, 0.5, 0.5))
    assert not found(noisy, "loss_spike"), "such batches come all the time"


def test_spike_of_the_gradient() -> None:
    history = make(norm=flat(0.8), at={400: {"grad_norm": 8.0}})
    figure = figures(history, "grad_spike")
    assert (figure["step"], figure["norm"], figure["usual"]) == (400, 8.0, 0.8)
    assert figure["rows"] == rows_of_step(history, 400)
    assert not found(make(norm=flat(0.8), at={400: {"grad_norm": 2.4}}), "grad_spike"), "three times the usual"
    assert not found(make(norm=flat(0.3), at={400: {"grad_norm": 2.0}}), "grad_spike"), "still normal"
    both = make(flat(0.5), flat(0.8), at={400: {"grad_norm": 8.0, "loss": 2.0}}, every=1)
    assert found(both, "loss_spike") and not found(both, "grad_spike"), "one spike is said once"


# ---- tools and machine ----


def test_format_learnt_but_not_the_tool() -> None:
    figure = figures(make(tools=(0.55, 0.99)), "format_not_tool")
    assert (figure["epoch"], figure["json"], figure["name"], figure["eval_loss"]) == (3, 0.99, 0.55, 0.46)
    assert not found(make(tools=(0.75, 0.99)), "format_not_tool")
    assert not found(make(tools=(0.55, 0.89)), "format_not_tool")


def test_a_tool_is_not_called_unlearnt_for_want_of_abstention() -> None:
    """Of five rows one needs no call: with the due calls right, calling there too leaves the names at 70 %."""
    lacking = {"tool_name_accuracy": 0.7, "json_validity": 0.99, "abstention": 0.0}
    assert not found(make(row=lacking | {"must_call_exact": 0.5}), "format_not_tool")
    assert found(make(row=lacking | {"must_call_exact": 0.49}), "format_not_tool")


def test_calling_whatever_is_offered_and_never_calling() -> None:
    def kinds(json: float, must_call: float, abstention: float) -> History:
        row = {"json_validity": json, "must_call_exact": must_call, "abstention": abstention}
        return make(row=row, overrides=["eval.generate=64"], manifest={"rows": {"validation": 250}})

    figure = figures(kinds(0.97, 0.6, 0.19), "calls_whatever")
    assert figure == {"epoch": 3, "must_call_exact": 0.6, "abstention": 0.19, "json": 0.97, "scored": 64}
    assert "in only 19% (of 64 rows scored)" in found(kinds(0.97, 0.6, 0.19), "calls_whatever").text("en").meaning  # type: ignore[union-attr]
    assert not found(kinds(0.97, 0.6, 0.2), "calls_whatever")
    assert not found(kinds(0.89, 0.6, 0.19), "calls_whatever"), "it does not call well enough yet to say"

    figure = figures(kinds(0.19, 0.1, 0.8), "never_calls")
    assert (figure["json"], figure["must_call_exact"], figure["abstention"]) == (0.19, 0.1, 0.8)
    assert not found(kinds(0.2, 0.1, 0.8), "never_calls")
    assert not found(kinds(0.19, 0.1, 0.79), "never_calls"), "it calls, in no readable form"
    assert not found(make(row={"json_validity": 0.0}), "never_calls"), "no row without a call was scored"


def test_the_two_kinds_are_read_at_the_lowest_loss() -> None:
    history = make(evaluations=(0.7, 0.48, 0.46))
    for row, abstention in zip(history.epochs, (0.0, 0.0, 0.9), strict=True):
        row |= {"must_call_exact": 0.8, "abstention": abstention}
    assert not found(history, "calls_whatever")
    history.epochs[1]["eval_loss"] = 0.4
    assert figures(history, "calls_whatever")["epoch"] == 2


def test_format_learnt_but_not_the_name_by_the_losses_alone() -> None:
    def by_role(form: float, name: float, tools: tuple[float, float] | None = None) -> History:
        return make(tools=tools, row={"eval_loss_format": form, "eval_loss_name": name})

    figure = figures(by_role(0.02, 0.6), "format_not_name")
    assert (figure["format_loss"], figure["name_loss"]) == (0.02, 0.6)
    assert figure["name_p"] == pytest.approx(math.exp(-0.6))
    assert not found(by_role(0.02, 0.29), "format_not_name")
    assert not found(by_role(0.1, 0.6), "format_not_name")
    assert not found(by_role(0.02, 0.6, (0.95, 0.99)), "format_not_name"), "the names themselves were measured"


def test_truncated_generations() -> None:
    figure = figures(make(row={"eval_truncated": 0.06}), "truncated")
    assert figure == {"epoch": 3.0, "share": 0.06, "limit": 256}
    assert not found(make(row={"eval_truncated": 0.05}), "truncated")


def test_memory_against_card_budget_and_main_memory() -> None:
    figure = figures(make(gpu_memory_reserved=5.45), "memory_near")
    assert figure == pytest.approx({"peak": 5.45, "limit": 6.0, "share": 5.45 / 6, "margin": 0.55})
    assert not found(make(gpu_memory_reserved=5.39), "memory_near")
    peak = make(manifest={"peak_memory": {"gpu_reserved_gib": 5.8, "rss_gib": 3.0}})
    assert figures(peak, "memory_near")["peak"] == 5.8
    assert figures(make(overrides=["memory.budget_gb=5"]), "memory_near")["limit"] == 5
    assert figures(make(gpu=False, memory=5.5), "memory_near")["peak"] == 5.5
    assert not found(make(gpu=False), "memory_near")


def test_memory_that_ran_out_and_was_made_to_do() -> None:
    change = {"train.micro_batch": 1, "train.accumulation": 8}
    history = make(manifest={"recoveries": [{"step": 120, "phase": "step", "change": change, "said": ""}]})
    assert figures(history, "memory_recovered")["changes"] == ["train.micro_batch=1", "train.accumulation=8"]
    assert not found(make(), "memory_recovered")


def test_a_gpu_that_waits() -> None:
    assert figures(make(gpu_utilization=50, cpu_utilization=20), "gpu_idle") == {"gpu": 50, "cpu": 20}
    assert not found(make(gpu_utilization=51), "gpu_idle")
    assert found(make(gpu_utilization=90), "gpu_busy") and not found(make(gpu_utilization=89), "gpu_busy")
    assert not found(make(gpu_utilization=30, steps=30, evaluations=()), "gpu_idle"), "four readings say little"


def test_evaluation_that_became_slower() -> None:
    figure = figures(make(row={"eval_runtime": 25.0}), "eval_slower")
    assert (figure["epoch"], figure["runtime"], figure["usual"], figure["ratio"]) == (3, 25.0, 12.5, 2.0)
    assert not found(make(row={"eval_runtime": 18.7}), "eval_slower")
    short = make(row={"eval_runtime": 6.9})
    for earlier in short.epochs[:-1]:
        earlier["eval_runtime"] = 2.0
    assert not found(short, "eval_slower"), "less than 5 s is noise"


# ---- normal, order, words ----


def test_what_is_normal_is_said_when_asked() -> None:
    names = {rule.__name__ for rule in NORMAL}
    assert names == {f.rule for f in findings(make(), normal=True)} - {f.rule for f in findings(make())}
    assert figures(make(), "mean_above_last")["mean"] == 0.9
    assert not found(make(flat(0.95)), "mean_above_last")
    assert figures(make(norm=flat(2.0)), "grad_normal") == {"norm": 2.0}
    assert not found(make(norm=flat(2.1)), "grad_normal")


def test_order_is_by_importance() -> None:
    history = make(flat(2.4), evaluations=(2.3, 2.3, 2.4), gpu_utilization=30)
    levels = [f.level for f in findings(history, normal=True)]
    assert levels == sorted(levels, key=("fault", "warning", "good", "note").index) and levels[0] == "fault"


@pytest.mark.parametrize("build", ["healthy_run", "running_run", "cut_run", "cpu_run", "reference_run"])
def test_run_folders_read_without_false_alarms(build: str, tmp_path: Path) -> None:
    history = read_history(getattr(run_samples, build)(tmp_path))
    alarms = {f.rule for f in findings(history) if f.level in ("warning", "fault")}
    assert alarms == {"cpu_run": {"format_not_tool"}, "reference_run": {"overfitting"}}.get(build, set())


def test_every_rule_has_whole_words_in_both_languages() -> None:
    names = {rule.__name__ for rule in RULES + NORMAL}
    assert names == _words().keys() - {"verdicts", "calls", "unknown_rows", "more_rows"}
    for name in names:
        for part in ("title", "meaning", "advice"):
            korean, english = _words()[name][part]
            slots = [{f[1] for f in string.Formatter().parse(text) if f[1]} for text in (korean, english)]
            assert slots[0] == slots[1], f"{name}.{part}: {slots}"
            assert any("가" <= c <= "힣" for c in korean) and not any("가" <= c <= "힣" for c in english)


def test_text_has_the_figures_and_names_the_first_rows() -> None:
    many = RunFinding(
        "loss_spike", "warning", {"step": 40, "loss": 1.75, "usual": 0.5, "count": 1, "rows": list("abcdefghij")}
    )
    assert many.text("en").title == "The loss spikes at step 40 (1.75)"
    assert "a, b, c, d, e, f, g, h and 2 more" in many.text("en").meaning
    assert "외 2개" in many.text("ko").meaning
    unknown = RunFinding("loss_spike", "warning", many.figures | {"rows": []})
    assert "not kept by this run" in unknown.text("en").meaning


# ---- verdicts ----


def test_verdicts_with_hindsight_are_those_of_the_reference_table() -> None:
    """docs/metrics.md, "The epoch table": its figures and its last column."""
    table = [
        (2.1, 2.0, 0.55, 0.70, "early"),
        (1.4, 1.35, 0.75, 0.85, "improving fast"),
        (0.8, 0.82, 0.90, 0.96, "nearly converged"),
        (0.5, 0.55, 0.95, 0.99, "best"),
        (0.35, 0.58, 0.95, 0.99, "marginal"),
        (0.25, 0.65, 0.94, 0.98, "overfitting"),
        (0.15, 0.80, 0.91, 0.96, "worse"),
        (0.08, 1.10, 0.85, 0.90, "much worse"),
    ]
    rows = [
        {"train_loss": train, "eval_loss": loss, "tool_name_accuracy": name, "json_validity": valid}
        for train, loss, name, valid, _ in table
    ]
    assert verdicts(rows) == [word for *_, word in table]
    assert verdicts(rows[:4])[-1] == "nearly converged", "nothing has proved it the best yet"
    assert verdicts([]) == []


def test_verdict_without_tool_metrics() -> None:
    rows = [{"train_loss": t, "eval_loss": v} for t, v in ((1.0, 1.0), (0.8, 0.91))]
    assert verdict(rows) == "nearly converged"
    rows[1]["eval_loss"] = 0.89
    assert verdict(rows) == "improving fast"


def test_a_row_without_training_loss_is_judged_by_the_other() -> None:
    """With eval.every below logging_steps there are such rows."""
    rows = [{"train_loss": t, "eval_loss": v} for t, v in ((1.0, 1.0), (None, 1.2))]
    assert verdict(rows) == "overfitting"
    history = make(evaluations=(0.7, 0.5, 0.6))
    history.epochs[-1]["train_loss"] = None
    assert figures(history, "overfitting")["last_train"] == pytest.approx(0.38, abs=0.02)


def test_verdict_words_in_korean() -> None:
    assert verdict_word("much worse", "ko") == "크게 하락" and verdict_word("much worse", "en") == "much worse"
