"""`benchmarks rows`: the plan of its trainings, a rehearsal on the tiny model, and what stops or fails on the way."""

import copy
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from benchmarks import rows_docs
from benchmarks.publish import read_results
from benchmarks.report import table, write_report
from benchmarks.report.charts import curve_words, groups
from benchmarks.report.markdown import markdown
from benchmarks.report.verdict import verdict
from benchmarks.results import result_path
from benchmarks.rows import RowsOptions, measure_rows, point_config
from benchmarks.rows_docs import NOTHING, PAGE, filled
from benchmarks.rows_plan import chosen_sizes, minutes_left, plan, unmeasured
from data import InputError
from eval.scoring.stats import harmonic_mean, rate
from finetune.runs import hold
from tests.benchmarks.report_results import HEAD
from tests.tiny import TINY
from tooltune.config import Config, load_config
from tooltune.files import six_digits

BOTH = ["steps", "epochs"]


def options(
    out: Path, sizes: str | None = "8,16", modes: str = "steps,epochs", limit: int | None = None
) -> RowsOptions:
    return RowsOptions(sizes, modes, limit, timeout_s=900, out=out)


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def test_both_modes_share_the_largest_size_of_one_epoch() -> None:
    config = load_config("cpu", ["train.micro_batch=8", "train.accumulation=1", "train.epochs=1"])
    points = {(p["rows"], p["steps"]): p["modes"] for p in plan(config, [125, 500, 2000], BOTH)}
    assert points == {
        (2000, 250): BOTH,
        (500, 250): ["steps"],
        (125, 250): ["steps"],
        (500, 63): ["epochs"],
        (125, 16): ["epochs"],
    }
    order = [(2000, 250), (500, 63), (125, 16), (500, 250), (125, 250)]
    assert list(points) == order, "the line of equal epochs first, and of each the longest"


def test_equal_steps_are_of_one_epoch_and_equal_epochs_of_the_preset() -> None:
    config = load_config("cpu", ["train.micro_batch=4", "train.accumulation=2", "train.epochs=3"])
    points = {(p["rows"], p["steps"]): p["modes"] for p in plan(config, [100, 200], BOTH)}
    assert points == {(200, 75): ["epochs"], (100, 39): ["epochs"], (200, 25): ["steps"], (100, 25): ["steps"]}


def test_a_point_trains_its_first_rows_and_is_evaluated_once_at_the_end() -> None:
    config = load_config("cpu")
    point = point_config(config, 125, 250, "a")
    assert (point.data.limit, point.train.max_steps, point.eval.every, point.eval.generate) == (125, 250, 250, 0)
    assert point.eval.early_stopping_patience is None and point.eval.select_by == "eval_loss"
    assert point.train.learning_rate == config.train.learning_rate and point.lora == config.lora


def test_sizes_go_as_far_as_the_rows_do() -> None:
    assert chosen_sizes(None, 2000) == [125, 250, 500, 1000, 2000]
    assert chosen_sizes(None, 700) == [125, 250, 500, 700]
    assert chosen_sizes("500,100,500", 700) == [100, 500]
    for wrong in ("701", "0,5", "many", ""):
        with pytest.raises(InputError, match=r"--sizes"):
            chosen_sizes(wrong, 700)


def test_time_left_is_by_steps_and_evaluations() -> None:
    points = [unmeasured(16, 100, BOTH), unmeasured(8, 50, ["epochs"]), unmeasured(4, 25, ["epochs"])]
    assert minutes_left(points) == 0
    points[0] |= {"status": "ok", "train_seconds": 600.0, "evaluate_seconds": 120.0}  # type: ignore[typeddict-item]
    assert minutes_left(points) == pytest.approx((75 * 6 + 2 * 120) / 60)
    points[1]["status"] = "crashed"
    assert minutes_left(points) == pytest.approx((25 * 6 + 120) / 60)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOOLTUNE_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.mark.slow
