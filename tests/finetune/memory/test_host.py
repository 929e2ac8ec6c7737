"""Whether xformers runs, from its build record alone."""

import json
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from finetune.memory import activations, host
from finetune.memory.setup import Setup, setup_from
from finetune.memory.shapes import KNOWN, shape_of
from tooltune.config import load_config


def installed(monkeypatch: pytest.MonkeyPatch, folder: Path, *, built: str | None, torch: str) -> None:
    if built:
        record = {"version": {"cuda": 1208, "torch": built, "python": "3.10.19"}}
        (folder / "cpp_lib.json").write_text(json.dumps(record), encoding="utf-8")
    spec = ModuleSpec("xformers", None, origin=str(folder / "__init__.py"))
    monkeypatch.setattr(host.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(host, "version", lambda name: torch)


@pytest.mark.parametrize(
    ("built", "torch", "loads"),
    [
        ("2.10.0+cu128", "2.10.0", True),
        ("2.10.0+cu128", "2.10.0+cu128", True),
        ("2.10.0+cu128", "2.10.0+cu130", False),
        ("2.10.0+cu128", "2.11.0", False),
        ("2.10.0+cu128", "2.11.0+cu130", False),
        (None, "2.10.0", False),
    ],
)
def test_kernels_load_with_the_torch_they_are_built_for(
    built: str | None, torch: str, loads: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, tmp_path, built=built, torch=torch)
    assert host.xformers_loads() is loads
    config = load_config("6gb")
    assert setup_from(config, shape_of(config.model.name)[0], "unsloth").xformers is loads


def test_without_xformers_there_is_nothing_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.importlib.util, "find_spec", lambda name: None)
    assert not host.xformers_loads()


def test_xformers_keeps_keys_and_values_for_all_heads() -> None:
    """Qwen2.5-1.5B, 4 x 4,096: the review's 80 MiB."""
    shape = KNOWN["Qwen2.5-1.5B"]
    through, without = (Setup(shape, micro_batch=4, length=4096, xformers=x) for x in (True, False))
    more = activations.layer_hump(through) - activations.layer_hump(without)
    assert more == 2 * 2 * (shape.q - shape.kv) * through.tokens == 80 * 2**20
    plain = [activations.layer_hump(Setup(shape, "trl", xformers=x)) for x in (True, False)]
    assert plain[0] == plain[1]
