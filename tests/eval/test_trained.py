"""A run is asked through the library, and in the memory, that it trained with."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from eval import backend
from eval.shortage import NoRoom
from eval.trained import Trained, add_best, load_base, prepare, read_trained
from tooltune.config import load_config
from tooltune.errors import InputError, JobFailed

GIB = 2**30
MANIFEST = {
    "device": {"kind": "cpu"},
    "precision": "float32",
    "template": {"family": "hermes", "origin": "project"},
    "best": {"sha256": "0"},
}


def run(device: str = "cuda", *, backend: str = "unsloth", **memory: Any) -> Trained:
    model = {"model.name": "a/model", "model.backend": backend, "model.load_in_4bit": True, "model.attention": "auto"}
    kept = {f"memory.{key}": value for key, value in memory.items()}
    config = load_config("cpu").changed(model | kept | {"train.gradient_checkpointing": "unsloth"})
    trained = Trained(Path("run"), config, {"device": {"kind": device}, "precision": "bfloat16"})
    trained.__dict__["device"] = device  # as if there were such a card
    return trained


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    """What is asked of both loaders, in order."""
    told: list[tuple[Any, ...]] = []

    def call(name: str) -> Any:
        def called(*args: Any, **rest: Any) -> Any:
            told.append((name, rest))
            return SimpleNamespace(
                eval=lambda: told.append(("eval", {})), for_inference=lambda: told.append(("for_inference", {}))
            )

        return called

    (tmp_path / "config.json").write_text('{"max_position_embeddings": 32768}', encoding="utf-8")
    monkeypatch.setattr("eval.trained.resolve", lambda name, say: tmp_path)
    monkeypatch.setattr("eval.trained.prepare_process", call("prepare_process"))
    for name in ("start_unsloth", "bound_card", "load_unsloth", "put_adapter"):
        monkeypatch.setattr(backend, name, call(name))
    for name in ("load_model", "add_adapter"):
        monkeypatch.setattr(f"eval.trained.{name}", call(name))
    return told


def names(calls: list[tuple[Any, ...]]) -> list[str]:
    return [name for name, _ in calls]


@pytest.mark.parametrize("memory", [{"offload_embedding": True}, {"offload_layers": 8}])
def test_run_with_weights_in_main_memory_is_asked_through_unsloth(
    memory: dict[str, Any], calls: list[tuple[Any, ...]]
) -> None:
    trained = run(**memory)
    prepare(trained)
    assert names(calls) == ["prepare_process", "bound_card", "start_unsloth"]
    calls.clear()
    add_best(trained, load_base(trained, print))
    assert names(calls) == ["load_unsloth", "eval", "for_inference", "put_adapter", "eval", "for_inference"]
    assert calls[0][1] == {"max_length": 32768}, "a longer prompt than the rows that trained is not cut"


@pytest.mark.parametrize("trained", [run(), run("cpu", offload_layers=8), run(backend="hf", offload_embedding=True)])
def test_any_other_run_is_asked_through_transformers(trained: Trained, calls: list[tuple[Any, ...]]) -> None:
    prepare(trained)
    add_best(trained, load_base(trained, print))
    assert names(calls)[-2:] == ["load_model", "add_adapter"]
    assert not {"start_unsloth", "load_unsloth"} & set(names(calls))


@pytest.mark.parametrize("card", [True, False])
def test_unsloth_is_given_what_training_gave_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, card: bool) -> None:
    given: dict[str, Any] = {}

    def from_pretrained(name: str, **rest: Any) -> tuple[str, None]:
        given.update(rest, name=name)
        return "model", None

    library = SimpleNamespace(FastLanguageModel=SimpleNamespace(from_pretrained=from_pretrained))
    monkeypatch.setitem(__import__("sys").modules, "unsloth", library)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: card)
    config = run(offload_embedding=True, offload_layers=8).config
    assert backend.load_unsloth(tmp_path, config, "bfloat16", max_length=4096) == "model"
    moved = {"text_only": True, "offload_embedding": True, "offload_layers": 8}
    assert given == {
        "name": str(tmp_path.absolute()),
        "max_seq_length": 4096,
        "dtype": torch.bfloat16,
        "load_in_4bit": True,
        "use_gradient_checkpointing": "unsloth",
        "local_files_only": True,
    } | (moved if card else {}), "Unsloth's loader on a processor does not know the words"


def test_unsloth_after_transformers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "transformers", sys)
    monkeypatch.delitem(sys.modules, "unsloth", raising=False)
    with pytest.raises(JobFailed, match="imported before unsloth"):
        backend.start_unsloth()


def test_shortage_while_loading_is_one_clear_error(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*args: Any, **rest: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.02 GiB")

    monkeypatch.setattr("eval.trained.load_model", short)
    with pytest.raises(NoRoom, match="out of memory while a/model was loaded"):
        load_base(run(), print)


@pytest.mark.parametrize(
    ("budget", "lends", "fraction"),
    [
        (None, False, None),
        (6, False, (6 * GIB - backend.CONTEXT) / (8 * GIB)),
        (16, False, None),  # a card with less than the budget is used whole
        (None, True, 0.9 * 5 / 8),
        (4, True, (4 * GIB - backend.CONTEXT) / (8 * GIB)),
    ],
)
def test_evaluation_keeps_to_the_runs_budget(
    budget: float | None, lends: bool, fraction: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    monkeypatch.setattr(backend, "lends_main_memory", lambda: lends)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: SimpleNamespace(total_memory=8 * GIB))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (5 * GIB, 8 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", told.append)
    backend.bound_card(budget)
    assert told == ([pytest.approx(fraction)] if fraction else [])


@pytest.mark.parametrize(
    ("file", "key"),
    [
        *[("config.yaml", key) for key in ("memory", "memory.budget_gb", "eval", "data.max_tools")],
        *[("manifest.json", key) for key in ("best", "precision", "device.kind", "template.family")],
    ],
)
def test_a_run_of_another_version_is_told_which_key_it_lacks(tmp_path: Path, file: str, key: str) -> None:
    kept = {"config.yaml": load_config("cpu").model_dump(mode="json"), "manifest.json": MANIFEST}
    kept = copy.deepcopy(kept)
    *sections, leaf = key.split(".")
    target = kept[file]
    for section in sections:
        target = target[section]
    del target[leaf]
    (tmp_path / "best").mkdir()
    save_file({}, tmp_path / "best" / "adapter_model.safetensors")
    for name, values in kept.items():
        (tmp_path / name).write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(InputError, match="this key of the run is missing") as raised:
        read_trained(tmp_path)
    assert f"{file} {key}" in str(raised.value)
