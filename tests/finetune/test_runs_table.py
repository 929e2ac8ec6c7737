"""The table of runs: every state, sorting, JSON, and folders that are no runs or are broken."""

import io
import json
import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from finetune.cli import app
from finetune.runs_table import UNREADABLE, list_runs, runs_table
from tests.finetune import run_samples
from tooltune.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five runs, three folders that are none, and `latest` as it is where links are not allowed."""
    runs = tmp_path_factory.mktemp("runs")
    builders = ("reference_run", "healthy_run", "running_run", "cut_run", "cpu_run")
    for age, build in enumerate(builders):
        run = getattr(run_samples, build)(runs)
        os.utime(run / "metrics.jsonl", (2e9 - age, 2e9 - age))
    os.utime(runs / "6gb-cut" / "metrics.jsonl", (1e9, 1e9))
    (runs / "latest").write_text("cpu", encoding="utf-8")
    (runs / "[red]notes").mkdir()
    shutil.copytree(runs / "cpu", runs / "foreign")
    (runs / "foreign" / "manifest.json").write_text("[]", encoding="utf-8")
    shutil.copytree(runs / "cpu", runs / "torn")
    (runs / "torn" / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo\n', encoding="utf-8")
    return runs


def test_a_row_has_the_figures_of_the_best_evaluation(folder: Path) -> None:
    rows = {row.name: row for row in list_runs(folder)}
    study = rows["6gb-overfit-study"]
    assert (study.state, study.epochs, study.best_epoch, study.eval_loss) == ("finished", 10, 3, 0.55)
    assert (study.tool_name_accuracy, study.memory_gib, study.rows) == (61 / 64, 5.1, 2000)
    end = json.loads((folder / study.name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert (study.seconds, study.samples_per_second) == (end["train_runtime"], end["train_samples_per_second"])
    assert study.mfu == pytest.approx(0.41, rel=0.05) and study.tokens_per_second == pytest.approx(1.42 * 390, rel=0.05)
    assert rows["cpu"].memory_gib == 12.265, "main memory where there is no card"


def test_states(folder: Path) -> None:
    rows = {row.name: row for row in list_runs(folder)}
    assert (rows["6gb-running"].state, rows["6gb-running"].step, rows["6gb-running"].steps) == ("running", 380, 750)
    assert rows["6gb-running"].seconds is None and rows["6gb-running"].samples_per_second
    assert (rows["6gb-cut"].state, rows["6gb-cut"].step, rows["6gb-cut"].best_epoch) == ("stopped", 70, None)


def test_what_is_no_run_is_a_row_with_the_reason(folder: Path) -> None:
    problems = {row.name: row.problem for row in list_runs(folder) if row.state == UNREADABLE}
    assert problems.keys() == {"[red]notes", "foreign", "torn"}
    assert problems["[red]notes"] == "not a run: it has no config.yaml"
    assert "manifest.json: this is not the manifest of a run" in str(problems["foreign"])
    assert "metrics.jsonl:2: the line is not JSON" in str(problems["torn"])


def test_newest_first_then_by_column(folder: Path) -> None:
    def names(sort: str = "changed") -> list[str]:
        return [row.name for row in list_runs(folder, sort) if row.state != UNREADABLE]

    assert names() == ["6gb-overfit-study", "6gb-healthy", "6gb-running", "cpu", "6gb-cut"]
    assert names("eval_loss") == ["cpu", "6gb-healthy", "6gb-overfit-study", "6gb-running", "6gb-cut"]
    assert names("tool_name_accuracy")[0] == "6gb-healthy" and names("tool_name_accuracy")[-1] == "6gb-cut"
    assert [row.state for row in list_runs(folder, "seconds")][-3:] == [UNREADABLE] * 3
    with pytest.raises(InputError, match="did you mean eval_loss"):
        list_runs(folder, "evalloss")


@pytest.mark.parametrize("width", [80, 110, 130])
def test_table_fits_and_shows_names_as_they_are(folder: Path, width: int) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(runs_table(list_runs(folder), narrow=width < 110))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "[red]notes" in text and "0.550" in text and "finished" in text and "are of the validation rows" in text
    assert all(len(line) <= width for line in text.splitlines())


def test_command_prints_json(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLTUNE_RUNS", str(folder))
    done = CliRunner().invoke(app, ["runs", "--json", "--sort", "eval_loss"])
    rows = json.loads(done.stdout)
    assert done.exit_code == 0 and len(rows) == 8 and rows[0]["name"] == "cpu" and rows[0]["model"] == "embedded"
    assert "[red]notes: not a run" in CliRunner().invoke(app, ["runs"]).stdout


def test_a_figure_that_is_no_number_hides_no_run(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "cpu", tmp_path / "a")
    rows = (tmp_path / "a" / "epochs.jsonl").read_text(encoding="utf-8").splitlines()
    for odd in ('"nan"', "NaN", "[]"):
        row = json.loads(rows[-1]) | {"epoch": json.loads(odd), "eval_loss": 0, "exact_match": json.loads(odd)}
        (tmp_path / "a" / "epochs.jsonl").write_text(json.dumps(row), encoding="utf-8")
        (shown,) = list_runs(tmp_path)
        assert shown.eval_loss == 0 and shown.exact_match is shown.best_epoch is None and runs_table([shown])
    (tmp_path / "a" / "epochs.jsonl").write_text("[]", encoding="utf-8")
    done = CliRunner().invoke(app, ["report", str(tmp_path / "a"), "--no-open"])
    assert done.exit_code == 2 and "not those of a run" in done.stderr


def test_no_runs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLTUNE_RUNS", str(tmp_path / "none"))
    done = CliRunner().invoke(app, ["runs"])
    assert done.exit_code == 2 and "there is no run yet" in done.output
