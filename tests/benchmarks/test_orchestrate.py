"""The orchestrator with workers that misbehave: real processes, but none that trains."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from benchmarks.arms import ArmSetup, Unavailable, base_config
from benchmarks.orchestrate import WorkerJob, measure_all, rows_path
from benchmarks.results import TrainResult
from benchmarks.shapes import fixed
from tooltune.config import Config, load_config

WORKER = """
import json, os, pathlib, signal, sys, time
spec = json.load(open(sys.argv[1]))
arm, folder = spec["arm"], pathlib.Path(spec["rows"]).parent
with (folder / "order").open("a") as f:
    f.write(arm + chr(10))
(folder / "pid").write_text(str(os.getpid()))
print("Loading", flush=True)
if arm == "crash":
    os.abort()
if arm == "hang":
    time.sleep(120)
if arm == "greedy":
    held = bytearray(400 * 1024 * 1024)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(120)
if arm == "mute":
    sys.exit(0)
if arm == "interrupt":
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(120)
if arm == "gpu-oom":
    run = {"status": "out of memory", "reason": "CUDA out of memory"}
else:
    rate = 2.0 if arm == "fast" else 1.0
    run = {"status": "ok", "reason": None, "losses": [1.0] * 20, "batches_sha256": "b", "adapter_sha256": "a",
           "samples_per_second": rate, "peak_rss_gib": 1.0, "peak_reserved_gib": None}
json.dump(run, open(spec["result"], "w"))
"""
SHAPES = [fixed(1, 64), fixed(2, 32)]


def plain(base: Config, device: str) -> ArmSetup:
    return ArmSetup(base.model_copy(update={"model": base.model.model_copy(update={"backend": "hf"})}), trl=False)


def other(base: Config, device: str) -> ArmSetup:
    return ArmSetup(base.model_copy(update={"model": base.model.model_copy(update={"backend": "unsloth"})}), trl=True)


def reference(base: Config, device: str) -> ArmSetup:
    return replace(other(base, device), reference=True)


def absent(base: Config, device: str) -> ArmSetup:
    raise Unavailable("needs a GPU: it is made for one")


@pytest.fixture
def job(tmp_path: Path) -> WorkerJob:
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    for shape in SHAPES:
        rows_path(tmp_path, shape).write_text("", encoding="utf-8")
    return WorkerJob(
        base=base_config(load_config("cpu")),
        device="cpu",
        steps=20,
        warmup=4,
        timeout_s=60,
        limit_gib=0.3,
        work=tmp_path,
        command=lambda spec: [sys.executable, "-S", str(script), str(spec)],
    )


def measured(job: WorkerJob, arms: dict[str, Any], *, repeats: int, shapes: int = 1) -> TrainResult:
    result: Any = {"kind": "train", "device": {"kind": "cpu"}, "complete": False, "shapes": [], "valid": True}
    quiet = Console(file=(job.work / "said").open("w", encoding="utf-8"))
    measure_all(job, arms, SHAPES[:shapes], repeats, result, job.work / "result.json", quiet)
    assert result == written(job)
    return result


def written(job: WorkerJob) -> Any:
    return json.loads((job.work / "result.json").read_text(encoding="utf-8"))


def order(job: WorkerJob) -> list[str]:
    return (job.work / "order").read_text(encoding="utf-8").split()


def test_repeats_are_interleaved(job: WorkerJob) -> None:
    result = measured(job, {"slow": plain, "fast": other}, repeats=3, shapes=2)
    assert order(job) == ["slow", "fast"] * 6
    assert result["complete"] and result["valid"]
    for shape in result["shapes"]:
        assert [[run["repeat"] for run in arm["runs"]] for arm in shape["arms"]] == [[0, 1, 2], [0, 1, 2]]
        assert shape["speedup"] == [{"arm": "fast", "against": "slow", "ratio": 2.0, "low": 2.0, "high": 2.0}]
        assert shape["parity"][0]["passed"] and shape["parity"][0]["steps"] == 20
    assert "fast trains 2.00× as fast as slow" in result["verdict"]


def test_a_reference_is_measured_and_measured_against(job: WorkerJob) -> None:
    result = measured(job, {"slow": plain, "compiled": reference, "fast": other, "more": other}, repeats=1)
    for key in ("parity", "speedup"):
        pairs = [(row["arm"], row["against"]) for row in result["shapes"][0][key]]  # type: ignore[literal-required]
        assert pairs == [(arm, "slow") for arm in ("compiled",)] + [
            (arm, against) for arm in ("fast", "more") for against in ("slow", "compiled")
        ]


def test_an_arm_that_ends_badly_is_reported_and_the_others_run(job: WorkerJob) -> None:
    bad = {"crash": "crashed", "greedy": "out of memory", "mute": "crashed", "gpu-oom": "out of memory"}
    arms = {"slow": plain, **dict.fromkeys(bad, other), "absent": absent, "fast": other}
    result = measured(job, arms, repeats=2)
    rows = {arm["arm"]: arm for arm in result["shapes"][0]["arms"]}
    assert {name: rows[name]["status"] for name in bad} == bad
    assert all(len(rows[name]["runs"]) == 1 for name in bad), "what failed is not repeated on the same shape"
    assert "SIGABRT" in str(rows["crash"]["reason"]) and "Loading" in str(rows["crash"]["reason"])
    assert "0.3 GiB of main memory" in str(rows["greedy"]["reason"])
    assert rows["absent"] == rows["absent"] | {"status": "skipped", "reason": "needs a GPU: it is made for one"}
    assert [len(rows[name]["runs"]) for name in ("slow", "fast")] == [2, 2]
    assert [s["arm"] for s in result["shapes"][0]["speedup"]] == ["fast"]
    assert "greedy (1 × 64): out of memory" in result["verdict"]


def test_a_hung_arm_is_ended_and_reported(job: WorkerJob) -> None:
    started = time.monotonic()
    result = measured(replace(job, timeout_s=6), {"hang": plain, "fast": other}, repeats=1)
    rows = result["shapes"][0]["arms"]
    assert [row["status"] for row in rows] == ["hung", "ok"]
    assert time.monotonic() - started < 100, "it was not waited for"
    assert not rows[0]["summary"] and not result["shapes"][0]["speedup"]


def test_ctrl_c_keeps_what_was_measured(job: WorkerJob) -> None:
    result = measured(job, {"slow": plain, "interrupt": other, "fast": other}, repeats=2)
    rows = {arm["arm"]: arm for arm in result["shapes"][0]["arms"]}
    assert rows["slow"]["status"] == "ok" and rows["slow"]["summary"]["samples_per_second"]["median"] == 1.0
    assert rows["interrupt"]["status"] == "interrupted"
    assert (rows["fast"]["status"], rows["fast"]["reason"]) == ("skipped", "not reached")
    assert not result["complete"] and result["verdict"].startswith("Interrupted.")
    assert not psutil.pid_exists(int((job.work / "pid").read_text())), "the worker is ended too"
