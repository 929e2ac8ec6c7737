"""Ctrl-C and SIGTERM: once, and the step is finished and kept; twice, and it is over now; neither loses a thing."""

import json

import pytest

from tests.reliability.runs import Bench, same

pytestmark = pytest.mark.slow

HOW = ("To go on from step", "--resume")


@pytest.mark.parametrize("signal", ["press", "term"])
def test_once_finishes_the_step_keeps_it_and_says_how_to_go_on(bench: Bench, signal: str) -> None:
    name = f"once-{signal}"
    done = bench.train(name, fault=f"{signal}=step,9")  # the first half of step 5
    assert done.returncode == 130, done.stdout + done.stderr
    assert "Stopping after this step" in done.stdout and f"{HOW[0]} 5" in done.stdout and HOW[1] in done.stdout
    assert bench.at_step(name) == 5 and (bench.run(name) / "report.html").is_file()
    assert "Resuming from step 5" in bench.finish(name)
    same(bench.run(name), bench.run("whole"))


def test_a_terminal_that_is_closed_stops_it_and_nobody_hears(bench: Bench) -> None:
    done = bench.train("closed", fault="close=step,9")
    assert done.returncode == 130 and bench.at_step("closed") == 5, done.stderr + bench.log("closed")
    bench.finish("closed")
    same(bench.run("closed"), bench.run("whole"))


def test_twice_is_now(bench: Bench) -> None:
    done = bench.train("twice", fault="twice=step,9")
    assert done.returncode == 130 and f"{HOW[0]} 3" in done.stdout, done.stdout + done.stderr
    assert bench.at_step("twice") == 3
    bench.finish("twice")
    same(bench.run("twice"), bench.run("whole"))


@pytest.mark.parametrize("place", ["evaluation", "generation"])
def test_an_evaluation_need_not_be_finished(bench: Bench, places: dict[str, int], place: str) -> None:
    name = f"evaluating-{place}"
    done = bench.train(name, fault=f"press={place},{places[place]}")  # the last one
    assert done.returncode == 130 and f"{HOW[0]} 16" in done.stdout, done.stdout + done.stderr
    assert (bench.run(name) / "report.html").is_file()
    bench.finish(name)
    same(bench.run(name), bench.run("whole"))


@pytest.mark.parametrize("fault", ["press=checkpoint,12", "twice=checkpoint,12", "press=best,1", "press=pictures,1"])
def test_while_something_is_written(bench: Bench, fault: str) -> None:
    name = "writing-" + fault.replace("=", "-").partition(",")[0]
    done = bench.train(name, fault=fault)
    assert done.returncode == 130 and HOW[0] in done.stdout, done.stdout + done.stderr
    manifest = json.loads((bench.run(name) / "manifest.json").read_text(encoding="utf-8"))
    assert "wall_seconds" not in manifest
    bench.finish(name)
    same(bench.run(name), bench.run("whole"))


def test_before_the_first_step_nothing_is_left(bench: Bench) -> None:
    for fault in ("press=rows,1", "term=load,1", "press=probe,1"):
        done = bench.train("early", fault=fault)
        assert done.returncode == 130 and "nothing was trained" in done.stdout, done.stdout + done.stderr
        assert not bench.run("early").exists()
