"""The run page and its pictures: what they say of each kind of run, that no text can run in them, in a browser too."""

import json
import os
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from data import InputError
from finetune.cli import app
from finetune.history import read_history
from finetune.report import write_plots, write_run_page
from finetune.report.curves import MAX_POINTS, Curve, curves, overfitting_from
from finetune.report.tables import (
    against,
    differences,
    duration,
    epoch_rows,
    evaluation_links,
    facts,
    headline,
    key_figures,
    shown_rates,
    state,
)
from finetune.report.trained import pace
from finetune.report.words import words
from finetune.summary import pace_text, tell
from finetune.table import epoch_table
from tests.eval.chromium import browser, find_chromium
from tests.finetune import run_samples
from tests.finetune.run_samples import change_events
from tooltune.files import read_jsonl, write_json, write_jsonl
from tooltune.metrics import EPOCH_TABLE
from tooltune.page.plots import rate_text

HOSTILE = "<img src=x onerror=window.hacked=1>'\"&{{7*7}}`$x^2$\u202e"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def reference(runs: Path) -> Path:
    return run_samples.reference_run(runs)


@pytest.fixture(scope="module")
def healthy(runs: Path) -> Path:
    return run_samples.healthy_run(runs)


@pytest.fixture(scope="module")
def running(runs: Path) -> Path:
    return run_samples.running_run(runs)


@pytest.fixture(scope="module")
def cut(runs: Path) -> Path:
    """A run that ended in its first epoch, long ago."""
    run = run_samples.cut_run(runs)
    os.utime(run / "metrics.jsonl", (1e9, 1e9))
    return run


@pytest.fixture(scope="module")
def cpu(runs: Path) -> Path:
    return run_samples.cpu_run(runs)


@pytest.fixture(scope="module")
def broken(runs: Path) -> Path:
    """A run whose gradients grow and end as no number."""
    run = run_samples.cut_run(runs, "broken")

    def change(event: dict[str, Any]) -> None:
        if event["step"] >= 50:
            event["grad_norm"] = event["grad_norm"] * 40 if event["step"] < 70 else "nan"
        if event["step"] == 70:
            event["loss"] = "inf"

    change_events(run, change)
    return run


@pytest.fixture(scope="module")
def hostile(runs: Path) -> Path:
    """A run with a hostile text wherever a dataset, a config or a machine can bring one."""
    run = run_samples.healthy_run(runs, HOSTILE)
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    manifest["device"]["name"] = HOSTILE
    manifest["packages"][HOSTILE] = HOSTILE
    manifest["data"] = {HOSTILE: "</script><script>window.hacked=1</script>"}
    manifest["git_commit"] = "</style><b>"
    write_json(run / "manifest.json", manifest)
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(
        config.replace("Qwen/Qwen2.5-1.5B-Instruct", f'"{HOSTILE[:20]}"'), encoding="utf-8"
    )
    rows = json.loads((run / "rows.json").read_text(encoding="utf-8"))
    write_json(run / "rows.json", [row | {"id": f"{HOSTILE} {i}"} for i, row in enumerate(rows)])
    change_events(run, lambda event: event.update(grad_norm=55.0) if event["step"] == 400 and "loss" in event else None)
    table = [row | {"verdict": HOSTILE} for _, row in read_jsonl(run / "epochs.jsonl")]
    write_jsonl(run / "epochs.jsonl", table)
    split = run / "eval" / "te st#<i>"
    split.mkdir(parents=True)
    (split / "report.html").write_text("there", encoding="utf-8")
    return run


def drawn(run: Path) -> dict[str, Curve]:
    return {curve.key: curve for curve in curves(read_history(run))}


def lines(run: Path, key: str) -> dict[str, Any]:
    """Of each line that is not a faint one: its points."""
    found = [line for panel in drawn(run)[key].panels for line in panel.lines if line.look != "faint"]
    return {line.key: list(zip(line.x, line.y, strict=True)) for line in found}


