"""What a card is told and asked, on cards that nobody has: the order of calls, the precision, the bound on memory."""

import ast
import importlib.util
import json
import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from eval.backend import start_unsloth
from eval.load import processor_dtype
from finetune.device import FLOAT16_OVERFLOWS, Device, cap, detect, family_of, precision
from finetune.models import attention_of
from finetune.system import SystemMonitor
from tests.tiny import ROOT, TINY
from tooltune.config import Config, load_config
from tooltune.cuda import GROWING, ROUNDED
from tooltune.errors import InputError

GIB = 2**30
AMPERE = Device("cuda", "RTX 3060", (8, 6), 6.0, True, "11111111-aaaa")
TURING = Device("cuda", "RTX 2060", (7, 5), 6.0, False)
PROCESSOR = Device("cpu", "a processor", (0, 0), 16.0, False)
ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")


def test_the_allocator_is_told_before_the_first_cuda_call(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ALLOCATOR:
        monkeypatch.setenv(name, "")
        del os.environ[name]
    seen: list[str | None] = []

    def first_call() -> bool:
        seen.append(os.environ.get("PYTORCH_ALLOC_CONF"))
        return False

    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("torch.cuda.is_available", first_call)
    detect()
    assert seen and seen[0]


FIRST_IMPORT = """
import importlib.abc, os, pathlib, sys
told = pathlib.Path(sys.argv.pop())

class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            told.write_text(os.environ.get("PYTORCH_ALLOC_CONF", "nothing"))
            os._exit(0)

sys.meta_path.insert(0, Watch())
"""
ENTRANCES = {
    "train": "from tooltune.config import load_config as c; from finetune.train import train; train(c({c!r}), 'x')",
    "worker": "from benchmarks.worker import main; main({spec!r})",
    "machine": "from benchmarks.this_machine import _look; _look()",
    "doctor": "import sys; sys.argv[1:] = ['torch']; from finetune.doctor.library_probes import main; main()",
}


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="elsewhere it is told nothing")
def test_torch_is_imported_after_the_allocator_is_told(entrance: str, tmp_path: Path, tiny_model: Path) -> None:
    config = load_config("cpu", [*TINY, f"model.name={tiny_model}"])
    config.save(tmp_path / "config.yaml")
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"config": config.model_dump(mode="json"), "result": "r", "rows": "none"}))
    code = FIRST_IMPORT + ENTRANCES[entrance].format(c=str(tmp_path / "config.yaml"), spec=str(spec))
    clean = {k: v for k, v in os.environ.items() if k not in ALLOCATOR}
    told = tmp_path / "told"
    done = subprocess.run(
        [sys.executable, "-c", code, str(told)],
        cwd=ROOT,
        env=clean | {"TOOLTUNE_RUNS": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert told.read_text() in (GROWING, ROUNDED)


@pytest.mark.parametrize(
    ("device", "backend", "family", "wanted", "taken"),
    [
        (AMPERE, "unsloth", "qwen2", "auto", "bfloat16"),
        (AMPERE, "unsloth", "gemma3_text", "auto", "bfloat16"),
        (AMPERE, "unsloth", "qwen2", "float16", "float16"),
        (AMPERE, "hf", "qwen2", "float32", "float32"),
        (TURING, "unsloth", "qwen2", "auto", "float16"),
        (TURING, "unsloth", "gemma2", "auto", "float16"),
        (TURING, "unsloth", "gemma3_text", "auto", "float32"),
        (TURING, "hf", "qwen3_5_text", "auto", "float32"),
        (TURING, "unsloth", "qwen2", "float32", "float32"),
        (PROCESSOR, "unsloth", "gemma3_text", "auto", "float32"),
        (TURING, "hf", "qwen2", "bfloat16", "bfloat16"),
        (PROCESSOR, "hf", "qwen2", "bfloat16", "bfloat16"),
        (replace(PROCESSOR, bf16=True), "unsloth", "gemma3_text", "float32", "float32"),
        (replace(PROCESSOR, bf16=True), "hf", "qwen2", "bfloat16", "bfloat16"),
    ],
)
def test_the_precision_is_of_device_backend_and_family(
    device: Device, backend: str, family: str, wanted: str, taken: str
) -> None:
    dtype, reason = precision(wanted, device, backend, family)
    assert dtype == taken
    assert ("overflows in float16" in str(reason)) == (device is TURING and taken == "float32" and wanted == "auto")
    assert ("emulates it" in str(reason)) == (wanted == "bfloat16" and not device.bf16)


@pytest.mark.parametrize(
    ("device", "backend", "family", "wanted", "instead"),
    [
        (TURING, "unsloth", "qwen2", "bfloat16", "float16"),  # TypeError of Unsloth's trainer
        (AMPERE, "unsloth", "qwen2", "float32", "bfloat16"),  # bfloat16 autocast, unsaid
        (TURING, "unsloth", "gemma3_text", "float16", "float32"),
        (AMPERE, "hf", "gemma3", "float16", "bfloat16"),
    ],
)
def test_a_dtype_that_would_not_be_what_it_says_is_refused(
    device: Device, backend: str, family: str, wanted: str, instead: str
) -> None:
    with pytest.raises(InputError) as refused:
        precision(wanted, device, backend, family)
    assert refused.value.where == "model.dtype"
    assert f"model.dtype=auto takes {instead} here" in " ".join(refused.value.lines())


@pytest.mark.parametrize(
    ("machine", "avx512_bf16", "amx", "has"),
    [("x86_64", False, False, False), ("AMD64", True, False, True), ("x86_64", False, True, True)],
)
def test_a_bfloat16_that_is_only_emulated_is_none(
    machine: str, avx512_bf16: bool, amx: bool, has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert detect().bf16 is has
    assert processor_dtype() == ("bfloat16" if has else "float32")


def test_the_families_that_overflow_are_unsloths() -> None:
    zoo = importlib.util.find_spec("unsloth_zoo")
    assert zoo and zoo.origin
    tree = ast.parse((Path(zoo.origin).parent / "model_lists.py").read_text(encoding="utf-8"))
    (listed,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id != "__all__"
    ]
    theirs = {name.rstrip(",") for name in listed}
    assert {name for name in theirs if not name.startswith(FLOAT16_OVERFLOWS)} == set()
    assert {ours for ours in FLOAT16_OVERFLOWS if not any(name.startswith(ours) for name in theirs)} == set()


def test_the_family_is_in_the_models_folder(tiny_model: Path) -> None:
    assert family_of(tiny_model) == "llama"


@pytest.mark.parametrize(
    ("lends", "budget", "bound_gib"),
    [
        (False, None, None),
        (False, 4.0, 4.0 - 141 / 1024),
        (True, None, 0.9 * (3.0 + 1.0)),
        (True, 2.0, 2.0 - 141 / 1024),
        (True, 5.0, 0.9 * (3.0 + 1.0)),
    ],
)
def test_torch_takes_no_more_than_the_budget_and_than_others_leave(
    monkeypatch: pytest.MonkeyPatch, lends: bool, budget: float | None, bound_gib: float | None
) -> None:
    shares: list[float] = []
    monkeypatch.setenv("UNSLOTH_FUSED_LINEAR_FLASH_MIN_ROWS", "")
    del os.environ["UNSLOTH_FUSED_LINEAR_FLASH_MIN_ROWS"]
    monkeypatch.setattr("eval.backend.lends_main_memory", lambda: lends)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _: SimpleNamespace(total_memory=6 * GIB))
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (3 * GIB, 6 * GIB))
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda: 1 * GIB)
    monkeypatch.setattr("torch.cuda.set_per_process_memory_fraction", shares.append)
    cap(budget, AMPERE)
    assert shares == ([] if bound_gib is None else [pytest.approx(bound_gib / 6)])
    # A cap does not make the card smaller in Unsloth's eyes; Unsloth's older loss must stay off.
    assert os.environ.get("UNSLOTH_FUSED_LINEAR_FLASH_MIN_ROWS") == ("0" if budget else None)
    assert "UNSLOTH_CE_LOSS_TARGET_GB" not in os.environ


