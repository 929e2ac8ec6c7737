"""The recipe benchmark on the tiny random model: both arms to a target, the same answers, and every bad end a row."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.recipe import RecipeOptions, arm_command, literal_config, notes, plain_config, preset_config, recipe
from benchmarks.recipe_arm import Task
from benchmarks.recipe_result import LITERAL, PLAIN, PRESET
from benchmarks.report import table
from benchmarks.report.verdict import told
from tests import forked
from tests.tiny import ROOT, TINY, environment
from tooltune.config import Config, load_config
from tooltune.files import six_digits

QUIET = Console(file=io.StringIO())


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other make a tiny model a hundred times slower where others compute too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> Config:
    return load_config("cpu", [*TINY, f"model.name={tiny_model}", "train.epochs=4", "train.share_prefix=auto"])


@pytest.fixture(scope="module")
def measured(config: Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Both arms, really trained."""
    options = RecipeOptions(target=None, samples=24, cap_s=300, literal=False, out=tmp_path_factory.mktemp("results"))
    result, path = recipe(config, options, QUIET)
    return dict(result), path


@pytest.mark.slow
def test_both_arms_reach_the_target(measured: tuple[dict[str, Any], Path]) -> None:
    result, path = measured
    plain, preset = result["arms"]
    assert [(row["arm"], row["status"], row["reached"]) for row in result["arms"]] == [
        (PLAIN, "ok", True),
        (PRESET, "ok", True),
    ], result
    assert result["ratio"] == pytest.approx(plain["seconds_to_target"] / preset["seconds_to_target"], rel=1e-3)
    assert result["complete"] and not result["at_least"]
    assert json.loads(path.read_text(encoding="utf-8")) == six_digits(result) and path.stem.endswith("-recipe")


@pytest.mark.slow
def test_target_is_the_loss_of_the_preset_after_its_samples(measured: tuple[dict[str, Any], Path]) -> None:
    result, _ = measured
    plain, preset = result["arms"]
    assert preset["samples"] == 24 and preset["curve"][-1] == [preset["seconds"], 24, result["target_loss"]]
    assert plain["curve"][-1][2] <= result["target_loss"] < plain["curve"][-2][2]
    assert plain["samples_to_target"] % 8 == 0


@pytest.mark.slow
def test_clock_stands_still_while_a_loss_is_evaluated(measured: tuple[dict[str, Any], Path]) -> None:
    for row in measured[0]["arms"]:
        seconds = [point[0] for point in row["curve"]]
        assert seconds[0] == 0 and seconds == sorted(seconds) and row["curve"][0][1] == 0
        assert row["seconds_with_setup"] > row["seconds_to_target"]


@pytest.mark.slow
def test_answers_are_the_same_tokens_under_different_prompts(measured: tuple[dict[str, Any], Path]) -> None:
    plain, preset = measured[0]["arms"]
    assert plain["supervised"] == preset["supervised"]
    assert plain["supervised"]["train"]["tokens"] > 32 and plain["supervised"]["validation"]["tokens"] > 8
    assert plain["tokens_per_sample"] > 1.5 * preset["tokens_per_sample"]


@pytest.mark.slow
def test_only_the_preset_computes_a_shared_prefix_once(measured: tuple[dict[str, Any], Path]) -> None:
    plain, preset = measured[0]["arms"]
    assert plain["computed_per_sample"] == plain["tokens_per_sample"]
    assert preset["computed_per_sample"] < 0.7 * preset["tokens_per_sample"]
    saved = preset["tokens_per_sample"] / preset["computed_per_sample"]
    assert measured[0]["factors"]["shared_prefix"] == pytest.approx(saved, abs=1e-3)


def test_arms_differ_in_the_way_of_running_alone() -> None:
    shipped = load_config("cpu")
    preset, plain = preset_config(shipped), plain_config(shipped)
    assert preset.lora == plain.lora == shipped.lora
    same = ("learning_rate", "schedule", "warmup", "optimizer", "weight_decay", "max_grad_norm", "epochs", "seed")
    assert all(getattr(preset.train, key) == getattr(plain.train, key) for key in same)
    assert preset.train == shipped.train and preset.model == shipped.model and preset.data == shipped.data
    assert (plain.model.backend, plain.train.micro_batch, plain.train.accumulation) == ("hf", 1, 8)
    assert plain.data.tools_style == "json" and plain.data.descriptions and plain.data.max_tools is None
    assert not plain.train.compile and not plain.train.group_by_length and not plain.model.fast_matmul
    assert (preset.train.share_prefix, plain.train.share_prefix) == ("auto", "off")
    assert preset.data.max_tools is None and preset.data.descriptions, "all tools in both arms"
    fewer = preset_config(shipped.changed({"data.max_tools": 2}))
    said = [any("at most 2 tools" in line for line in notes({PLAIN: plain, PRESET: p})) for p in (preset, fewer)]
    assert said == [False, True]
    literal = literal_config(plain)
    assert (literal.lora.r, literal.lora.alpha, literal.train.learning_rate) == (8, 16, 2e-4)


def test_literal_arm_is_the_6gb_preset_s_own_recipe() -> None:
    plain = plain_config(load_config("6gb"))
    assert literal_config(plain) == plain


