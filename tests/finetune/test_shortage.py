"""A run that is out of memory changes one setting, keeps its effective batch, and ends as if nothing had happened."""

import json
import subprocess
from pathlib import Path

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from finetune.shortage import OutOfMemory, describe, freed_on_shortage, next_change, phase
from tests import forked
from tests.tiny import TINY, environment, finetune, losses
from tooltune.config import Config, load_config
from tooltune.files import read_jsonl

PHASES = ["probe", "step", "optimizer", "evaluation", "generation", "merge", "save"]


def settings(tiny_model: Path) -> list[str]:
    few = ["train.epochs=2", "train.micro_batch=8", "eval.generate=4", "eval.max_new_tokens=8", "memory.recoveries=7"]
    return ["train", "cpu", *TINY, f"model.name={tiny_model}", *few]


def short(cwd: Path, phases: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    words = ["-m", "tests.finetune.shortages", ",".join(phases), *arguments]
    return forked.run(words, cwd=cwd, env=environment(cwd), unsloth=True)


@pytest.mark.slow
def test_a_shortage_in_every_phase_is_survived(tmp_path: Path, tiny_model: Path) -> None:
    finetune(tmp_path, *settings(tiny_model), "name=undisturbed")
    done = short(tmp_path, PHASES, *settings(tiny_model), "name=short")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = tmp_path / "runs"
    manifest = json.loads((runs / "short" / "manifest.json").read_text(encoding="utf-8"))
    met = [r["phase"] for r in manifest["recoveries"]]
    assert sorted(met) == sorted("generation" if p == "merge" else p for p in PHASES)
    assert done.stdout.count("Out of memory (") == len(PHASES)
    config = load_config(str(runs / "short" / "config.yaml"))
    assert (config.train.micro_batch, config.train.accumulation) == (1, 8)
    assert manifest["effective_batch"] == 8
    assert config.train.gradient_checkpointing == "on"
    one, other = losses(runs / "short"), losses(runs / "undisturbed")
    assert one.keys() == other.keys()
    assert max(abs(one[s] - other[s]) for s in one) < 1e-3
    tables = [[row for _, row in read_jsonl(runs / n / "epochs.jsonl")] for n in ("short", "undisturbed")]
    for row, reference in zip(*tables, strict=True):
        assert row["step"] == reference["step"]
        assert row["eval_loss"] == pytest.approx(reference["eval_loss"], abs=1e-3)
        assert row["train_loss"] == pytest.approx(reference["train_loss"], abs=1e-3)


@pytest.mark.slow
def test_more_shortages_than_allowed_end_the_run_with_a_checkpoint(tmp_path: Path, tiny_model: Path) -> None:
    done = short(tmp_path, ["probe", "step"], *settings(tiny_model), "name=gone", "memory.recoveries=1")
    assert done.returncode == 1
    assert "out of memory in the phase 'step'" in done.stdout + done.stderr
    checkpoints = list((tmp_path / "runs" / "gone" / "checkpoints").glob("checkpoint-*/trainer_state.json"))
    assert checkpoints  # of the last finished step


@pytest.mark.slow
def test_nothing_left_to_change_is_said(tmp_path: Path, tiny_model: Path) -> None:
    done = short(tmp_path, ["load"], *settings(tiny_model), "name=none")
    assert done.returncode == 1
    assert "every measure has been taken already" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


ON_CPU = {"gpu": False, "tied": True, "layers": 30, "longest": 700, "pages": False}
CARD = {"gpu": True, "packed": False, "tied": False, "layers": 28, "longest": 700, "pages": True}


def test_changes_come_in_the_order_of_what_they_cost() -> None:
    config = load_config("6gb", ["train.micro_batch=6", "train.accumulation=2", "train.gradient_checkpointing=off"])
    said = []
    while change := next_change(config, "step", **CARD):
        said.append(describe(config, change))
        config = config.changed(change)
        assert config.train.micro_batch * config.train.accumulation == 12
    assert said == [
        "train.micro_batch 6 → 3, train.accumulation 2 → 4",
        "train.micro_batch 3 → 1, train.accumulation 4 → 12",
        "train.gradient_checkpointing off → unsloth",
        "train.optimizer adamw_8bit → paged_adamw_8bit",
        "memory.offload_embedding False → True",
        "memory.offload_layers 0 → 7",
        "memory.offload_layers 7 → 14",
        "memory.offload_layers 14 → 21",
        "memory.offload_layers 21 → 28",
    ]


def test_what_a_machine_cannot_do_is_not_tried() -> None:
    def all_changes(config: Config, **machine: object) -> set[str]:
        keys: set[str] = set()
        while change := next_change(config, "step", **machine):  # type: ignore[arg-type]
            keys |= set(change)
            config = config.changed(change)
        return keys

    on_cpu = all_changes(load_config("cpu"), **ON_CPU, packed=False)
    assert on_cpu == {"train.micro_batch", "train.accumulation", "train.gradient_checkpointing"}
    packed = all_changes(load_config("cpu"), **ON_CPU, packed=True)
    assert packed == {"train.pass_tokens", "train.gradient_checkpointing"}, "the micro-batch takes no memory there"
    plain = all_changes(load_config("6gb", ["model.backend=hf"]), **CARD)
    assert not any(key.startswith("memory.") for key in plain)
    assert "memory.offload_embedding" not in all_changes(load_config("6gb"), **CARD | {"tied": True})
    assert "train.optimizer" not in all_changes(load_config("6gb"), **CARD | {"pages": False})


@pytest.mark.parametrize(
    ("settings", "longest", "passes"),
    [
        (["train.pass_tokens=8192"], 300, [1024, 512, 300]),  # of a row of data.max_length=2048 at a time
        (["train.micro_batch=4"], 1900, [1900]),  # which a pass holds whole: the next thing to change is another
        (["data.max_length=1024"], 1024, []),
        (["train.pass_tokens=300"], 100, [256]),
    ],
)
def test_every_halving_of_a_pass_frees_memory(settings: list[str], longest: int, passes: list[int]) -> None:
    config, said = load_config("6gb", settings), []
    while (change := next_change(config, "step", **CARD | {"packed": True, "longest": longest})) and (
        "train.pass_tokens" in change
    ):
        config = config.changed(change)
        said.append(config.train.pass_tokens)
    assert said == passes
    assert change == {"train.optimizer": "paged_adamw_8bit"}


def test_evaluation_and_generation_shrink_their_own_batch() -> None:
    config = load_config("cpu")
    assert next_change(config, "evaluation", packed=False, **ON_CPU) == {"eval.micro_batch": 4}
    assert next_change(config, "evaluation", packed=True, **ON_CPU) == {"train.pass_tokens": 1024}
    assert next_change(config, "generation", packed=True, **ON_CPU) == {
        "eval.generate_batch": config.eval.generate_batch // 2
    }


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:126] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
)
def test_every_librarys_way_of_saying_it_is_known(error: Exception) -> None:
    with pytest.raises(OutOfMemory) as raised, phase("outer"), phase("inner"):
        raise error
    assert raised.value.phase == "inner"