def test_a_budget_beyond_the_card_is_refused() -> None:
    with pytest.raises(InputError, match=r"more than the card's 6\.0"):
        cap(8.0, AMPERE)


@pytest.mark.slow
def test_unsloths_loss_keeps_its_default_kernel_and_takes_a_small_cards_tiles() -> None:
    code = """
import os
from eval.backend import start_unsloth
from finetune.device import act_small
act_small()
os.environ["UNSLOTH_COMPILE_DISABLE"] = "partial"  # as on a card
start_unsloth()
from unsloth_zoo.fused_losses import cross_entropy_loss, fused_linear
import torch
print(cross_entropy_loss._use_chunked_ce({}, None), fused_linear._flash_min_rows(torch.device("cpu")))
print(*(os.environ[f"UNSLOTH_{name}"] for name in ("BLOCK_COMPILE_LEGACY", "BLOCK_COMPILE", "ENABLE_FLEX_ATTENTION")))
"""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("UNSLOTH_")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=clean, capture_output=True, text=True)
    assert done.stdout.strip().splitlines()[-2:] == ["True 0", "0 0 0"], done.stderr


@pytest.mark.parametrize(
    ("card", "wanted", "disabled"),
    [(True, {}, "partial"), (True, {"UNSLOTH_COMPILE_DISABLE": "0"}, "0"), (False, {}, None)],
)
def test_unsloth_compiles_nothing_on_a_card_unless_asked(
    monkeypatch: pytest.MonkeyPatch, card: bool, wanted: dict[str, str], disabled: str | None
) -> None:
    monkeypatch.setitem(sys.modules, "unsloth", SimpleNamespace())
    monkeypatch.setattr("torch.cuda.is_available", lambda: card)
    monkeypatch.setattr(os, "environ", dict(wanted))
    start_unsloth()
    assert os.environ.get("UNSLOTH_COMPILE_DISABLE") == disabled