def embedded(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    return data


# ---- the curves as data -------------------------------------------------------------------------------------------


def test_every_curve_of_the_contract_is_drawn(reference: Path) -> None:
    found = drawn(reference)
    assert list(found) == ["loss", "learning", "tools", "roles", "memory", "speed"]
    assert [panel.key for panel in found["learning"].panels] == ["learning_rate", "grad_norm"]
    assert lines(reference, "loss")["eval_loss"][2] == (3.0, 0.55)
    assert set(lines(reference, "tools")) == {
        "tool_name_accuracy", "parameter_accuracy", "json_validity", "hallucination_rate", "abstention"
    }  # fmt: skip
    assert set(lines(reference, "roles")) == {"role_name", "role_arguments", "role_format", "role_text"}
    levels = {level.key: level.value for level in found["memory"].panels[0].levels}
    assert levels == {"memory_limit": 6.0, "memory_peak": 5.1}


def test_first_steps_do_not_flatten_the_turn_of_the_validation_loss(
    runs: Path, reference: Path, running: Path, cut: Path
) -> None:
    """Of a study that begins at 1.8, 0.239 → 0.279 is what is to be seen."""
    train = ((0, 2.2), (0.1, 0.9), (0.5, 0.45), (1.5, 0.25), (5, 0.1), (10, 0.003))
    evaluations = [
        (loss, 0.4, 0.9, 0.1, 0.0) for loss in (0.298, 0.290, 0.257, 0.241, 0.239, 0.244, 0.258, 0.27, 0.279)
    ]
    study = run_samples.write_run(runs / "flat", run_samples.Plan("6gb-overfit-study", [], train, evaluations))
    (panel,) = drawn(study)["loss"].panels
    highest = max(y for line in panel.lines for y in line.y if y is not None)
    assert panel.top == pytest.approx(1.6 * 0.298) and panel.beyond == highest > 1.2
    assert all(p.top is None for curve in drawn(study).values() for p in curve.panels if curve.key != "loss")
    change_events(study, lambda event: event.update(loss=3.0) if event["step"] == 1500 else None)
    assert drawn(study)["loss"].panels[0].top is None, "a spike is no first step"
    assert drawn(cut)["loss"].panels[0].top is None, "nothing was evaluated"
    assert drawn(reference)["loss"].panels[0].beyond == pytest.approx(2.9, abs=0.5)


def test_rates_are_written_as_they_are() -> None:
    assert [rate_text(rate) for rate in (1.25e-3, 2e-4, 0.0, 7.5e-5)] == ["1.25e-03", "2e-04", "0", "7.5e-05"]


def test_best_epoch_and_overfitting_are_marked(reference: Path, healthy: Path) -> None:
    loss = drawn(reference)["loss"]
    assert [(mark.key, mark.x) for mark in loss.marks] == [("best", 3.0)]
    assert [(region.start, region.end) for region in loss.regions] == [(4.5, 10.0)]
    assert overfitting_from(read_history(reference)) == 5.0
    assert drawn(healthy)["loss"].regions == [] and overfitting_from(read_history(healthy)) is None


def test_a_budget_below_the_card_is_the_limit(runs: Path) -> None:
    plan = run_samples.Plan("6gb", ["memory.budget_gb=5.5"], ((0, 2.0), (3, 1.0)), (), finished=False, stop=60)
    run = run_samples.write_run(runs / "budget", plan)
    assert drawn(run)["memory"].panels[0].levels[0].value == 5.5


def test_a_cpu_run_shows_main_memory(cpu: Path) -> None:
    assert drawn(cpu)["memory"].panels[0].key == "main_gib"
    paces = {"samples_per_second", "tokens_per_second", "supervised_per_second", "mfu"}
    assert set(lines(cpu, "speed")) == {*paces, "cpu_utilization"}


def test_no_two_names_of_a_curve_look_alike(reference: Path, healthy: Path, cpu: Path) -> None:
    """A legend holds the names of all panels that have several lines."""
    for run in (reference, healthy, cpu):
        for curve in drawn(run).values():
            panels = [{line.key: line for line in panel.lines}.values() for panel in curve.panels]
            named = [(line.colour, line.dashed) for lines in panels if len(lines) > 1 for line in lines]
            assert len({*named}) == len(named), curve.key


def test_cuda_is_a_fact_of_a_gpu_run_only(cpu: Path, reference: Path) -> None:
    assert [dict(facts(read_history(run))).get("cuda") for run in (cpu, reference)] == [None, "12.8"]


def test_pace_is_the_mean_over_the_seconds_in_steps(runs: Path, cpu: Path, reference: Path) -> None:
    found = pace(read_history(cpu))
    assert found and found.hfu is None and found.tokens_per_second == pytest.approx(1.49 * 390, rel=0.05)
    assert found.mfu == pytest.approx(found.tokens_per_second / (1.49 * 390) * 0.41, rel=1e-3)
    figure = next(figure for figure in key_figures(read_history(cpu)) if figure["key"] == "mfu")
    assert figure["values"]["rate"] == "405 GFLOP/s" and figure["value"] == f"{100 * found.mfu:.1f}%"
    said = str(pace_text(read_history(cpu)))
    assert said == f"In its steps {found.tokens_per_second:,.0f} tokens/s, MFU {found.mfu:.0%} of 405 GFLOP/s"
    assert "(58% with what is recomputed) of 21.3 TFLOP/s" in str(pace_text(read_history(reference)))
    run = run_samples.cut_run(runs, "two-paces")  # 10 steps at half the speed of the 60 before them
    slow = {"samples_per_second": 0.5, "tokens_per_second": 200.0, "supervised_per_second": 40.0, "mfu": 0.2}
    fast = {"samples_per_second": 1.0, "tokens_per_second": 400.0, "supervised_per_second": 80.0, "mfu": 0.4}
    change_events(run, lambda event: event.update(slow if event["step"] == 70 else fast))
    found = pace(read_history(run))
    assert found and found.tokens_per_second == pytest.approx((60 * 400 + 20 * 200) / 80)
    assert found.mfu == pytest.approx((60 * 0.4 + 20 * 0.2) / 80)


def test_a_run_from_before_there_was_an_mfu_has_its_page(runs: Path, cpu: Path) -> None:
    run = run_samples.cpu_run(runs, "before")
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    write_json(run / "manifest.json", {k: v for k, v in manifest.items() if not k.startswith("matmul")})
    keys = ("tokens_per_second", "supervised_per_second", "mfu")
    change_events(run, lambda event: [event.pop(key, None) for key in keys])
    history = read_history(run)
    assert pace(history) is None and pace_text(history) is None
    assert [panel.key for panel in drawn(run)["speed"].panels] == ["speed", "utilization"]
    text = write_run_page(run, lang="en").read_text(encoding="utf-8")
    assert words()["figure.seconds"][1] in text and "GFLOP/s" not in text
    rows = {row["key"]: row for row in against(history, read_history(cpu))}
    assert (rows["mfu"]["one"], rows["mfu"]["change"]) == ("–", "")
    assert "405 GFLOP/s (bfloat16)" in write_run_page(cpu, lang="en").read_text(encoding="utf-8")


def test_what_was_no_number_is_a_gap_and_a_mark(broken: Path) -> None:
    learning = drawn(broken)["learning"]
    assert [(mark.key, mark.x) for mark in learning.marks] == [("broken", 70)]
    norm = learning.panels[1]
    assert norm.log and norm.lines[0].y[-1] is None
    assert max(y for y in norm.lines[0].y if y is not None) > 10


def test_a_long_run_is_thinned_and_keeps_its_spike(runs: Path) -> None:
    overrides = ["train.logging_steps=1"]
    run = run_samples.write_run(
        runs / "long", run_samples.Plan("6gb-overfit-study", overrides, run_samples.FALLING, run_samples.OVERFITTED)
    )
    change_events(run, lambda event: event.update(grad_norm=123.0) if event["step"] == 1234 else None)
    norm = next(line for line in drawn(run)["learning"].panels[1].lines if line.look == "faint")
    assert len(norm.x) <= MAX_POINTS and dict(zip(norm.x, norm.y, strict=True))[1234] == 123.0
    assert norm.x == sorted(norm.x)


def test_smoothing_has_no_lag_and_keeps_the_raw_values(reference: Path) -> None:
    faint, smooth = drawn(reference)["loss"].panels[0].lines[:2]
    assert (faint.look, smooth.look) == ("faint", "line") and faint.x == smooth.x
    assert smooth.y[0] == faint.y[0] and smooth.y[-1] == faint.y[-1]
    middle = len(faint.y) // 2
    around = [y for y in faint.y[middle - 2 : middle + 3] if y is not None]
    assert smooth.y[middle] == pytest.approx(sum(around) / 5)


# ---- what the page says -------------------------------------------------------------------------------------------


def test_state_and_headline(reference: Path, healthy: Path, running: Path, broken: Path, cpu: Path) -> None:
    def said(run: Path, idle: float = 5) -> str:
        history = read_history(run)
        return headline(history, state(history, idle))[0]

    assert said(reference) == "headline.overfitting" and said(healthy) == "headline.rising"
    assert said(running) == "headline.running" and said(running, idle=1e5) == "headline.stopped"
    assert said(cpu) == "headline.once"
    assert state(read_history(reference), 1e9) == "finished"
    assert state(read_history(broken), 5) == "stopped"


def test_a_run_that_was_interrupted_is_stopped(runs: Path) -> None:
    run = run_samples.running_run(runs, "interrupted")
    events = [event for _, event in read_jsonl(run / "metrics.jsonl")]
    end = {"step": 380, "train_runtime": 900.0, "train_samples_per_second": 1.4, "global_step": 380, "epoch": 1.52}
    write_jsonl(run / "metrics.jsonl", [*events, end])
    assert state(read_history(run), 5) == "stopped"


def test_only_a_running_page_reloads(reference: Path, running: Path, cut: Path) -> None:
    said = {run.name: embedded(write_run_page(run))["running"] for run in (reference, running, cut)}
    assert said == {reference.name: False, running.name: True, cut.name: False}


def test_a_run_that_only_began_has_a_page(runs: Path) -> None:
    run = run_samples.cut_run(runs, "begun")
    (run / "metrics.jsonl").unlink()
    text = write_run_page(run).read_text(encoding="utf-8")
    assert words()["headline.waiting"][0] in text and words()["curves.none"][0] in text
    assert write_plots(run) == []


def test_epoch_table(reference: Path) -> None:
    rows = epoch_rows(read_history(reference))
    assert [row["best"] for row in rows] == [i == 2 for i in range(10)]
    assert rows[2]["eval_loss"] == "0.550" and rows[2]["verdict"] == ["최적", "best"]
    assert rows[4]["tone"] == "bad" and dict(rows[2]["rates"])["tool_name_accuracy"] == "95.3%"


def test_epoch_table_has_the_rates_that_were_measured(runs: Path, reference: Path) -> None:
    """Of 64 rows 13 need no call; at the third epoch 52 are right, 12 of them without a call."""
    history = read_history(reference)
    rates = dict(epoch_rows(history)[2]["rates"])
    assert list(rates) == list(EPOCH_TABLE) == shown_rates(history)
    assert (rates["must_call_exact"], rates["abstention"]) == ("78.4%", "92.3%")  # 40 of 51, 12 of 13
    assert rates["balanced"] == "84.8%"
    figure = next(figure for figure in key_figures(history) if figure["key"] == "balanced")
    assert (figure["value"], figure["values"]) == ("84.8%", {"must_call": "78.4%", "abstention": "92.3%"})
    for row in history.epochs:  # as a run scored before these were told apart
        for key in ("must_call_exact", "abstention", "balanced"):
            del row[key]
    assert shown_rates(history) == ["tool_name_accuracy", "json_validity", "hallucination_rate"]
    assert "balanced" not in [figure["key"] for figure in key_figures(history)]


def test_epoch_table_in_the_terminal_fits_100_columns(reference: Path) -> None:
    console = Console(width=100, file=StringIO())
    console.print(epoch_table(read_history(reference).epochs))
    text = console.file.getvalue()
    (best,) = (line for line in text.splitlines() if "★" in line)
    cells = [cell.strip() for cell in best.strip("│").split("│")]
    assert cells == ["3 ★", cells[1], "0.5500", "95%", "98%", "78%", "92%", "85%", "2%", "best"]
    assert "…" not in text and text.count("│") == 10 * 11, "no row needs a second line"


@pytest.mark.parametrize(("make", "command"), [(None, "python -m eval run"), ("1", "make eval")])
def test_a_run_ends_in_korean_too(
    reference: Path, monkeypatch: pytest.MonkeyPatch, make: str | None, command: str
) -> None:
    monkeypatch.setenv("MAKELEVEL", make) if make else monkeypatch.delenv("MAKELEVEL", raising=False)
    console = Console(width=120, file=StringIO())
    tell(reference, console, "ko")
    text = console.file.getvalue()
    (best,) = (line for line in text.splitlines() if "★" in line)
    assert best.rstrip("│ ").endswith("최적") and "판정" in text
    assert all(word in text for word in ("과적합", "최대 메모리", "가장 좋은 것", "보고서: ", f"다음: {command}"))
    assert not any(word in text for word in ("Trained in", "verdict", "Best:", "Next:", "overfitting"))


def test_selection_by_a_tool_metric_decides_what_is_best(runs: Path) -> None:
    plan = run_samples.Plan(
        "6gb",
        ["eval.select_by=tool_name_accuracy"],
        ((0, 2.0), (3, 0.5)),
        ((0.6, 0.75, 1, 0.5, 0), (0.5, 0.5, 1, 0.5, 0)),
        finished=False,
    )
    rows = epoch_rows(read_history(run_samples.write_run(runs / "by-name", plan)))
    assert [row["best"] for row in rows] == [True, False]


def test_two_runs_beside_each_other(reference: Path, healthy: Path) -> None:
    one, two = read_history(reference), read_history(healthy)
    rows = {row["key"]: row for row in against(one, two)}
    assert rows["eval_loss"] == {"key": "eval_loss", "one": "0.550", "two": "0.430", "change": "−0.120", "tone": "good"}
    assert rows["hallucination_rate"]["tone"] == "good" and rows["memory"]["change"] == "="
    assert ("train.epochs", "10", "3") in differences(one, two)
    assert differences(one, one) == []
    page = write_run_page(reference, other=healthy)
    assert page.name == f"report-{healthy.name}.html"
    assert set(embedded(page)["other"]) == set(embedded(page)["curves"])


def test_a_page_of_two_runs_speaks_of_both(reference: Path, healthy: Path) -> None:
    text = write_run_page(reference, other=healthy, lang="en").read_text(encoding="utf-8")
    h1 = re.search(r"<h1>(.*?)</h1>", text)[1]  # type: ignore[index]
    assert reference.name in h1 and healthy.name in h1 and "epoch" not in h1
    section = text.split('id="findings"')[1].split("</section>")[0]
    one, two = section.split(f'<h3 class="side">{healthy.name}</h3>')
    assert f'<h3 class="side">{reference.name}</h3>' in one and "Overfitting from epoch 5" in one
    assert "Overfitting from epoch" not in two and "Still improving at the last epoch" in two
    alone = write_run_page(reference, lang="en").read_text(encoding="utf-8")
    assert 'class="side"' not in alone and 'class="strip"' in alone


def test_evaluations_are_linked(runs: Path) -> None:
    run = run_samples.healthy_run(runs, "evaluated")
    folder = run / "eval" / "test"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("there", encoding="utf-8")
    rate = {"value": 0.9, "count": 9, "n": 10, "low": 0.6, "high": 0.98}
    headline = {"tool_name_accuracy": rate, "exact_match": rate}
    write_json(folder / "metrics.json", {"tuned": {"headline": headline, "samples": []}})
    part = run / "eval" / "test-limit-2"
    part.mkdir()
    (part / "report.html").write_text("there", encoding="utf-8")
    looked = {"tuned": {"headline": headline, "samples": []}, "rows": {"scored": 2, "of": 10}}
    write_json(part / "metrics.json", looked)
    (link,) = evaluation_links(run)
    assert link["href"] == "eval/test/report.html" and ("exact_match", "90.0%") in link["figures"]
    assert 'href="eval/test/report.html"' in write_run_page(run).read_text(encoding="utf-8")
    for broken in ('{"tuned": {"head', "[]", "null", '{"tuned": {}}'):
        (folder / "metrics.json").write_text(broken, encoding="utf-8")
        with pytest.raises(InputError) as e:
            evaluation_links(run)
        assert e.value.where == str(folder / "metrics.json")


def test_durations() -> None:
    assert [duration(s) for s in (0, 59.6, 671, 14085.2)] == ["0:00", "1:00", "11:11", "3:54:45"]


def test_every_sentence_has_two_languages() -> None:
    assert all(len(both) == 2 and all(isinstance(x, str) and x for x in both) for both in words().values())
    holes = [[sorted(re.findall(r"\{\w+\}", text)) for text in both] for both in words().values()]
    assert all(korean == english for korean, english in holes)


def test_page_asks_for_nothing_and_is_no_larger_than_plotly(reference: Path) -> None:
    from plotly.offline import get_plotlyjs

    text = write_run_page(reference).read_text(encoding="utf-8")
    assert len(text) - len(get_plotlyjs()) < 400_000
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]  # type: ignore[index]
    assert "default-src &#39;none&#39;" in policy and "unsafe" not in policy and "http" not in policy
    own = text.replace(get_plotlyjs(), "")
    assert not re.findall(r'(?:src|action)="[^"]*"|href="(?!data:,|eval/)[^"]*"', own)
    assert ' style="' not in own and "@import" not in own and "url(" not in own


