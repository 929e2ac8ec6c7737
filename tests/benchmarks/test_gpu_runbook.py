"""The runbook's script: limits, waves, what each step leaves, that every command it names exists, and a rehearsal."""

import importlib
import io
import json
import os
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner

from benchmarks.gpu import run as runbook
from benchmarks.gpu.figures import key_figures
from benchmarks.gpu.run import limit, pack, run_steps, wanted
from benchmarks.gpu.steps import LONGER, OPEN, STEPS, Step, StepScene, Words
from benchmarks.random_model import random_folder
from tooltune.config import load_config
from tooltune.errors import InputError

CARD = {"device": {"kind": "cuda", "name": "NVIDIA Test", "memory_gib": 6.0}, "environment": {}}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`python -m good`, `bad` and `slow`, in place of what needs a card."""
    monkeypatch.setattr(runbook, "machine", lambda: CARD)
    monkeypatch.setattr(runbook, "has_cuda", lambda: True)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "good.py").write_text(
        "import os; print(os.environ['TOOLTUNE_RUNS'], os.environ.get('OMP_NUM_THREADS'), os.environ['HF_HUB_OFFLINE'])"
    )
    (tmp_path / "bad.py").write_text("print('card 0 is on fire'); raise SystemExit('no such card')")
    (tmp_path / "slow.py").write_text("import time; print('step 3/75', flush=True); time.sleep(60)")
    return tmp_path


def step(wave: int, *commands: Words, seconds: int = 60, needs: tuple[str, ...] = ()) -> Step:
    return Step("a test", seconds, wave, lambda scene: list(commands), needs)


def go(
    folder: Path, table: dict[str, Step], *names: str, minutes: float | None = None
) -> tuple[list[str], dict[str, list[Any]], str]:
    """The failed steps, each step's commands from gpu.json, and what was printed."""
    said = io.StringIO()
    failed = run_steps(table, list(names), folder / "out", minutes, False, Console(file=said, width=200))
    whole = json.loads((folder / "out" / "gpu.json").read_text(encoding="utf-8"))
    return failed, {s["step"]: s["commands"] for s in whole["steps"]}, said.getvalue()


def status(commands: list[dict[str, Any]]) -> list[str]:
    return [ran["status"] for ran in commands]


def test_a_step_leaves_its_summary_and_all_two_files_at_the_top(modules: Path) -> None:
    failed, steps, _ = go(modules, {"one": step(0, ["good"], ["good", "again"]), "two": step(1, ["good"])})
    assert failed == [] and status(steps["one"]) == ["ok", "ok"] and status(steps["two"]) == ["ok"]
    out = modules / "out"
    assert steps["one"][1]["last"] == f"{out / 'one' / 'runs'} None 1"
    assert json.loads((out / "one.json").read_text(encoding="utf-8"))["commands"] == steps["one"]
    assert json.loads((out / "gpu.json").read_text(encoding="utf-8"))["device"] == CARD["device"]
    with tarfile.open(out / "gpu.tar.gz") as tar:
        assert {"gpu.json", "one/1.log", "one/2.log", "two/1.log"} <= set(tar.getnames())


def test_a_failure_is_told_with_its_words_and_the_rest_still_runs(modules: Path) -> None:
    failed, steps, said = go(modules, {"one": step(0, ["bad"], ["good"]), "two": step(1, ["good"])})
    assert failed == ["one"] and status(steps["one"]) == ["failed", "ok"] and status(steps["two"]) == ["ok"]
    assert "no such card" in steps["one"][0]["reason"] and "card 0 is on fire" in said


def test_steps_of_a_wave_share_the_cores_and_a_later_wave_has_all(modules: Path) -> None:
    """They wait for one another's files, which they could not one after the other."""
    meet = "import pathlib, sys, time\nmine, other = sys.argv[1:]\npathlib.Path(mine).touch()\n"
    meet += "while not pathlib.Path(other).exists(): time.sleep(0.05)"
    (modules / "meet.py").write_text(meet)
    a, b = str(modules / "a"), str(modules / "b")
    table = {
        "one": step(0, ["meet", a, b], ["good"]),
        "two": step(0, ["meet", b, a], ["good"]),
        "alone": step(1, ["good"]),
    }
    failed, steps, _ = go(modules, table)
    assert failed == []
    assert steps["one"][1]["last"].split()[1] == steps["two"][1]["last"].split()[1] == "2"
    assert steps["alone"][0]["last"].split()[1] == "None"


def test_what_outlasts_its_time_is_cut_and_the_rest_not_reached(modules: Path) -> None:
    table = {"one": step(0, ["slow"], ["good"]), "two": step(1, ["good"])}
    failed, steps, _ = go(modules, table, minutes=4 / 60)
    assert failed == ["one", "two"] and status(steps["one"]) == ["cut", "not reached"]
    assert steps["one"][0]["last"] == "step 3/75" and status(steps["two"]) == ["not reached"]


