"""The plan against what was measured: a public archive of a real Tesla T4, and the runs of this machine."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from finetune.cli import app
from finetune.memory.calibration import calibrate, finished_runs, planned_memory
from finetune.memory.overheads import CONTEXT, GIB, MIB, UNCALIBRATED, Calibration, expected, gate
from finetune.memory.published import Comparison, t4_rows
from tooltune.config import load_config

ROWS = t4_rows()
SDPA = [pytest.param(row, c, id=c.what) for row, c in ROWS if row["attention"] == "sdpa"]
EAGER = [pytest.param(row, c, id=c.what) for row, c in ROWS if row["attention"] == "eager"]


def test_the_archive_is_whole() -> None:
    assert (len(SDPA), len(EAGER)) == (17, 16)


@pytest.mark.parametrize(("row", "c"), SDPA)
def test_sdpa_rows_of_the_t4(row: dict[str, Any], c: Comparison) -> None:
    """Nothing is fitted to these."""
    assert abs(c.error) <= 0.025


@pytest.mark.parametrize(("row", "c"), EAGER)
def test_eager_rows_of_the_t4(row: dict[str, Any], c: Comparison) -> None:
    """Two coefficients are fitted to all sixteen: eager softmax keeps a score matrix that no tensor count sees."""
    assert abs(c.error) <= 0.025


@pytest.mark.parametrize(("row", "c"), SDPA)
def test_the_gate_covers_what_the_process_took(row: dict[str, Any], c: Comparison) -> None:
    """Reserved memory and the CUDA context, up to the 5.7 GiB of tensors for which the gate is made."""
    if c.planned <= 5.7 * GIB:
        assert gate(c.planned) >= row["peak_reserved_mib"] * MIB + CONTEXT


def test_expected_and_gate_are_the_recommended_ones() -> None:
    """1.03·a + 0.55 GiB and 1.10·a + 1.0 GiB: 1,404 MiB of tensors give 2,009 and 2,568 MiB."""
    assert expected(1404 * MIB) // MIB == 2009
    assert gate(1404 * MIB) // MIB == 2568


def test_a_calibrated_gate_is_never_below_the_uncalibrated() -> None:
    assert gate(GIB, Calibration(1.0, 3)) == gate(GIB)
    assert gate(GIB, Calibration(1.2, 3)) == int(1.26 * GIB + GIB)
    assert expected(GIB, Calibration(1.2, 3)) == int(1.2 * GIB + 0.55 * GIB)


def finished(
    runs: Path, name: str, reserved: float | None, *, card: str = "RTX 3060", planned: bool = True, workspace: float = 0
) -> None:
    manifest: dict[str, Any] = {"device": {"name": card}}
    if planned:
        manifest["planned_memory"] = {"tensors_gib": 2.0, "expected_gib": 2.6, "gate_gib": 3.2}
    if reserved:
        manifest["peak_memory"] = {"gpu_allocated_gib": 1.9, "gpu_reserved_gib": reserved, "rss_gib": 3.0}
        manifest["peak_memory"] |= {"gpu_workspace_gib": workspace} if workspace else {}
    (runs / name).mkdir()
    (runs / name / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_the_ratio_is_the_median_of_this_cards_finished_runs(tmp_path: Path) -> None:
    for name, reserved in (("a", 2.2), ("b", 2.4), ("c", 3.0)):
        finished(tmp_path, name, reserved)
    finished(tmp_path, "another-card", 9.0, card="RTX 4090")
    finished(tmp_path, "interrupted", None)
    finished(tmp_path, "older", 9.0, planned=False)
    (tmp_path / "latest").symlink_to("c")
    runs = finished_runs(tmp_path, "RTX 3060")
    assert sorted(run.name for run in runs) == ["a", "b", "c"]
    assert calibrate(runs) == Calibration(pytest.approx(1.2), 3)  # type: ignore[arg-type]
    assert runs[0].error == pytest.approx(2.0 / 1.9 - 1)
    assert len(finished_runs(tmp_path)) == 4


@pytest.mark.parametrize(("lends", "ratio"), [(True, 1.11), (False, 1.03)])
def test_where_segments_cannot_grow_more_is_expected_before_the_first_run(
    lends: bool, ratio: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows and WSL. The gate is made for the stock allocator, so it stays."""
    monkeypatch.setattr("finetune.memory.overheads.lends_main_memory", lambda: lends)
    calibration = calibrate([])
    assert (calibration.ratio, calibration.runs) == (ratio, 0)
    assert expected(GIB, calibration) == int(ratio * GIB + 0.55 * GIB)
    assert gate(GIB, calibration) == gate(GIB)
    planned = planned_memory(load_config("6gb"), longest=2048, labelled=0.1, turing=False)
    assert planned and planned["expected_gib"] == pytest.approx(ratio * planned["tensors_gib"] + 0.55, abs=0.002)
    assert ("segments cannot grow" in CliRunner().invoke(app, ["plan"]).output) is lends


def test_a_manifests_plan_knows_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSLOTH_FUSED_LINEAR_FLASH_MIN_ROWS", raising=False)
    padded = ["model.name=Qwen/Qwen2.5-0.5B-Instruct", "eval.generate=0", "train.share_prefix=off"]
    config = load_config("6gb", padded)
    small, large = (
        planned_memory(config, longest=512, labelled=1.0, turing=False, total=total) for total in (6 * GIB, 80 * GIB)
    )
    assert small and large and large["tensors_gib"] > 1.2 * small["tensors_gib"]


BROKEN = ("", '{"device": {"na', "[]", "{}", '{"device": {}, "planned_memory": {"a": 1}, "peak_memory": 3}', "\\ud800")


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_run_is_left_out_and_said(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan names no run: none may stop it."""
    finished(tmp_path, "good", 2.4)
    finished(tmp_path, "torn", 2.4)
    (tmp_path / "torn" / "manifest.json").write_text(text, encoding="utf-8")
    said: list[str] = []
    assert [run.name for run in finished_runs(tmp_path, say=said.append)] == ["good"]
    assert len(said) == 1 and str(tmp_path / "torn" / "manifest.json") in said[0]
    monkeypatch.setenv("TOOLTUNE_RUNS", str(tmp_path))
    done = CliRunner().invoke(app, ["plan", "6gb"])
    assert done.exit_code == 0 and "good" in done.output and f"left out: {tmp_path / 'torn'}" in done.output


def test_cublas_workspaces_are_no_tensors_of_the_plan(tmp_path: Path) -> None:
    """32 MiB for each of two threads on Hopper; the constant part of what is expected has them already."""
    finished(tmp_path, "hopper", 2.4625, workspace=0.0625)
    (run,) = finished_runs(tmp_path, "RTX 3060")
    assert calibrate([run]).ratio == pytest.approx(1.2) and run.error == pytest.approx(2.0 / 1.8375 - 1)


def test_nothing_finished_means_the_assumed_ratio(tmp_path: Path) -> None:
    assert calibrate(finished_runs(tmp_path, "RTX 3060")) == UNCALIBRATED


def test_a_run_plans_for_its_real_rows() -> None:
    config = load_config("6gb")
    long = planned_memory(config, longest=2048, labelled=1.0, turing=False)
    short = planned_memory(config, longest=600, labelled=0.1, turing=False)
    assert long and short and short["gate_gib"] < long["gate_gib"]
    assert planned_memory(load_config("6gb", ["model.name=nobody/knows"]), longest=9, labelled=1, turing=True) is None