def test_a_model_that_somebody_holds_is_freed_when_memory_ran_out() -> None:
    """As a library does on a GPU. Its 4-bit weights, their scales and the gradients go too."""
    layer = Linear4bit(64, 64, quant_type="nf4")
    model = torch.nn.Sequential(layer.to("cpu"), torch.nn.BatchNorm1d(64))
    model(torch.randn(4, 64)).sum().backward()
    assert layer.weight.quant_state is not None and model[1].weight.grad is not None
    held = [*model.parameters(), *model.buffers()]
    with pytest.raises(OutOfMemory), freed_on_shortage(model), phase("step"):
        raise MemoryError
    assert all(tensor.numel() == 0 and tensor.grad is None for tensor in held)
    assert layer.weight.quant_state is None


def test_a_model_is_kept_when_something_else_ends_a_run() -> None:
    model = torch.nn.Linear(2, 2)
    with pytest.raises(KeyboardInterrupt), freed_on_shortage(model):
        raise KeyboardInterrupt
    assert model.weight.numel() == 4


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape") as raised, phase("step"):
        raise RuntimeError("shape mismatch")
    assert not isinstance(raised.value, OutOfMemory)


@pytest.mark.parametrize("phase", ["load", "step", "evaluation", "generation"])
def test_layers_wait_in_main_memory_only_where_activations_are_recomputed(phase: str) -> None:
    """Unsloth refuses `offload_layers` without checkpointing, which would end the run that a change should save."""
    config = load_config("6gb", ["train.gradient_checkpointing=off"])
    while change := next_change(config, phase, **CARD):
        config = config.changed(change)
        assert not config.memory.offload_layers or config.train.gradient_checkpointing == "unsloth"
    assert config.memory.offload_layers == CARD["layers"]