def test_a_step_that_hangs_takes_no_other_waves_time(modules: Path) -> None:
    failed, steps, _ = go(modules, {"one": step(0, ["slow"], seconds=4), "two": step(1, ["good"], seconds=60)})
    assert failed == ["one"] and status(steps["one"]) == ["cut"] and status(steps["two"]) == ["ok"]


def test_ctrl_c_ends_all_commands_and_keeps_the_files(modules: Path) -> None:
    (modules / "stop.py").write_text("import os, signal\nfor _ in range(3): os.kill(os.getppid(), signal.SIGINT)")
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        go(modules, {"one": step(0, ["good"]), "two": step(1, ["slow"]), "three": step(1, ["good"], ["stop"])})
    assert time.monotonic() - started < 50  # slow takes 60 s
    whole = json.loads((modules / "out" / "gpu.json").read_text(encoding="utf-8"))
    assert [s["step"] for s in whole["steps"]] == ["one", "two", "three"]
    assert (modules / "out" / "gpu.tar.gz").exists()


def test_a_step_alone_brings_what_it_needs_once(modules: Path) -> None:
    table = {"models": step(0, ["good"]), "other": step(1, ["good"]), "train": step(1, ["good"], needs=("models",))}
    _, steps, _ = go(modules, table, "train")
    assert list(steps) == ["models", "train"]
    assert wanted(table, ["train"], modules / "out") == ["train"]
    for commands in (["bad"], ["slow"]):  # one that failed or was cut is made again
        go(modules, {"models": step(0, commands, seconds=4)})
        assert wanted(table, ["train"], modules / "out") == ["models", "train"]
    assert wanted(STEPS, ["evaluate"], modules) == ["models", "train", "evaluate"]


def test_the_exit_code_says_that_a_step_failed(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.gpu import __main__ as command

    monkeypatch.setattr(command, "STEPS", {"one": step(0, ["bad"]), "two": step(0, ["good"])})
    for names, code in ((["one"], 1), (["two"], 0), (["warp"], 2)):
        done = CliRunner().invoke(command.app, [*names, "--out", str(modules / "out")])
        assert done.exit_code == code and "should not happen" not in done.output


def test_without_a_card_only_a_rehearsal_runs(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runbook, "has_cuda", lambda: False)
    with pytest.raises(InputError, match="this machine has no GPU"):
        go(modules, {"one": step(0, ["good"])})
    assert run_steps({"one": step(0, ["good"])}, [], modules / "out", None, True, Console(file=io.StringIO())) == []


def test_an_unknown_step_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such step: 'warp'"):
        run_steps(STEPS, ["doctor", "warp"], tmp_path / "out", None, True, Console(file=io.StringIO()))
    assert not (tmp_path / "out").exists()


def test_a_file_where_the_results_should_go(modules: Path) -> None:
    (modules / "out").touch()
    with pytest.raises(InputError, match="this is a file"):
        go(modules, {"one": step(0, ["good"])})


def test_what_is_heavy_stays_behind(tmp_path: Path) -> None:
    run = tmp_path / "train" / "runs" / "tiny"
    for name in (
        "best/adapter_model.safetensors",
        "best/adapter_config.json",
        "best/tokenizer.json",
        "checkpoints/checkpoint-2/trainer_state.json",
        "report.html",
        "metrics.jsonl",
    ):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("x")
    (tmp_path / "gpu.json").write_text("{}")
    pack(tmp_path, [tmp_path / "train"], tmp_path / "gpu.tar.gz")
    with tarfile.open(tmp_path / "gpu.tar.gz") as tar:
        files = {entry.name for entry in tar if entry.isfile()}
    assert files == {"gpu.json", "train/runs/tiny/best/adapter_config.json", "train/runs/tiny/metrics.jsonl"}


def test_figures_put_the_plan_beside_the_peaks(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "memory"
    run.mkdir(parents=True)
    manifest = {
        "precision": "bfloat16",
        "longest_row": 2040,
        "planned_memory": {"tensors_gib": 1.5, "expected_gib": 2.1, "gate_gib": 2.6, "peak_phase": "backward"},
        "peak_memory": {"gpu_allocated_gib": 1.6, "gpu_reserved_gib": 1.7, "gpu_workspace_gib": 0.01, "rss_gib": 3.0},
        "recoveries": [{"step": 0, "phase": "step"}],
    }
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "metrics.jsonl").write_text('{"step": 1, "loss": 10.5}\n{"step": 2, "loss": "nan"}\n')
    (run.parent / "latest").symlink_to(run)
    (found,) = key_figures(tmp_path, [])
    assert (found["planned_gib"], found["allocated_gib"], found["plan_error"]) == (1.5, 1.6, -0.0566)
    assert found["finite"] is False and found["finished"] is False and found["recoveries"]
    (run / "metrics.jsonl").unlink()
    manifest["peak_memory"] = manifest["planned_memory"] = None  # it ended before either was known
    (run / "manifest.json").write_text(json.dumps(manifest))
    (found,) = key_figures(tmp_path, [])
    assert found["plan_error"] is None and found["losses"] == []


def test_half_a_file_is_told_and_ends_nothing(modules: Path) -> None:
    code = "import os, pathlib; run = pathlib.Path(os.environ['TOOLTUNE_RUNS']) / 'cut'; run.mkdir(parents=True); "
    (modules / "half.py").write_text(code + "(run / 'manifest.json').write_text('{')")
    failed, steps, _ = go(modules, {"one": step(0, ["half"]), "two": step(1, ["good"])})
    assert failed == [] and status(steps["two"]) == ["ok"]
    (figures,) = json.loads((modules / "out" / "one.json").read_text(encoding="utf-8"))["figures"]
    assert "JSONDecodeError" in figures["unreadable"]


GOOD = {"step": "one", "what": "", "rehearsal": True, "date": "", "seconds": 1.0, "commands": [], "figures": []}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "FileNotFoundError"),
        (json.dumps(GOOD)[:-9], "JSONDecodeError"),
        ("\udcff", "UnicodeDecodeError"),
        ("[" * 9999, "RecursionError"),
        (json.dumps(GOOD | {"seconds": float("nan")}), "ValueError"),
        (json.dumps(GOOD | {"what": "\ud800"}), "UnicodeEncodeError"),
        ("[1]", "no summary of this step"),
        ('{"step": "one", "commands": []}', "no summary of this step"),
        (json.dumps(GOOD | {"commands": [{"status": "ok"}]}), "no summary of this step"),
    ],
)
def test_a_summary_that_cannot_be_used_is_told_and_the_others_are_collected(
    modules: Path, text: str | None, said: str
) -> None:
    """Files that were copied back from another machine: cut, changed by hand, of another version, or not there."""
    (modules / "out" / "one").mkdir(parents=True)
    if text is not None:
        (modules / "out" / "one.json").write_bytes(text.encode(errors="surrogateescape"))
    table = {"one": step(0, ["good"]), "two": step(1, ["good"]), "three": step(2, ["good"])}
    _, steps, console = go(modules, table, "two", "three")
    assert list(steps) == ["two", "three"]
    (line,) = [line for line in console.splitlines() if line.startswith("left out: ")]
    assert str(modules / "out" / "one.json") in line and said in line and "benchmarks.gpu one" in line