def test_hostile_texts_stay_text(hostile: Path, reference: Path) -> None:
    from plotly.offline import get_plotlyjs

    for page in (write_run_page(hostile), write_run_page(reference, other=hostile)):
        text = page.read_text(encoding="utf-8").replace(get_plotlyjs(), "")
        assert text.count("<script") == 3 and text.count("</script") == 3 and text.count("</style") == 1
        assert "<img" not in text and "&lt;img" in text and "\u202e" not in text and "49`" not in text
    assert write_run_page(hostile).parent == hostile


def test_pictures(cpu: Path, broken: Path, hostile: Path) -> None:
    from PIL import Image

    for run in (cpu, broken, hostile):
        paths = write_plots(run, lang="en")
        assert [p.stem for p in paths] == list(drawn(run))
        for path in paths:
            with Image.open(path) as image:
                assert image.width == 1200 and image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
                assert len(image.convert("L").getcolors()) > 20  # something is drawn


def test_command(runs: Path, reference: Path, healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLTUNE_RUNS", str(runs))
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    done = CliRunner().invoke(app, ["report", reference.name, healthy.name, "--lang", "en", "--no-open"])
    assert done.exit_code == 0 and f"report-{healthy.name}.html" in done.output and opened == []
    assert '<html lang="en">' in (reference / f"report-{healthy.name}.html").read_text(encoding="utf-8")
    assert "pictures in" in done.output
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    korean = CliRunner().invoke(app, ["report", reference.name])
    assert korean.exit_code == 0 and "저장했습니다: " in korean.output and "Written" not in korean.output
    assert opened == [(reference / "report.html").as_uri()]
    assert CliRunner().invoke(app, ["report", "nope"]).exit_code == 2
    assert CliRunner().invoke(app, ["report", reference.name, "--lang", "fr"]).exit_code == 2


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_run_page(tmp_path)


# ---- in a browser -------------------------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(not find_chromium(), reason="no chromium, chromium-browser or google-chrome on PATH")

CHARTS = """[...document.querySelectorAll('.chart')].map(c => ({
    id: c.id.slice(6), lines: c.querySelectorAll('.scatterlayer .trace .lines path').length,
    points: c.querySelectorAll('.scatterlayer .point').length, bars: c.querySelectorAll('.barlayer .point').length,
    length: [...c.querySelectorAll('.trace .lines path')].reduce((n, p) => n + p.getAttribute('d').length, 0)}))"""


SETTLED = "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r())))"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def quiet(tab: Any) -> Any:
    """The tab, watched: a test fails on any error in the console and on any request but the file itself."""
    tab.errors.clear()
    yield tab
    assert tab.errors == []
    assert [r for r in tab.requests if not r.startswith(("file:", "data:,"))] == []


def show(tab: Any, run: Path, fragment: str = "", other: Path | None = None) -> dict[str, Any]:
    """Open the run's page and return what each chart holds, once all are drawn."""
    tab.open(write_run_page(run, other=other), fragment)
    tab.run(SETTLED)
    return {chart["id"]: chart for chart in tab.run(CHARTS)}


@needs_browser
def test_curves_are_drawn(quiet: Any, reference: Path) -> None:
    quiet.look(1280)
    charts = show(quiet, reference)
    assert list(charts) == ["loss", "learning", "tools", "roles", "memory", "speed"]
    assert {key: chart["lines"] for key, chart in charts.items()} == {
        "loss": 3, "learning": 3, "tools": 5, "roles": 4, "memory": 2, "speed": 7
    }  # fmt: skip
    assert charts["loss"]["points"] == 10 and charts["tools"]["points"] == 50
    assert all(chart["length"] > 100 for chart in charts.values())
    assert quiet.run("document.querySelector('#chart-loss .shapelayer path') !== null")
    assert "과적합" in quiet.run("document.querySelector('#chart-loss').textContent")


@pytest.mark.slow
@needs_browser
def test_every_kind_of_run_draws(quiet: Any, healthy: Path, running: Path, cut: Path, cpu: Path, broken: Path) -> None:
    for run in (healthy, running, cut, broken):
        assert show(quiet, run)["loss"]["length"] > 50  # the eight points of the shortest
    charts = show(quiet, cpu)
    assert charts["tools"]["bars"] == 5 and charts["roles"]["bars"] == 4
    assert "NaN" in (show(quiet, broken) and quiet.run("document.querySelector('#chart-learning').textContent"))


@needs_browser
def test_another_run_lies_over_every_curve(quiet: Any, reference: Path, healthy: Path, cpu: Path) -> None:
    alone, both = show(quiet, reference), show(quiet, reference, other=healthy)
    assert all(both[key]["lines"] > alone[key]["lines"] for key in alone)
    assert quiet.run("document.querySelectorAll('#against .pairs tbody tr').length") > 10
    assert show(quiet, cpu, other=healthy)["tools"]["points"] == 5 + 15


@needs_browser
def test_heads_of_two_runs_do_not_overprint_on_a_phone(quiet: Any, reference: Path, runs: Path) -> None:
    other = run_samples.healthy_run(runs, "cpu-overfit-study-20261125-123317")
    quiet.look(390)
    show(quiet, reference, other=other)
    heads = "[...document.querySelectorAll('.differences thead th')]"
    assert quiet.run(f"{heads}.every((th) => th.scrollWidth <= th.clientWidth)")


@needs_browser
def test_a_name_switches_its_line_off(quiet: Any, reference: Path) -> None:
    show(quiet, reference)
    quiet.run("document.querySelector('#legend-tools button').click()")
    assert quiet.run("document.querySelectorAll('#chart-tools .scatterlayer .trace').length") == 4
    assert quiet.run("document.querySelector('#legend-tools button').getAttribute('aria-pressed')") == "false"
    quiet.run("document.querySelector('#legend-tools button').click()")
    assert quiet.run("document.querySelectorAll('#chart-tools .scatterlayer .trace').length") == 5


@needs_browser
def test_language_and_theme_switch_and_last(quiet: Any, reference: Path) -> None:
    quiet.look(1280, scheme="light")
    show(quiet, reference)
    assert "과적합" in quiet.run("document.querySelector('h1').innerText")
    quiet.run("document.querySelector('#language button[value=en]').click()")
    assert "overfitting" in quiet.run("document.querySelector('h1').innerText")
    body = quiet.run("document.body.innerText")
    assert re.findall(r"[가-힣]+", body) == ["한국어"]
    quiet.run(SETTLED)
    labels = quiet.run("[...document.querySelectorAll('#chart-loss .annotation-text')].map((t) => t.textContent)")
    assert labels == ["loss", labels[1], "overfitting", "best, epoch 3"]
    assert re.fullmatch(r"↑ first steps up to 2\.\d+ are off the chart", labels[1])
    ink = "getComputedStyle(document.querySelector('#chart-loss .xtick text')).fill"
    before = quiet.run(ink)
    quiet.run("document.getElementById('theme').click()")
    quiet.run(SETTLED)
    assert quiet.run(ink) != before
    assert quiet.run("location.hash") == "#lang=en&theme=dark"
    show(quiet, reference, "lang=en&theme=dark")
    assert quiet.run("[document.documentElement.lang, document.documentElement.dataset.theme]") == ["en", "dark"]


@needs_browser
def test_nothing_hostile_runs(quiet: Any, hostile: Path, reference: Path) -> None:
    for run, other in ((reference, hostile), (hostile, reference)):
        show(quiet, run, other=other)
        quiet.run("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert quiet.run("typeof window.hacked") == "undefined"
        assert (
            quiet.run("document.images.length + document.querySelectorAll('iframe, link[rel=stylesheet]').length") == 0
        )
        assert quiet.run("document.scripts.length") == 3
        assert "<img src=x" in quiet.run("document.body.innerText")
    assert "<img src=x" in quiet.run("document.querySelector('#findings').innerText")  # the ids of a spike's rows
    link = quiet.run("document.querySelector('#evaluations a').href")
    assert link.endswith("/eval/te%20st%23%3Ci%3E/report.html")


@needs_browser
def test_the_policy_stops_any_other_script(tab: Any, reference: Path) -> None:
    show(tab, reference)
    tab.run("script = document.createElement('script'); script.textContent = 'window.hacked = 1'")
    tab.run("document.body.append(script)")
    assert tab.run("typeof window.hacked") == "undefined"


@pytest.mark.slow
@needs_browser
def test_a_phone_needs_no_sideways_scrolling(
    quiet: Any, reference: Path, healthy: Path, running: Path, cpu: Path, hostile: Path
) -> None:
    quiet.look(390)
    for run, other in ((reference, healthy), (running, None), (cpu, None), (hostile, None)):
        show(quiet, run, "lang=ko", other)
        quiet.run("document.querySelectorAll('details').forEach(d => d.open = true)")
        for lang in ("ko", "en"):
            quiet.run(f"document.querySelector('#language button[value={lang}]').click()")
            assert quiet.run("document.documentElement.scrollWidth") <= 390
