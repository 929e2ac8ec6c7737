"""What this machine computes on, and in which precision it should."""

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.backend import bound_card
from eval.load import processor_dtype
from finetune.words import phrase
from tooltune.cuda import GIB as GIB
from tooltune.cuda import open_card, prepare_process
from tooltune.errors import InputError
from tooltune.words import Phrase

FLOAT16_OVERFLOWS = ("embedding_gemma2", "gemma3", "gemma4", "glm4_moe", "gpt_oss", "qwen3_5", "qwen3_moe")
"""How the `model_type` begins of families whose activations or gradients leave float16's range (Unsloth's list:
unsloth_zoo/model_lists.py, FORCE_FLOAT32)."""


@dataclass(frozen=True)
class Device:
    """The one device of a run.

    Attributes:
        kind: "cuda" or "cpu".
        name: the card's or processor's name.
        capability: CUDA compute capability, (0, 0) on a CPU.
        memory_gib: total memory of the card, or of the machine.
        bf16: bfloat16 in hardware.
        uuid: of the card, as torch gives it; empty on a CPU.
    """

    kind: str
    name: str
    capability: tuple[int, int]
    memory_gib: float
    bf16: bool
    uuid: str = ""


def detect() -> Device:
    """Look at the card that this process uses, or at the processor when there is none. The first CUDA call of a process
    is made here, after `prepare_process`."""
    prepare_process()
    import psutil
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        capability = (properties.major, properties.minor)
        # Emulated bf16 (Turing and before) is slower than fp16; only sm 80 and up has it in hardware.
        memory = properties.total_memory / GIB
        return Device("cuda", properties.name, capability, memory, capability >= (8, 0), str(properties.uuid))
    flags = torch.backends.cpu.get_cpu_capability()
    name = f"{_processor()} ({torch.get_num_threads()} threads, {flags})"
    return Device("cpu", name, (0, 0), psutil.virtual_memory().total / GIB, processor_dtype() == "bfloat16")


def has_cuda() -> bool:
    """Whether a run would use a GPU, asked without importing torch: through the driver's own library."""
    import pynvml

    try:
        open_card()
    except pynvml.NVMLError:
        return False
    return True


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory instead of handing it back to the kernel after each step.

    A CPU step frees and takes gigabytes; every new length of a batch would map fresh pages. On a virtual machine that
    cost up to 30 s a step (docs/decisions.md). Only glibc has the switch; elsewhere nothing happens.
    """
    libc = _glibc()
    m_trim_threshold, m_mmap_max = -1, -4  # malloc.h
    return bool(libc and libc.mallopt(m_mmap_max, 0) and libc.mallopt(m_trim_threshold, -1))


def hand_back_freed_memory() -> None:
    """Give the kernel what is free now; steps of differing length leave gaps that the heap grows around."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> Any:
    import ctypes

    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def cap(budget_gib: float | None, device: Device) -> None:
    """Bound what torch takes of the card (`bound_card`); above it torch raises out of memory, and a run can change a
    setting. With a budget, act as a card of that size.

    Raises:
        InputError: the card has less than the budget.
    """
    if budget_gib and budget_gib > device.memory_gib:
        raise InputError(
            f"a budget of {budget_gib:g} GiB is more than the card's {device.memory_gib:.1f}",
            where="memory.budget_gb",
            fix="null uses all of the card",
        )
    if budget_gib:
        act_small()
    bound_card(budget_gib)


def act_small() -> None:
    """Let Unsloth compute the loss as it does on cards of up to 24.5 GiB, on a larger one too; before it is imported.

    It reads the card's size, which a cap does not lower (unsloth_zoo/fused_losses/fused_linear.py: _flash_min_rows).
    """
    os.environ.setdefault("UNSLOTH_FUSED_LINEAR_FLASH_MIN_ROWS", "0")


def family_of(folder: Path) -> str:
    """transformers' `model_type` of a model's folder, read without transformers, which Unsloth must precede.

    Raises:
        InputError: its config.json is broken, or names no family.
    """
    path = folder / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as e:
        raise InputError(f"the file is broken ({e})", where=str(path), fix="copy or fetch the model again") from None
    family = values.get("model_type") if isinstance(values, dict) else None
    if not isinstance(family, str):
        raise InputError(
            "not a model config: it has no model_type",
            where=str(path),
            fix="give the folder that save_pretrained wrote",
        )
    return family


def precision(wanted: str, device: Device, backend: str, family: str) -> tuple[str, Phrase]:
    """The dtype of the activations and the reason, from the config, the device, the backend and the model.

    Args:
        family: `family_of` the model.

    Raises:
        InputError: the dtype asked for would not be computed in, or overflows.
    """
    overflows = family.startswith(FLOAT16_OVERFLOWS)
    if wanted != "auto":
        if reason := _refusal(wanted, device, backend, family if overflows else ""):
            fix = f"model.dtype=auto takes {precision('auto', device, backend, family)[0]} here"
            raise InputError(f"{wanted} is not possible: {reason}", where="model.dtype", fix=fix)
        emulated = wanted == "bfloat16" and not device.bf16
        return wanted, phrase("dtype.emulated") if emulated else phrase("dtype.configured")
    if device.bf16:
        return "bfloat16", phrase("dtype.here")
    if device.kind == "cpu":
        return "float32", phrase("dtype.processor")
    lacks = phrase("dtype.card", capability=".".join(map(str, device.capability)))
    if overflows:
        return "float32", phrase("dtype.overflows", lacks=lacks, family=family)
    return "float16", lacks


def _refusal(wanted: str, device: Device, backend: str, overflowing: str) -> str:
    """Why a dtype cannot be had; empty where it can. Of Unsloth: unsloth/models/rl.py, `mixed_precision`."""
    if device.kind == "cuda" and wanted == "float16" and overflowing:
        return f"{overflowing} models overflow in it"
    if device.kind != "cuda" or backend != "unsloth":
        return ""
    if wanted == "bfloat16" and not device.bf16:
        return f"{device.name} has no bfloat16, and Unsloth loads the model in float16 instead"
    if wanted == "float32" and device.bf16:
        return "on a card with bfloat16 Unsloth computes it in that; model.backend=hf computes in float32"
    return ""


def _processor() -> str:
    if platform.system() == "Linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