def test_figures_of_a_benchmark_are_a_line_an_arm(tmp_path: Path) -> None:
    from tests.benchmarks.report_results import ALL

    for kind in ("train", "failures", "planner", "length"):
        (tmp_path / f"{kind}.json").write_text(json.dumps(ALL[kind]()))
    lines = key_figures(tmp_path, [])
    assert {line["result"] for line in lines if "result" in line} == {"train", "planner", "length"}
    fast = next(line for line in lines if line.get("arm") == "unsloth")
    assert fast["samples_per_second"] > 0 and fast["status"] == "ok"
    assert any(line.get("case", "").startswith("Qwen2.5") and line["planned_gib"] for line in lines)


def test_nine_minutes_and_what_is_timed_runs_alone() -> None:
    assert limit(STEPS) <= 540 and limit(OPEN) <= 550  # of the ten minutes that a call may take
    assert list(STEPS)[:8] == ["doctor", "models", "train", "roles", "offload", "float16", "memory", "recovery"]
    for table, timed in ((STEPS, ("speed", "prefix")), (OPEN, ("prefix", "wide"))):
        waves = [step.wave for step in table.values()]
        assert waves == sorted(waves) and all(waves.count(table[name].wave) == 1 for name in timed)
    for table in (STEPS, OPEN, LONGER):
        for name, entry in table.items():
            assert all(table[need].wave < entry.wave for need in entry.needs), name


def command_lines(table: dict[str, Step], *, rehearsal: bool) -> list[Words]:
    out = Path("out").resolve()
    return [words for name, step in table.items() for words in step.commands(StepScene(out, out / name, rehearsal))]


@pytest.mark.parametrize("rehearsal", [False, True])
@pytest.mark.parametrize("table", [STEPS, OPEN, LONGER], ids=["nine-minutes", "open", "longer"])
def test_every_command_is_one_and_its_config_is_right(table: dict[str, Step], rehearsal: bool) -> None:
    """Options, presets and keys of all commands, read by the very parsers that will read them; nothing is run."""
    for package, *rest in command_lines(table, rehearsal=rehearsal):
        if package in ("pytest", "benchmarks.random_model"):
            continue
        group: Any = get_command(importlib.import_module(f"{package}.cli").app)
        given = group.commands[rest[0]].make_context(rest[0], rest[1:]).params.get("arguments")
        if given:
            load_config(given[0], given[1:])


def test_models_that_commands_name_are_written_first() -> None:
    for rehearsal in (False, True):
        (models, *_) = STEPS["models"].commands(StepScene(Path(), Path(), rehearsal))
        folders = {f"model.name={random_folder(name)}" for name in models[1:]}
        lines = [*command_lines(STEPS, rehearsal=rehearsal), *command_lines(OPEN, rehearsal=rehearsal)]
        named = {word for words in lines for word in words if word.startswith("model.name=/")}
        assert named and named <= folders