SWITCHED = ("compiler.py", "temporary_patches/common.py", "temporary_patches/misc.py")


def test_unsloth_reads_the_switch_wherever_it_compiles_gemma_3() -> None:
    """Its norms and its attention (`torch_compile` of common.py), and what it writes of transformers' modules."""
    zoo = importlib.util.find_spec("unsloth_zoo")
    assert zoo and zoo.origin
    folder = Path(zoo.origin).parent
    read = 'os.environ.get("UNSLOTH_COMPILE_DISABLE", "0") in ("1", "partial"'
    assert all(read in (folder / name).read_text(encoding="utf-8") for name in SWITCHED)


def asked(backend: str, attention: str) -> Config:
    return load_config("6gb", [f"model.backend={backend}", f"model.attention={attention}"])


def test_the_attention_that_is_recorded_is_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model: Any = torch.nn.Sequential(torch.nn.Linear(1, 1))
    model.config = SimpleNamespace(_attn_implementation="sdpa", model_type="qwen3_5_text")
    chosen = SimpleNamespace(select_attention_backend=lambda: "xformers")
    monkeypatch.setitem(sys.modules, "unsloth", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "unsloth.utils", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "unsloth.utils.attention_dispatch", chosen)
    assert attention_of(model, asked("unsloth", "auto"), AMPERE) == "sdpa"  # FastModel: by its config
    model[0]._unsloth_fast_path = True
    assert attention_of(model, asked("unsloth", "eager"), AMPERE) == "xformers"
    assert attention_of(model, asked("unsloth", "eager"), PROCESSOR) == "sdpa"
    assert attention_of(model, asked("hf", "eager"), AMPERE) == "sdpa"
    chosen.select_attention_backend = lambda: "flash_dense"
    assert attention_of(model, asked("unsloth", "auto"), AMPERE) == "flash"


def test_unsloths_gemma_3_computes_by_sdpa_what_is_called_eager() -> None:
    """Without FlexAttention; transformers' own, and any other model, is what it is called."""
    model: Any = SimpleNamespace(modules=list)
    model.config = SimpleNamespace(_attn_implementation="eager", model_type="gemma3_text")
    assert attention_of(model, asked("unsloth", "auto"), AMPERE) == "sdpa"
    assert attention_of(model, asked("hf", "eager"), AMPERE) == "eager"
    model.config.model_type = "qwen3_5_text"
    assert attention_of(model, asked("unsloth", "auto"), AMPERE) == "eager"


def test_what_attention_of_relies_on_is_unsloths() -> None:
    """The mark of its own forwards, the choice among what is installed, and that what is asked for is dropped."""
    package = importlib.util.find_spec("unsloth")
    assert package and package.origin
    folder = Path(package.origin).parent
    llama = (folder / "models" / "llama.py").read_text(encoding="utf-8")
    assert "module._unsloth_fast_path = True" in llama and 'kwargs.pop("attn_implementation", None)' in llama
    dispatch = (folder / "utils" / "attention_dispatch.py").read_text(encoding="utf-8")
    assert "def select_attention_backend(use_varlen: bool = False" in dispatch
    assert 'FLASH_DENSE = "flash_dense"' in dispatch and 'XFORMERS = "xformers"' in dispatch
    assert 'os.environ.get("UNSLOTH_BLOCK_COMPILE_LEGACY", "auto")' in llama
    choice = (folder / "models" / "_utils.py").read_text(encoding="utf-8")
    assert 'os.environ.get("UNSLOTH_ENABLE_FLEX_ATTENTION", "1") == "0"' in choice
    gemma = folder.parent / "unsloth_zoo" / "temporary_patches" / "gemma.py"
    generic = gemma.read_text(encoding="utf-8").partition("def patch_Gemma3Attention_generic")[2]
    assert 'if attn_impl == "flex_attention":' in generic and "attn_output_fp32 = gqa_sdpa(" in generic


def test_the_monitor_reads_torchs_card(monkeypatch: pytest.MonkeyPatch) -> None:
    used = {"a": 40, "b": 70}

    def rates(handle: str) -> Any:
        if handle == "c":
            raise pynvml.NVMLError_NotSupported
        return SimpleNamespace(gpu=used[handle])

    monkeypatch.setattr("tooltune.cuda.open_card", lambda uuid: {"11111111-aaaa": "b", "mig": "c"}[uuid])
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", rates)
    monkeypatch.setattr("torch.cuda.memory_allocated", lambda: 2 * GIB)
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda: 3 * GIB)
    assert SystemMonitor(AMPERE).read()["gpu_utilization"] == 70
    sliced = SystemMonitor(replace(AMPERE, uuid="mig")).read()
    assert sliced["gpu_utilization"] is None and sliced["gpu_memory_reserved"] == 3


@pytest.mark.parametrize(
    ("text", "said"), [("{", "the file is broken"), ("[]", "no model_type"), ("{}", "no model_type")]
)
def test_a_broken_config_is_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        family_of(tmp_path)
