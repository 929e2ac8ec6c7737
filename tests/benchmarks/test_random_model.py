"""A random model has the shape it was asked for, and loads like any other."""

from pathlib import Path

import pytest

from benchmarks import random_model
from finetune.memory.shapes import Shape, read_config
from tests.tiny import make_tokenizer

SHAPE = Shape(64, 128, 2, 4, 2, 16, 300, True, "qwen2", qkv_bias=True)


def test_random_model_has_the_shape(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from data.pretrained import load_tokenizer

    make_tokenizer(tmp_path / "tokenizer")
    monkeypatch.setenv("TOOLTUNE_MODELS", str(tmp_path))
    monkeypatch.setattr(random_model, "shape_of", lambda name: (SHAPE, "the test"))
    monkeypatch.setattr(random_model, "embedded_model", lambda model, say: tmp_path / "tokenizer")
    said: list[str] = []
    folder = random_model.random_model("Someone/Model-1B", said.append)
    assert folder == tmp_path / "random-model-1b" and len(said) == 1
    assert read_config(folder / "config.json") == SHAPE
    assert load_tokenizer(folder).pad_token == "<pad>"
    assert random_model.random_model("Someone/Model-1B", said.append) == folder and len(said) == 1, "written once"
    assert not list(tmp_path.glob(".random-*"))
