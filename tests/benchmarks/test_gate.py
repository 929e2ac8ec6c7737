"""The parity gate and the verdict on runs made by hand; two arms that really differ are in test_worker."""

import math
from typing import Any

import pytest

from benchmarks.gate import compare, valid
from benchmarks.report.verdict import told
from benchmarks.results import summarise


def arm(name: str, *runs: dict[str, Any], status: str = "ok") -> Any:
    made = [
        {
            "repeat": repeat,
            "status": status,
            "reason": None,
            "losses": [2.0] * 30,
            "samples_per_second": 1.0,
            "peak_rss_gib": 4.0,
            "batches_sha256": "b",
            "adapter_sha256": "a",
            **run,
        }
        for repeat, run in enumerate(runs)
    ]
    row = {"arm": name, "status": status, "reason": None, "different_batches": False, "runs": made}
    return row | {"summary": summarise(made)}  # type: ignore[arg-type]


def compared(*arms: Any, plain: tuple[str, ...] = ("hf-trainer",)) -> Any:
    shape: Any = {"shape": "mix", "micro_batch": 4, "length": None, "arms": list(arms), "parity": [], "speedup": []}
    compare(shape, plain)
    result: Any = {"kind": "train", "complete": True, "device": {"kind": "cpu"}, "shapes": [shape]}
    result["valid"] = valid(result)
    return result | {"verdict": told(result)}


def test_equal_losses_give_a_speedup_over_the_pairs() -> None:
    slow = arm("hf-trainer", {"samples_per_second": 1.0}, {"samples_per_second": 1.25}, {"samples_per_second": 1.0})
    fast = arm("unsloth", *[{"samples_per_second": rate, "peak_rss_gib": 3.0} for rate in (1.5, 2.0, 1.8)])
    result = compared(slow, fast)
    assert result["shapes"][0]["speedup"] == [
        {"arm": "unsloth", "against": "hf-trainer", "ratio": 1.8, "low": 1.5, "high": 1.8}
    ]
    assert result["valid"]
    assert result["verdict"] == (
        "unsloth trains 1.80× as fast as hf-trainer. "
        "Peak memory 3.00 GiB with unsloth, 4.00 GiB with hf-trainer: 25% less (4 × dataset’s lengths). "
        "unsloth and hf-trainer compute the same: "
        "over the first 20 steps their losses differ by 0.00 at most (limit 0.02)."
    )


@pytest.mark.parametrize("wrong", [{"losses": [2.0] * 19 + [2.021] + [2.0] * 10}, {"losses": [math.nan] * 30}])
def test_other_losses_are_invalid_and_never_faster(wrong: dict[str, Any]) -> None:
    result = compared(arm("hf-trainer", {}, {}), arm("unsloth", {"samples_per_second": 9.0}, wrong))
    assert not result["valid"] and result["verdict"].startswith("Invalid: the losses differ")
    assert "unsloth and hf-trainer: over the first" in result["verdict"] or "loss is NaN" in result["verdict"]
    assert result["shapes"][0]["speedup"] == []


def test_only_the_first_twenty_steps_are_compared() -> None:
    result = compared(arm("hf-trainer", {}), arm("unsloth", {"losses": [2.0] * 20 + [5.0] * 10}))
    assert result["shapes"][0]["parity"][0]["steps"] == 20 and result["valid"]


@pytest.mark.parametrize("key", ["batches_sha256", "adapter_sha256"])
def test_equal_losses_of_other_work_do_not_pass(key: str) -> None:
    result = compared(arm("hf-trainer", {}), arm("unsloth", {key: "another"}))
    assert not result["valid"] and "same batches" in result["verdict"]


def test_every_arm_stands_against_each_plain_one_before_it() -> None:
    result = compared(arm("hf", {}), arm("hf-trainer", {}), arm("unsloth", {}), plain=("hf", "hf-trainer"))
    pairs = [(p["arm"], p["against"]) for p in result["shapes"][0]["parity"]]
    assert pairs == [("hf-trainer", "hf"), ("unsloth", "hf"), ("unsloth", "hf-trainer")]


def test_an_arm_without_a_good_run_is_named_and_not_compared() -> None:
    result = compared(arm("hf-trainer", {}), arm("unsloth", {}, status="out of memory"))
    assert "unsloth" in result["verdict"] and "out of memory" in result["verdict"] and not result["shapes"][0]["parity"]


def test_a_range_around_one_is_no_difference() -> None:
    slow = arm("hf-trainer", {"samples_per_second": 1.0}, {"samples_per_second": 1.2})
    fast = arm("unsloth", {"samples_per_second": 1.1}, {"samples_per_second": 1.1})
    assert "No clear difference" in compared(slow, fast)["verdict"]
