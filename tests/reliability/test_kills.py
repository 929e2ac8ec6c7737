"""A run that is killed anywhere goes on with the same command, and ends as one that nothing happened to."""

import json
import random
import signal
import time
from pathlib import Path

import pytest

from tests import forked
from tests.reliability.faults import PLACES
from tests.reliability.runs import Bench, same
from tests.tiny import FIXTURES, environment, finetune
from tooltune.files import read_jsonl

pytestmark = pytest.mark.slow

MOMENTS = 24
KILLED = -signal.SIGKILL


def moment(number: int, places: dict[str, int]) -> str:
    """The `number`-th of the random moments: each place is hit once, and then any."""
    rng = random.Random(f"kill {number}")
    place = list(PLACES)[number] if number < len(PLACES) else rng.choice(list(PLACES))
    return f"kill={place},{rng.randint(1, places[place])}"


@pytest.mark.parametrize("number", range(MOMENTS))
def test_a_kill_changes_nothing(bench: Bench, places: dict[str, int], number: int) -> None:
    name, fault = f"killed-{number}", moment(number, places)
    assert bench.train(name, fault=fault).returncode == KILLED, fault
    bench.finish(name)
    same(bench.run(name), bench.run("whole"))


def test_kills_by_the_clock_one_after_the_other(bench: Bench) -> None:
    """At random times of a whole run's length, each in the process that went on after the one before."""
    started = time.monotonic()
    bench.finish("timed")
    seconds, rng, hits = time.monotonic() - started, random.Random(19), 0
    for _ in range(8):
        done = bench.train("clock", fault=f"after={rng.uniform(0, seconds)}")
        if done.returncode == 0:  # it came to its end in time
            break
        assert done.returncode == KILLED, done.stdout + done.stderr + bench.log("clock")
        hits += 1
    else:
        bench.finish("clock")
    assert hits
    same(bench.run("clock"), bench.run("whole"))


def test_a_kill_by_the_clock_between_two_evaluations_goes_on_from_the_last(bench: Bench) -> None:
    assert bench.train("late", fault="kill=step,15").returncode == KILLED  # of the 8th step
    assert bench.at_step("late") == 6
    assert "Resuming from step 6" in bench.finish("late")


def test_answers_of_a_killed_evaluation_are_the_same(bench: Bench) -> None:
    """The evaluation that comes after training, killed after some answers, of a run that was itself killed."""
    assert bench.train("asked", fault="kill=checkpoint,7").returncode == KILLED
    bench.finish("asked")
    words = ["-m", "eval", "run", "--split", "validation", "--batch", "2"]
    answers = []
    for name, killed in (("whole", False), ("asked", True)):
        if killed:
            code = KILLED_AFTER.format(rows=3)
            done = forked.run(["-c", code, *words[2:], name], cwd=bench.cwd, env=environment(bench.cwd), unsloth=True)
            assert done.returncode == KILLED, done.stdout + done.stderr
        done = forked.run([*words, name], cwd=bench.cwd, env=environment(bench.cwd), unsloth=True)
        assert done.returncode == 0, done.stdout + done.stderr
        folder = bench.run(name) / "eval" / "validation"
        answers.append({file: by_id(folder / file) for file in ("generations.jsonl", "generations.base.jsonl")})
        assert len(answers[-1]["generations.jsonl"]) == sum(1 for _ in read_jsonl(FIXTURES / "validation.jsonl"))
    assert answers[0] == answers[1]


KILLED_AFTER = """
import os, signal, sys
import unsloth
import eval.run
from eval.cli import app
real, rows = eval.run.dump_json, 0
def counted(row):
    global rows
    rows += 1
    if rows == {rows}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(row)
eval.run.dump_json = counted
app(sys.argv[1:])
"""


