"""A random model has the shape it was asked for, and loads like any other."""

from pathlib import Path

import pytest

from benchmarks import random_model
from finetune.memory.shapes import Shape, read_config
from tests.tiny import make_tokenizer
from tooltune.embedded import SMOLLM2

SHAPE = Shape(64, 128, 2, 4, 2, 16, 300, True, "qwen2", qkv_bias=True)


def tokenizer_without_weights(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of models, in which SmolLM2's has config and tokenizer and nothing else."""
    monkeypatch.setenv("TOOLTUNE_MODELS", str(models))
    make_tokenizer(models / SMOLLM2.folder)
    (models / SMOLLM2.folder / "config.json").write_text("{}", encoding="utf-8")


def test_random_model_has_the_shape(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tooltune.pretrained import load_tokenizer

    tokenizer_without_weights(tmp_path, monkeypatch)
    monkeypatch.setattr(random_model, "shape_of", lambda name: (SHAPE, "the test"))
    said: list[str] = []
    folder = random_model.random_model("Someone/Model-1B", said.append)
    assert folder == tmp_path / "random-model-1b" and len(said) == 1
    assert read_config(folder / "config.json") == SHAPE
    assert load_tokenizer(folder).pad_token == "<pad>"
    assert random_model.random_model("Someone/Model-1B", said.append) == folder and len(said) == 1, "written once"
    assert not list(tmp_path.glob(".random-*/"))


def test_written_ahead_from_the_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tied and untied, and what is there stays as it is."""
    tokenizer_without_weights(tmp_path, monkeypatch)
    random_model.main(["tiny", "tiny-untied"])
    tied, untied = (read_config(tmp_path / f"random-{name}" / "config.json") for name in ("tiny", "tiny-untied"))
    assert (tied.tied, untied.tied) == (True, False) and tied.layers == untied.layers == 4
    weights = tmp_path / "random-tiny" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    random_model.main(["tiny"])
    assert weights.stat().st_mtime_ns == before


def test_weights_are_the_same_every_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(random_model, "shape_of", lambda name: (SHAPE, "the test"))
    for folder in (tmp_path / "one", tmp_path / "two"):
        tokenizer_without_weights(folder, monkeypatch)
        random_model.random_model("m", print)
    one, two = ((tmp_path / n / "random-m" / "model.safetensors").read_bytes() for n in ("one", "two"))
    assert one == two


def test_weights_are_drawn_on_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch
    from transformers import PreTrainedModel

    saved: list[set[str]] = []

    def save(model: torch.nn.Module, folder: Path, **_: object) -> None:
        saved.append({p.device.type for p in model.parameters()})

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", save)
    monkeypatch.setattr(random_model, "shape_of", lambda name: (SHAPE, "the test"))
    tokenizer_without_weights(tmp_path, monkeypatch)
    random_model.random_model("m", print, "meta")
    assert saved == [{"meta"}]
