"""The search for the longest sequence, and what its workers' ends mean."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import length
from benchmarks.arms import ArmSetup, base_config
from benchmarks.orchestrate import WorkerJob
from benchmarks.results import ArmRun
from tooltune.config import load_config


@pytest.mark.parametrize("true", [1, 7, 8, 9, 63, 64, 100, 511, 512, 513, 700, 5000])
@pytest.mark.parametrize("most", [512, 1000])
def test_bisection_finds_the_longest_that_fits(true: int, most: int) -> None:
    tried = []

    def fits(length: int) -> bool:
        tried.append(length)
        return length <= true

    found = length.longest(fits, start=64, grain=8, most=most)
    assert found == (min(true, most) // 8 * 8 or None)
    assert len(tried) == len(set(tried)) <= 12 and all(length % 8 == 0 for length in tried)


def searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: Any) -> length.LengthArm:
    def run_one(job: Any, name: str, setup: Any, shape: Any, stepped: Any) -> ArmRun:
        return {"status": end(shape.length), "reason": "because", "peak_rss_gib": 1.0}

    monkeypatch.setattr(length, "run_one", run_one)
    monkeypatch.setattr(length, "write_shapes", lambda *args, **kwargs: None)
    base = base_config(load_config("cpu"))
    job = WorkerJob(base, "cpu", 3, 1, 60, 1.0, tmp_path, lambda spec: [])
    row = length._unsearched("x")
    length.find(job, row, ArmSetup(base, trl=False), [], 2048, 64, lambda _: None, lambda: None)
    return row


def test_out_of_memory_bounds_the_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = searched(monkeypatch, tmp_path, lambda n: "ok" if n <= 1000 else "out of memory")
    assert (row["status"], row["longest"], row["capped"]) == ("ok", 960, False)


def test_what_fits_up_to_the_most_is_called_capped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = searched(monkeypatch, tmp_path, lambda n: "ok")
    assert (row["status"], row["longest"], row["capped"]) == ("ok", 2048, True)


def test_nothing_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = searched(monkeypatch, tmp_path, lambda n: "out of memory")
    assert (row["status"], row["longest"]) == ("out of memory", None)


def test_a_crash_is_no_boundary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = searched(monkeypatch, tmp_path, lambda n: "ok" if n <= 1000 else "crashed")
    assert (row["status"], row["longest"], row["reason"]) == ("crashed", 512, "because")