def by_id(path: Path) -> dict[str, dict[str, object]]:
    """Each answer by its id, without the seconds that it took."""
    rows = [row for _, row in read_jsonl(path) if "id" in row]
    return {str(row["id"]): {key: value for key, value in row.items() if key != "seconds"} for row in rows}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("train.learning_rate=0.01", "train.learning_rate was 0.02 when the run began and is 0.01 now"),
        ("lora.r=8", "lora.r was 4 when the run began and is 8 now"),
        ("train.accumulation=4", "effective_batch was 4 when the run began and is 8 now"),
        ("eval.generate=2", "eval.generate was 4 when the run began and is 2 now"),
    ],
)
def test_a_changed_setting_is_refused_with_its_name(bench: Bench, change: str, field: str) -> None:
    if not bench.run("changed").exists():
        assert bench.train("changed", fault="kill=step,15").returncode == KILLED
    before = (bench.run("changed") / "metrics.jsonl").read_bytes()
    done = bench.train("changed", change)
    assert done.returncode == 2 and field in done.stderr and "--force" in done.stderr, done.stderr
    assert bench.at_step("changed") == 6 and (bench.run("changed") / "metrics.jsonl").read_bytes() == before


def test_a_config_that_was_edited_by_hand_is_refused(bench: Bench) -> None:
    assert bench.train("edited", fault="kill=step,15").returncode == KILLED
    path = bench.run("edited") / "config.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("rate: 0.02", "rate: 0.01"), encoding="utf-8")
    said = finetune(bench.cwd, "train", "--resume", "edited", expect=2)
    assert "train.learning_rate was 0.02 when the run began and is 0.01 now" in said


def test_settings_that_save_memory_may_change(bench: Bench) -> None:
    assert bench.train("saved", fault="kill=step,15").returncode == KILLED
    assert "Resuming from step 6" in bench.finish("saved", "train.micro_batch=1", "train.accumulation=4")


def test_a_changed_file_or_model_is_refused_and_can_be_forced(bench: Bench, tmp_path: Path) -> None:
    rows = tmp_path / "train.jsonl"
    rows.write_bytes((FIXTURES / "train.jsonl").read_bytes())
    model = tmp_path / "model"
    model.mkdir()
    for path in bench.model.iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    more = (f"data.train={rows}", f"model.name={model}")
    assert bench.train("forced", *more, fault="kill=step,15").returncode == KILLED
    whole = rows.read_text(encoding="utf-8")
    rows.write_text(whole.replace('"Call."', '"Call!"', 1), encoding="utf-8")
    done = bench.train("forced", *more)
    assert done.returncode == 2 and f"data: {rows} was" in done.stderr, done.stderr
    rows.write_text(whole, encoding="utf-8")
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "model.safetensors").write_bytes(weights)
    done = bench.train("forced", *more)
    assert done.returncode == 2 and "weights was" in done.stderr, done.stderr
    assert "Going on by force: weights" in bench.finish("forced", *more, "--force")
    manifest = json.loads((bench.run("forced") / "manifest.json").read_text(encoding="utf-8"))
    assert [(change["step"], change["field"]) for change in manifest["forced"]] == [(6, "weights")]
    assert manifest["weights"] == manifest["forced"][0]["now"]


@pytest.mark.parametrize("version", ["python", "packages", "code_sha256"])
def test_another_version_is_refused_with_its_name(bench: Bench, version: str) -> None:
    if not bench.run("versions").exists():
        assert bench.train("versions", fault="kill=step,15").returncode == KILLED
    path = bench.run("versions") / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    other = manifest[version] | {"peft": "0.1"} if version == "packages" else "0.1"
    path.write_text(json.dumps(manifest | {version: other}), encoding="utf-8")
    done = bench.train("versions")
    path.write_text(json.dumps(manifest), encoding="utf-8")
    named = "packages: peft" if version == "packages" else version
    assert done.returncode == 2 and f"{named} was 0.1 when the run began" in done.stderr, done.stderr


BROKEN = ["optimizer.pt", "adapter_model.safetensors", "trainer_state.json", "rng_state.pth", "scheduler.pt"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_run_whose_newest_checkpoint_is_broken_goes_on_from_the_one_before(bench: Bench, name: str) -> None:
    run = f"broken-{name.split('.')[0]}"
    assert bench.train(run, fault="kill=step,27").returncode == KILLED  # of the 14th step
    newest = bench.run(run) / "checkpoints" / "checkpoint-12" / name
    if name == "optimizer.pt":
        newest.unlink()
    else:
        newest.write_bytes(newest.read_bytes()[:-8])
    said = bench.finish(run)
    assert f"checkpoint-12 is passed over: {name}" in said and "Resuming from step 9" in said
    same(bench.run(run), bench.run("whole"))
