"""The private members of libraries that `finetune.library_internals` stands on, in the versions that are installed."""

import ast
import inspect
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from finetune.library_internals import free_workspaces
from finetune.memory.head import TRL_TILE

ROOT = Path(__file__).parents[2]
INTERNALS = ROOT / "finetune" / "library_internals.py"


def trainer() -> Any:
    """Imported in the tests: it takes seconds, and every process of pytest reads this file."""
    from transformers import Trainer

    return Trainer


def source(package: str, path: str) -> str:
    """A file of an installed package, read without importing it: Unsloth would have to come before transformers."""
    spec = find_spec(package)
    assert spec and spec.origin
    return (Path(spec.origin).parent / path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("_get_train_sampler", ["train_dataset"]),
        ("_save_checkpoint", ["model", "trial"]),
        ("_load_rng_state", ["checkpoint"]),
        ("_get_grad_norm", ["model", "grad_norm"]),
        ("_determine_best_metric", ["metrics", "trial"]),
        ("_prepare_inputs", ["inputs"]),
    ],
)
def test_transformers_trainer_has_the_methods(method: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(trainer(), method)).parameters)[1:] == parameters


def test_transformers_trainer_calls_what_is_replaced() -> None:
    assert "sampler_fn=self._get_train_sampler" in inspect.getsource(trainer().get_train_dataloader)
    file = source("transformers", "trainer.py")
    assert "self._save_checkpoint(model, trial)" in file
    assert "            self._run_epoch(\n" in file and "range(epochs_trained, num_train_epochs)" in file
    before, _, after = file.partition("grad_norm = self._get_grad_norm(model, grad_norm=grad_norm)")
    assert "self._clip_grad_norm(model)" in before and "self.optimizer.step()" in after


def test_transformers_trainer_sets_the_sum_of_unlogged_losses_before_training_begins() -> None:
    loop = inspect.getsource(trainer()._inner_training_loop)
    names = ("self._tr_loss = torch.tensor(0.0", "self._globalstep_last_logged = self.state.global_step")
    assert all(0 < loop.index(name) < loop.index("callback_handler.on_train_begin") for name in names)


def test_torch_gives_back_the_workspaces_of_cublas(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert "def _cuda_clearCublasWorkspaces() -> None" in source("torch", "_C/__init__.pyi")
    held = [300, 236]
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: held.pop(0))
    monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: None, raising=False)
    assert free_workspaces() == 64


def test_a_config_of_transformers_names_its_attention() -> None:
    from transformers import LlamaConfig

    assert LlamaConfig(attn_implementation="eager")._attn_implementation == "eager"


def test_trl_keeps_its_tally_of_losses() -> None:
    trainer = source("trl", "trainer/sft_trainer.py")
    assert 'self._metrics = {"train": defaultdict(list), "eval": defaultdict(list)}' in trainer
    assert "self._total_train_tokens = 0" in trainer
    assert "super()._save_checkpoint(model, trial)" in trainer


def test_trls_tile_is_the_plans() -> None:
    assert f"_CHUNKED_LOGPROB_CHUNK_SIZE = {TRL_TILE}\n" in source("trl", "trainer/utils.py")


def test_unsloth_has_what_is_replaced_and_looked_at() -> None:
    dispatch = source("unsloth", "utils/attention_dispatch.py")
    assert "flex_shared_prefix_attention = _flex_shared_prefix_attention" in dispatch
    assert "module._unsloth_fast_path = True" in source("unsloth", "models/llama.py")
    helpers = source("unsloth", "models/_utils.py")
    assert "model._unsloth_pretrain_marker = marker" in helpers and 'marker["seen"] = True' in helpers


def test_no_other_file_names_them() -> None:
    tree = ast.parse(INTERNALS.read_text(encoding="utf-8"))
    named = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    named += [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    private = {name for name in named if re.fullmatch(r"_[a-z]\w+", name)}
    assert {"_save_checkpoint", "_metrics", "_unsloth_fast_path", "_attn_implementation"} <= private
    others = [path for name in ("finetune", "benchmarks") for path in (ROOT / name).rglob("*.py") if path != INTERNALS]
    found = {path.name: private & set(re.findall(r"\b_\w+", path.read_text(encoding="utf-8"))) for path in others}
    assert not {path: names for path, names in found.items() if names}
