"""At the first loss, gradient or weight that is no number a run stops with step and rows, or leaves the step out."""

import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from finetune.checkpoints import last_checkpoint, step_of
from finetune.diagnose import findings
from finetune.finite import fault_of_step
from finetune.history import read_history
from tests.reliability.runs import Bench, figures
from tests.tiny import losses
from tooltune.files import read_jsonl


@pytest.mark.parametrize(
    ("loss", "norm", "fp16", "said"),
    [
        (None, 1.0, False, ""),
        (math.nan, 1.0, False, "the loss is nan"),
        (math.inf, 1.0, True, "the loss is inf"),
        (None, math.nan, False, "grad_norm is nan"),
        (None, math.inf, False, "grad_norm is inf"),
        (None, math.inf, True, ""),
    ],
)
def test_what_of_a_step_is_not_finite(loss: float | None, norm: float, fp16: bool, said: str) -> None:
    assert fault_of_step(loss, norm, fp16=fp16) == said


@pytest.mark.slow
def test_a_base_model_with_a_weight_that_is_none_is_named(bench: Bench, tmp_path: Path) -> None:
    model = shutil.copytree(bench.model, tmp_path / "model")
    weights = load_file(model / "model.safetensors")
    name = next(name for name in weights if "down_proj" in name)
    weights[name][0, 0] = math.nan
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    done = bench.train("odd", f"model.name={model}")
    assert done.returncode == 2 and f"model.safetensors: {name} is not finite" in done.stderr, done.stderr
    assert not bench.run("odd").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("where", "said"), [("loss", "the loss is nan"), ("gradient", "grad_norm is inf")])
def test_it_stops_before_the_step_and_is_kept_as_it_was(bench: Bench, where: str, said: str) -> None:
    name = f"stopped-{where}"
    done = bench.train(name, fault=f"nan={where},8")
    assert done.returncode == 1 and f"{said} at step 8, rows tiny-" in done.stderr, done.stdout + done.stderr
    assert done.stderr.count("tiny-") == 4, "the rows of the whole step"
    last = [row for _, row in read_jsonl(bench.run(name) / "metrics.jsonl")][-1]
    assert last["step"] == 8 and isinstance(last["loss" if where == "loss" else "grad_norm"], str)
    assert bench.at_step(name) == 7
    assert "Resuming from step 7" in bench.finish(name)
    # Dropout has drawn for the step that failed, so only what came before is the same.
    found, wanted = losses(bench.run(name)), losses(bench.run("whole"))
    assert found.keys() == wanted.keys()
    assert [found[step] for step in (1, 2, 4, 6)] == [wanted[step] for step in (1, 2, 4, 6)]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_step_can_be_left_out(bench: Bench, where: str) -> None:
    name = f"skipped-{where}"
    done = bench.train(name, "train.on_nan=skip", fault=f"nan={where},8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "step 8 was left out" in done.stdout
    noted = [row for _, row in read_jsonl(bench.run(name) / "metrics.jsonl") if "skipped" in row]
    assert len(noted) == 1 and noted[0]["step"] == 8 and len(noted[0]["rows"]) == 4
    found = losses(bench.run(name))
    assert all(math.isfinite(loss) for loss in found.values()) and found.keys() == losses(bench.run("whole")).keys()
    assert figures(bench.run(name))["best"]["sha256"] != figures(bench.run("whole"))["best"]["sha256"]


@pytest.mark.slow
def test_a_weight_that_is_nan_is_in_no_checkpoint(bench: Bench) -> None:
    """After step 9, which a checkpoint follows: the one before it is where the run goes on."""
    done = bench.train("weight", fault="nan=weight,9")
    assert done.returncode == 1 and "a weight is not finite after step 9" in done.stderr, done.stdout + done.stderr
    assert bench.steps("weight") == [3, 6] and bench.at_step("weight") == 6
    bench.finish("weight")
    assert losses(bench.run("weight")) == losses(bench.run("whole"))


@pytest.mark.slow
def test_a_finite_spike_is_clipped_and_named_and_the_run_goes_on(bench: Bench) -> None:
    done = bench.train("spike", "train.epochs=3", "train.logging_steps=1", fault="nan=spike,20")
    assert done.returncode == 0, done.stdout + done.stderr
    run = bench.run("spike")
    (spike,) = [finding for finding in findings(read_history(run)) if finding.rule == "grad_spike"]
    assert spike.figures["step"] == 20 and spike.figures["norm"] > 1e5 and len(spike.figures["rows"]) == 4
    last = last_checkpoint(run)
    assert last and step_of(last) == 24
    state = torch.load(last / "optimizer.pt", weights_only=True)["state"]
    moments = torch.cat([moment["exp_avg"].flatten() for moment in state.values()])
    assert moments.norm() < 1, "a mean of gradients, each clipped at 1"
