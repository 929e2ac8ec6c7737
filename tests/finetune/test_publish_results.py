"""Recording a run: which files change, and the time of a run that was trained in parts."""

import json
from pathlib import Path

import pytest

from eval.scoring.stats import harmonic_mean, rate
from finetune import publish_results as record
from finetune.history import read_history
from finetune.report.tables import key_figures
from finetune.report.trained import trained
from tests.finetune import run_samples
from tooltune import blocks
from tooltune.files import read_jsonl, write_json, write_jsonl


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Pages with a block for `cpu` and none for anything else, and an empty folder of measured files."""
    paths = {language: tmp_path / f"results.{language}.md" for language in ("en", "ko")}
    for path in paths.values():
        path.write_text("before\n<!-- measured: cpu -->\n<!-- end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(blocks, "PAGES", {language: (path,) for language, path in paths.items()})
    monkeypatch.setattr(record, "MEASURED", tmp_path / "measured")
    (tmp_path / "measured").mkdir()
    return paths


def test_only_what_changed_is_said_to_be_written(tmp_path: Path, pages: dict[str, Path]) -> None:
    other = run_samples.healthy_run(tmp_path, "mine-20261125-123317")
    assert record.record(other) == [tmp_path / "measured" / "mine.json"], "no page has a block for it"
    cpu = run_samples.cpu_run(tmp_path)
    assert record.record(cpu) == [tmp_path / "measured" / "cpu.json", *pages.values()]
    assert record.record(cpu) == [], "it is all there already"


def test_rows_with_a_call_and_rows_without_are_recorded_apart(tmp_path: Path, pages: dict[str, Path]) -> None:
    run = run_samples.cpu_run(tmp_path)
    rates = {"exact_match": rate(15, 50), "must_call_exact": rate(10, 40), "abstention": rate(5, 10)}
    scores = {
        "n": 50,
        "samples": [],
        "headline": rates | {"balanced": harmonic_mean(rates["must_call_exact"], rates["abstention"])},
        "slices": {"bucket": {}},
        "apart": {"no_attempt": rate(3, 40)},
    }
    worse = rates | {"must_call_exact": rate(4, 40), "abstention": rate(9, 10), "hallucination_rate": rate(1, 50)}
    rates["hallucination_rate"] = rate(2, 50)
    base = scores | {"headline": worse | {"balanced": harmonic_mean(worse["must_call_exact"], worse["abstention"])}}
    scores["headline"] |= rates
    evaluation = {"base": base, "tuned": scores, "execution": None, "probe": {"by_bucket": {}}}
    (run / "eval" / "test").mkdir(parents=True)
    write_json(run / "eval" / "test" / "metrics.json", evaluation | {"seconds": {"base": 1.0, "tuned": 1.0}})
    record.record(run)
    measured = json.loads((tmp_path / "measured" / "cpu.json").read_text(encoding="utf-8"))
    assert measured["evaluation"]["no_attempt"]["base"] == pytest.approx(rate(3, 40), rel=1e-5)
    english, korean = (pages[language].read_text(encoding="utf-8") for language in ("en", "ko"))
    assert "| Must-call Exact | 10.0% (4–23) | **25.0% (14–40)** |" in english
    assert "| Abstention | 90.0% (60–98) | 50.0% (24–76), worse |" in english, "what got worse is not bold"
    assert "| Hallucination Rate | 2.0% (0–10) | 4.0% (1–13), worse |" in english, "lower is better"
    assert "| Balanced | 18.0% | **33.3%** |" in english and "| 균형 점수 | 18.0% | **33.3%** |" in korean
    assert "| 호출 정답률 | 10.0%" in korean and "| 미호출 정답률 | 90.0%" in korean


def in_parts(run: Path) -> Path:
    """The run as a resumption leaves it: the clock and the rate of its last half."""
    events = [event for _, event in read_jsonl(run / "metrics.jsonl")]
    events[-1]["train_runtime"] /= 2
    write_jsonl(run / "metrics.jsonl", events)
    return run


def test_time_of_a_run_in_parts_is_that_of_all_its_steps(tmp_path: Path, pages: dict[str, Path]) -> None:
    whole = trained(read_history(run_samples.cpu_run(tmp_path, "whole")))
    run = in_parts(run_samples.cpu_run(tmp_path))
    parts = trained(read_history(run))
    assert whole and parts and not whole.parts and parts.parts
    assert parts.seconds == pytest.approx(1000 / 1.49, rel=0.1), "the rows over their speed"
    assert parts.samples_per_second == pytest.approx(1000 / parts.seconds, rel=0.01)
    (figure,) = (figure for figure in key_figures(read_history(run)) if figure["key"] == "seconds")
    assert figure["note"] == "figure.parts"
    record.record(run)
    measured = json.loads((tmp_path / "measured" / "cpu.json").read_text(encoding="utf-8"))
    assert measured["train_runtime"] is None and measured["parts"]["step_seconds"] == round(parts.seconds, 1)
    assert f"{parts.seconds / 60:.1f} min of steps" in pages["en"].read_text(encoding="utf-8")
    assert "나누어 한 학습" in pages["ko"].read_text(encoding="utf-8")


def test_a_run_in_parts_without_speeds_has_no_time(tmp_path: Path) -> None:
    run = in_parts(run_samples.cpu_run(tmp_path))
    run_samples.change_events(run, lambda event: event.pop("samples_per_second", None))
    assert trained(read_history(run)) is None
