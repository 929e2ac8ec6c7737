"""The steps that are made before step 1 and thrown away do what a step does, so that they show what it will take."""

import json
from pathlib import Path

import pytest

from tests import forked
from tests.tiny import ROOT, TINY, environment

TRAIN = """
seen = []
finetune.trainer.build_trainer = watched(finetune.trainer.build_trainer)
out = sys.argv.pop(1)
try:
    app(sys.argv[1:])
finally:
    open(out, "w").write(json.dumps(seen))
"""
"""What both programs end with: train with the watched trainer, and write what was seen to the file named first."""


WATCHED = """
import json, sys
import unsloth
import finetune.trainer
from finetune.cli import app

def watched(build):
    def built(*args, **kwargs):
        trainer = build(*args, **kwargs)
        trainer.model.eval()  # on a GPU Unsloth's trainer does both
        trainer.model.gradient_checkpointing_disable()
        compute, train = trainer.compute_loss, trainer.train
        marks = [{"seen": False}, {"seen": False}]
        wrapped = (trainer.model, trainer.model.get_base_model())
        for module, mark in zip(wrapped, marks):
            module._unsloth_pretrain_marker = mark
        def noted(model, inputs, *more, **named):
            layers = [m.gradient_checkpointing for m in model.modules() if hasattr(m, "gradient_checkpointing")]
            seen.append({"training": model.training, "checkpointing": bool(layers) and all(layers)})
            for mark in marks:  # as Unsloth's hook does on a GPU, where rows are plain
                mark["seen"] = True
            return compute(model, inputs, *more, **named)
        def begun(*args, **kwargs):
            seen.append({"compiled anew": any(mark["seen"] for mark in marks)})
            return train(*args, **kwargs)
        trainer.compute_loss, trainer.train = noted, begun
        return trainer
    return built
"""


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", ["on", "off"])
def test_it_recomputes_as_a_step_does(tmp_path: Path, tiny_model: Path, checkpointing: str) -> None:
    """Unsloth's trainer leaves the model in inference mode, where nothing is recomputed and memory is another."""
    settings = [f"model.name={tiny_model}", "train.max_steps=1", f"train.gradient_checkpointing={checkpointing}"]
    words = ["-c", WATCHED + TRAIN, str(tmp_path / "seen.json"), "train", "cpu", *TINY, *settings]
    done = forked.run(words, cwd=ROOT, env=environment(tmp_path), unsloth=True)
    assert done.returncode == 0, done.stdout + done.stderr
    *probe, begun, step = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert len(probe) == 2 and all(p == step for p in probe)
    assert step == {"training": True, "checkpointing": checkpointing == "on"}
    assert begun == {"compiled anew": False}


PRECISION = """
import json, sys
import torch
import finetune.trainer
from finetune.cli import app

def watched(build):
    def built(*args, **kwargs):
        trainer = build(*args, **kwargs | {"trl": False})  # the library's loss, as where rows are padded on a GPU
        def noted(model, inputs):
            if model.training:
                seen.append(torch.is_autocast_enabled("cpu"))
        trainer.model.get_base_model().model.register_forward_pre_hook(noted)
        return trainer
    return built
"""


@pytest.mark.slow
def test_its_forward_pass_has_the_precision_of_a_step(tmp_path: Path, tiny_model: Path) -> None:
    """Accelerate wraps the model only when `train()` begins. Otherwise what is compiled before is compiled anew."""
    settings = [f"model.name={tiny_model}", "model.backend=hf", "model.dtype=bfloat16", "train.max_steps=1"]
    words = ["-c", PRECISION + TRAIN, str(tmp_path / "seen.json"), "train", "cpu", *TINY, *settings]
    done = forked.run(words, cwd=ROOT, env=environment(tmp_path), unsloth=False)
    assert done.returncode == 0, done.stdout + done.stderr
    *probe, step = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert probe == [True, True] and step