def test_rehearsal(tmp_path: Path, runs: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Really trained and evaluated, in three processes' pairs; then the same command has nothing to do."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    overrides = [f"model.name={tiny_model}", "model.backend=hf", "eval.max_new_tokens=8"]
    config = load_config("cpu", [*TINY, *overrides])
    result, path = measure_rows(config, options(tmp_path, limit=4), quiet())
    assert result["complete"] and [(p["rows"], p["steps"], p["status"]) for p in result["arms"]] == [
        (16, 4, "ok"),
        (8, 2, "ok"),
        (8, 4, "ok"),
    ], result["arms"]
    assert [(p["rows_trained"], p["epochs"]) for p in result["arms"]] == [(16, 1.0), (8, 1.0), (8, 2.0)]
    for point in result["arms"]:
        rates = point["rates"]
        assert rates and rates["tool_name_accuracy"]["n"] == 4 and rates["tool_name_accuracy"]["low"] is not None
        assert point["eval_loss"] and point["train_seconds"] and point["evaluate_seconds"]
        run = runs / ".rows" / path.stem / point["run"]
        manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["best"]["step"] == point["steps"] and not (run / "checkpoints").exists()
        rows = json.loads((run / "rows.json").read_text(encoding="utf-8"))
        assert [row["id"] for row in rows] == [f"tiny-{n:02}" for n in range(point["rows"])]
        assert not list(run.glob("eval/test*"))
    assert json.loads(path.read_text(encoding="utf-8")) == six_digits(result) and path.stem.endswith("-rows")


ACTOR = """
import json, os, pathlib, signal, sys, time
import yaml
words = sys.argv[1:]
folder = pathlib.Path(os.environ["TOOLTUNE_RUNS"])
with (folder / "order").open("a") as f:
    f.write(" ".join(pathlib.Path(word).name for word in words) + chr(10))
if words[0] == "finetune":
    config = yaml.safe_load(open(words[2]))
    run, rows, steps = folder / config["name"], config["data"]["limit"], config["train"]["max_steps"]
    (run / "checkpoints").mkdir(parents=True)
    end = os.environ.get("ACTOR", "") if rows == 8 and steps == 2 else ""
    print(json.dumps({"step": steps}), file=(run / "metrics.jsonl").open("w"))
    if end == "ctrl-c":
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)
    if end == "fails":
        sys.exit("error: no luck")
    json.dump({"epoch": steps * 4 / rows, "eval_loss": 1.0}, (run / "epochs.jsonl").open("w"))
    memory = {"gpu_reserved_gib": None, "rss_gib": 2.0}
    manifest = {"best": {}, "rows": {"train": rows}, "peak_memory": memory, "wall_seconds": 6.0, "device": {}}
    (run / "manifest.json").write_text(json.dumps(manifest))
else:
    run = pathlib.Path(words[2])
    if os.environ.get("ACTOR") == "eval fails":
        sys.exit("error: no answer")
    there = run / "eval" / "validation"
    there.mkdir(parents=True)
    rate = {"value": 0.5, "count": 4, "n": 8, "low": 0.2, "high": 0.8}
    names = ("tool_name_accuracy", "must_call_exact", "abstention", "balanced", "json_validity")
    metrics = {"tuned": {"headline": dict.fromkeys(names, rate)}, "seconds": {"tuned": 3.0}}
    (there / "metrics.json").write_text(json.dumps(metrics))
"""


@pytest.fixture
def act(tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[dict[str, Any], str]]:
    """Run the benchmark with actors for its commands; gives the result and what was said."""
    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (model / name).write_text("{}", encoding="utf-8")  # never read
    (model / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")  # without tensors
    here = {"device": {"kind": "cpu", "name": "Processor", "memory_gib": 1.0}, "environment": {"packages": {}}}
    monkeypatch.setattr("benchmarks.this_machine.machine", lambda: here)

    def run(end: str, *overrides: str, out: Path = tmp_path) -> tuple[dict[str, Any], str]:
        monkeypatch.setenv("ACTOR", end)
        config = load_config("cpu", [*TINY, f"model.name={model}", *overrides])
        console = quiet()
        result, _ = measure_rows(config, options(out), console, lambda w: [sys.executable, "-c", ACTOR, *w])
        return dict(result), console.file.getvalue()  # type: ignore[attr-defined]

    return run


def order(runs: Path) -> list[str]:
    """The commands that ran, in order."""
    (file,) = runs.glob(".rows/*/order")
    return [" ".join(line.split()[:3]) for line in file.read_text(encoding="utf-8").splitlines()]


def statuses(result: dict[str, Any]) -> list[str]:
    return [point["status"] for point in result["arms"]]


FIRST = ["finetune train rows-16-steps-4.yaml", "eval run rows-16-steps-4"]
SECOND = ["finetune train rows-8-steps-2.yaml", "eval run rows-8-steps-2"]
THIRD = ["finetune train rows-8-steps-4.yaml", "eval run rows-8-steps-4"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_after_ctrl_c_the_same_command_goes_on(act: Any, runs: Path, tmp_path: Path) -> None:
    result, _ = act("ctrl-c")
    assert statuses(result) == ["ok", "interrupted", "skipped"] and not result["complete"]
    assert order(runs) == [*FIRST, SECOND[0]]
    result, said = act("")
    assert statuses(result) == ["ok"] * 3 and result["complete"] and "1 of 3 points are there" in said
    assert order(runs) == [*FIRST, SECOND[0], *SECOND, *THIRD], "the cut training begins again, the first does not"
    assert len(list(tmp_path.glob("*-rows*.json"))) == 1


def test_a_failed_point_is_reported_and_tried_again(act: Any, runs: Path) -> None:
    result, said = act("fails")
    assert statuses(result) == ["ok", "crashed", "ok"] and result["complete"]
    assert "no luck" in result["arms"][1]["reason"] and "no luck" in said
    assert statuses(act("")[0]) == ["ok"] * 3 and order(runs)[-2:] == SECOND


def test_a_finished_training_is_not_repeated_for_its_evaluation(act: Any, runs: Path) -> None:
    assert statuses(act("eval fails")[0]) == ["crashed"] * 3
    assert statuses(act("")[0]) == ["ok"] * 3
    assert order(runs)[6:] == [FIRST[1], SECOND[1], THIRD[1]]


def test_other_settings_begin_a_result_of_their_own(act: Any, tmp_path: Path) -> None:
    act("fails")
    assert statuses(act("", "train.learning_rate=0.01")[0]) == ["ok"] * 3
    assert statuses(act("", "train.learning_rate=0.01")[0]) == ["ok"] * 3  # whole: measured anew
    assert len(list(tmp_path.glob("*-rows*.json"))) == 3


def test_two_results_share_no_runs_and_no_file(act: Any, runs: Path, tmp_path: Path) -> None:
    act("fails")
    (folder,) = runs.glob(".rows/*")
    with hold(folder), pytest.raises(InputError, match="by another process"):
        act("")
    with pytest.raises(InputError, match="cannot be written"):
        act("", "train.seed=1", out=folder / "order")
    assert result_path(tmp_path, "") != result_path(tmp_path, "") and len(read_results(tmp_path)) == 1
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.json").write_text('{"kind": "rows"}')
    act("", "train.seed=1", out=tmp_path / "b")
    assert len([*runs.glob(".rows/*")]) == 2
    (tmp_path / "a.json").write_bytes(b"\xff")
    with pytest.raises(InputError, match="no JSON object"):
        act("")


def test_wrong_input_writes_nothing(act: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.max_steps"):
        act("", "train.max_steps=3")
    config: Config = load_config("cpu", TINY)
    for wrong in (options(tmp_path, sizes="33"), options(tmp_path, modes="steps,hours")):
        with pytest.raises(InputError, match="--"):
            measure_rows(config, wrong, quiet())
    assert not list(tmp_path.glob("*.json"))


# ---- the report -----------------------------------------------------------------------------------------------------


def made() -> dict[str, Any]:
    """A result made by hand: five sizes in both modes, the largest shared, the smallest at equal steps crashed."""
    config = load_config("cpu", ["train.epochs=1", "train.micro_batch=8"])
    points = plan(config, [125, 250, 500, 1000, 2000], BOTH)
    for point in points:
        right = min(190, 20 + point["rows"] // 12 + point["steps"] // 10)
        must, silent = rate(right * 4 // 5, 200), rate(right // 5, 50)
        point |= {  # type: ignore[typeddict-item]
            "status": "ok", "reason": None, "rows_trained": point["rows"], "epochs": 8 * point["steps"] / point["rows"],
            "eval_loss": 0.2, "train_seconds": 60.0, "evaluate_seconds": 90.0, "peak_memory_gib": 4.2,
            "rates": {"tool_name_accuracy": rate(right, 250), "must_call_exact": must, "abstention": silent,
                      "balanced": harmonic_mean(must, silent), "json_validity": rate(198, 200)},
        }  # fmt: skip
    crashed = next(point for point in points if (point["rows"], point["steps"]) == (125, 250))
    crashed |= {"status": "crashed", "reason": "exit code 1; no luck", "rates": None}  # type: ignore[typeddict-item]
    settings = {"split": "validation", "rows_asked": 250, "data": {"train": "0" * 12}}
    return {"kind": "rows", **copy.deepcopy(HEAD), "arms": points, "settings": settings}


def test_table_has_each_size_in_each_mode_with_intervals() -> None:
    lines = [line for line in markdown(made(), "en").splitlines() if line.startswith("| equal ")]
    assert [tuple(line.split(" | ")[:3]) for line in lines] == [
        *(("| equal steps", rows, "250") for rows in ("125", "250", "500", "1,000", "2,000")),
        ("| equal epochs", "125", "16"),
        ("| equal epochs", "250", "32"),
        ("| equal epochs", "500", "63"),
        ("| equal epochs", "1,000", "125"),
        ("| equal epochs", "2,000", "250"),
    ]
    assert "crashed" in lines[0] and "| 76.0% (70–81) |" in lines[4] and "| 99.0% (96–100) |" in lines[4]
    out = io.StringIO()
    Console(file=out, width=120).print(table(made()))
    assert "equal epochs" in out.getvalue() and "2,000" in out.getvalue()


def test_headline_is_what_so_many_rows_give_and_the_last_doubling_stands_below() -> None:
    top = verdict(made())
    said = " ".join(fact.text("en") for fact in top.facts)
    assert top.headline.text("en") == (
        "At equal epochs, from 125 to 2,000 rows: Must-call Exact 12% → 76%, Abstention 12% → 76%, "
        "Tool Name Accuracy 12% → 76%"
    )
    assert top.tone == "good" and "lie apart" in said
    for named in ("Must-call Exact", "Abstention", "Tool Name Accuracy"):
        assert re.search(rf"1,000 → 2,000 rows at equal (steps|epochs): \+2\d\.\d points of {named}", said), named
    assert "125 rows, 250 steps: crashed" in said and "250 validation rows" in said
    near = made()
    for point in near["arms"]:
        if point["rates"]:
            point["rates"] |= dict.fromkeys(point["rates"], rate(100 + point["rows"] // 1000, 250))
            point["rates"]["abstention"] = rate(0, 0)  # data without a row where no call is due
    assert "Abstention – → –" in verdict(near).headline.text("en")
    assert verdict(near).tone == "plain" and "overlap" in " ".join(fact.text("en") for fact in verdict(near).facts)


def test_axis_of_rows_is_logarithmic_and_intervals_are_drawn() -> None:
    (group,) = groups(made())
    names = group.columns[0][0].curve
    assert names.log and {x for line in names.panels[0].lines for x in line.x} == {125, 250, 500, 1000, 2000}
    assert [(line.colour, line.look == "faint") for line in names.panels[0].lines] == [
        ("c0", True), ("c0", True), ("c0", False), ("c1", True), ("c1", True), ("c1", False)
    ]  # fmt: skip
    words = curve_words(made())
    assert [words[f"line.{line.key}"][1] for line in names.panels[0].lines[2::3]] == ["equal steps", "equal epochs"]
    balanced = group.columns[1][1].curve.panels[0]
    assert [line.look for line in balanced.lines] == ["points", "points"], "the harmonic mean has no interval"


def test_reports_are_written_whatever_is_there(tmp_path: Path) -> None:
    whole, one, none = made(), made(), made()
    one["arms"] = one["arms"][:1]
    none["arms"] = [unmeasured(125, 16, ["epochs"])]
    calls_only = made()
    for point in calls_only["arms"]:
        if point["rates"]:
            point["rates"] |= {"abstention": rate(0, 0), "balanced": harmonic_mean(rate(1, 2), rate(0, 0))}
    named = {"whole": whole, "one": one, "none": none | {"complete": False}, "calls_only": calls_only}
    for name, result in named.items():
        assert len(write_report(result, tmp_path / f"{name}.json")) == 3
    page = (tmp_path / "whole.html").read_text(encoding="utf-8")
    assert "같은 epoch 수" in page and "125행, 250스텝" in page and "no luck" in page and 'class="kind-rows"' in page


def test_docs_show_the_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text, read_results()) == text, "run `python -m benchmarks rows --docs` again"
    shown = filled(text, {"a": {"kind": "train"}, "b": made()})
    assert NOTHING not in shown and "images/b.webp" in shown and "76.0% (70–81)" in shown and "images/a" not in shown
    assert filled(shown, {}).count(NOTHING) == 1


def test_docs_have_a_picture_of_each_finished_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "rows.md"
    page.write_text("<!-- rows: results -->\n<!-- end -->\n", encoding="utf-8")
    results = {"whole": made(), "open": made() | {"complete": False}}
    monkeypatch.setattr(rows_docs, "PAGE", page)
    monkeypatch.setattr(rows_docs, "IMAGES", tmp_path)
    monkeypatch.setattr(rows_docs, "read_results", lambda: results)
    rows_docs.write_docs()
    with Image.open(tmp_path / "whole.webp") as picture:
        assert picture.format == "WEBP" and picture.width == 800
    assert not (tmp_path / "open.webp").exists()
    assert page.read_text(encoding="utf-8").count("](images/") == 1
