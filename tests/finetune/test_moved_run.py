"""A run is used from another folder, and after its folder, its base model or its data moved."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from finetune.runs import adapter_digest
from tests.tiny import FIXTURES, TINY, finetune
from tooltune.pretrained import weights_digest

STEPS = ["train.max_steps=3", "eval.every=1", "train.learning_rate=1e-9", "train.warmup=0", "model.backend=hf"]


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The folder `다른 곳` with `run`, `모델` and `행.jsonl`, which were trained elsewhere, by relative names; the last
    step is to be made again, and its evaluation is no better than those before."""
    root = tmp_path_factory.mktemp("moved")
    there, here = root / "여기 1", root / "다른 곳"
    shutil.copytree(tiny_model, there / "모델")
    shutil.copy(FIXTURES / "train.jsonl", there / "행.jsonl")
    finetune(there, "train", "cpu", "name=run", *TINY, *STEPS, "model.name=모델", "data.train=행.jsonl")
    shutil.move(there, here)
    shutil.move(here / "runs" / "run", here / "run")
    shutil.rmtree(here / "run" / "checkpoints" / "checkpoint-3")
    return here


def other_weights(folder: Path, out: Path) -> Path:
    """The same model with one number changed."""
    shutil.copytree(folder, out)
    weights = load_file(out / "model.safetensors")
    weights["model.norm.weight"][0] += 1
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    return out


@pytest.mark.slow
def test_a_model_that_moved_is_named(moved: Path, tmp_path: Path) -> None:
    config = moved / "run" / "config.yaml"
    before = config.read_text(encoding="utf-8")
    values = yaml.safe_load(before)
    assert Path(values["data"]["train"]).is_absolute() and Path(values["model"]["name"]).is_absolute()
    values["data"]["train"] = str(moved / "행.jsonl")
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert "is neither a folder" in finetune(tmp_path, "explain", str(moved / "run"), expect=2)
    model = ["--model", str(moved / "모델")]
    assert "eval_loss" in finetune(tmp_path, "explain", str(moved / "run"), *model)
    other = other_weights(moved / "모델", tmp_path / "다른 모델")
    said = finetune(tmp_path, "explain", str(moved / "run"), "--model", str(other), expect=2)
    assert "other weights than the run was trained on" in said and "--model PATH" in said
    export = ["export", str(moved / "run"), "--to", "merged", "--rows", "1", "--out", str(tmp_path / "out")]
    said = finetune(tmp_path, *export, "--model", str(other), expect=2)
    assert "other weights than the run was trained on" in said and not (tmp_path / "out").exists()
    assert "Written" in finetune(tmp_path, *export, *model)
    config.write_text(before, encoding="utf-8")


@pytest.mark.slow
def test_a_run_that_moved_is_resumed_and_keeps_its_best_checkpoint(moved: Path, tmp_path: Path) -> None:
    run = shutil.copytree(moved / "run", tmp_path / "run 2")
    shutil.rmtree(run / "best")
    said = finetune(tmp_path, "train", "--resume", str(run), expect=2)
    assert "행.jsonl: no such file" in said and "data.train=FILE" in said
    places = [f"data.train={moved / '행.jsonl'}", f"model.name={moved / '모델'}"]
    other = other_weights(moved / "모델", tmp_path / "다른 모델")
    assert "weights was" in finetune(
        tmp_path, "train", "--resume", str(run), places[0], f"model.name={other}", expect=2
    )
    finetune(tmp_path, "train", "--resume", str(run), *places)
    best = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["best"]
    assert best["step"] < 3 and adapter_digest(run / "best") == best["sha256"]


def test_weights_are_told_apart_by_what_is_in_them(tiny_model: Path, tmp_path: Path) -> None:
    known = weights_digest(tiny_model)
    parts = tmp_path / "parts"
    parts.mkdir()
    weights = load_file(tiny_model / "model.safetensors")
    names = sorted(weights, reverse=True)
    for n, part in enumerate((names[:3], names[3:])):
        save_file({name: weights[name] for name in part}, parts / f"model-{n}.safetensors")
    assert weights_digest(parts) == known, "in other files"
    assert weights_digest(other_weights(tiny_model, tmp_path / "other")) != known
    save_file({name: w.to(torch.bfloat16) for name, w in weights.items()}, parts / "model-1.safetensors")
    assert weights_digest(parts) != known
    assert weights_digest(tmp_path) is None