def run_arm(task: Task, folder: Path) -> list[dict[str, Any]]:
    """The events of one real arm."""
    task.save(folder / "task.json")
    command = arm_command(folder / "task.json", folder / "events.jsonl")
    forked.run(command[1:], cwd=ROOT, env=environment(folder), unsloth=False, timeout=300)
    return [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_arm_stops_at_its_cap_with_a_last_evaluation(config: Config, tmp_path: Path) -> None:
    task = Task(plain_config(config).model_dump(mode="json"), 0.0, None, every=1000, cap=0.0, validation_rows=3)
    events = run_arm(task, tmp_path)
    evaluated = [event["samples"] for event in events if event["event"] == "evaluated"]
    assert evaluated == [0, 8] and events[-1] == {"event": "ended", "status": "ok", "reason": None}
    rows = next(event for event in events if event["event"] == "rows")
    assert len(rows["validation_ids"]) == 3 and rows["train"] == 32


@pytest.mark.slow
def test_arm_refuses_other_answers(config: Config, tmp_path: Path) -> None:
    other: dict[str, Any] = {"train": {"tokens": 1, "sha256": "0"}, "validation": {"tokens": 1, "sha256": "0"}}
    task = Task(plain_config(config).model_dump(mode="json"), 1.0, None, 8, 60, 3, answers=other)
    last = run_arm(task, tmp_path)[-1]
    assert last["status"] == "failed" and "answers are not the same" in last["reason"]


ACTOR = """
import json, os, signal, sys, time
task = json.load(open(sys.argv[1]))
plain = task["config"]["model"]["backend"] == "hf"
out = open(sys.argv[2], "a")
def tell(event, **more):
    print(json.dumps({"event": event, **more}), file=out, flush=True)
tokens, computed = (500.0, 500.0) if plain else (100.0, 40.0)
tell("rows", train=32, tokens_per_sample=tokens, computed_per_sample=computed, dropped=[], validation_ids=["a"],
     supervised={})
tell("loaded", seconds=2.0)
tell("warmed up", seconds=3.0)
tell("evaluated", seconds=0.0, samples=0, loss=4.0)
end = os.environ["ACTOR"] if plain else "arrives"
for step in range(1, 5):
    tell("trained", seconds=step * (10.0 if plain else 1.0), samples=8 * step, peak_memory_gib=2.0)
    if end == "killed" and step == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "shortage" and step == 3:
        tell("ended", status="out of memory", reason="out of memory in the phase 'step'")
        sys.exit(1)
    if end == "ctrl-c" and step == 3:
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)
    late = 2.0 if end != "arrives" else 0.0
    tell("evaluated", seconds=step * (10.0 if plain else 1.0), samples=8 * step, loss=3.0 - 0.5 * step + late)
tell("ended", status="ok", reason=None)
"""


@pytest.fixture
def act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the benchmark with actors for arms: the preset arrives after 4 s, plain ends as it is told."""
    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (model / name).write_text("{}", encoding="utf-8")  # never read
    (model / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")  # without tensors
    config = load_config("cpu", [f"model.name={model}"])
    here = {"device": {"kind": "cpu", "name": "Processor"}, "environment": {}}
    monkeypatch.setattr("benchmarks.this_machine.machine", lambda: here)

    def run(end: str, literal: bool = False) -> dict[str, Any]:
        monkeypatch.setenv("ACTOR", end)
        options = RecipeOptions(target=None, samples=32, cap_s=60, literal=literal, out=tmp_path)
        command = [sys.executable, "-c", ACTOR]
        result, _ = recipe(config, options, QUIET, lambda task, events: [*command, str(task), str(events)])
        return dict(result)

    return run


def test_ratio_is_that_of_the_seconds_and_splits_into_factors(act: Any) -> None:
    result = act("arrives")
    plain, preset = result["arms"]
    assert (plain["seconds_to_target"], preset["seconds_to_target"], result["target_loss"]) == (40.0, 4.0, 1.0)
    assert result["ratio"] == 10 and not result["at_least"]
    factors = {"samples": 1.0, "tokens_per_sample": 5.0, "tokens_per_second": 2.0, "shared_prefix": 2.5}
    assert result["factors"] == factors
    assert (plain["seconds_with_setup"], preset["seconds_with_setup"]) == (42.0, 9.0)  # only the preset compiles
    assert "10.00× sooner" in result["verdict"] and "at least" not in result["verdict"]


def test_not_reached_is_at_least(act: Any) -> None:
    result = act("late")
    assert result["ratio"] == 10 and result["at_least"] and not result["arms"][0]["reached"]
    assert "at least 10.00×" in result["verdict"] and result["factors"]["samples"] is None
    factors: Any = {"samples": None, "tokens_per_sample": 5.224, "tokens_per_second": 3.729, "shared_prefix": 1.0}
    assert "A sample has 5.22 times fewer tokens, and tokens go through 3.73 times faster." in told(
        result | {"factors": factors}
    )
    said = told(result | {"factors": factors | {"shared_prefix": 2.5}})
    assert "3.73 times faster (2.50 times of it since a prefix that rows share is computed once)." in said


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_broken_arm_is_a_row_with_its_reason_and_gives_no_ratio(act: Any) -> None:
    for end, reason in (("killed", "SIGKILL"), ("shortage", "phase 'step'")):
        result = act(end)
        plain = result["arms"][0]
        assert plain["status"] == "out of memory" and reason in plain["reason"] and plain["samples"] >= 16
        assert result["ratio"] is None and "out of memory" in result["verdict"] and result["complete"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_keeps_what_was_measured(act: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        act("ctrl-c", literal=True)
    result = json.loads(next(tmp_path.glob("*-recipe.json")).read_text(encoding="utf-8"))
    plain, literal, preset = result["arms"]
    assert (plain["status"], literal["status"], preset["status"]) == ("interrupted", "skipped", "ok")
    assert literal["arm"] == LITERAL and len(plain["curve"]) == 3 and not result["complete"]
    assert result["at_least"] and result["ratio"] == 7.5


def test_table_names_every_arm(act: Any) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table(act("late", literal=True)))
    text = console.export_text()
    assert all(name in text for name in (PLAIN, LITERAL, PRESET))
