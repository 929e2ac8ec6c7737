"""What this machine computes on, and in which precision it should."""

import platform
from dataclasses import dataclass
from typing import Any

from data.errors import InputError

GIB = 1024**3
CE_TARGET_GB = "0.5"
"""Unsloth sizes its cross-entropy blocks by the card's free memory, which differs from run to run and which a cap does
not lower. Where it is pinned, it is to what a card with the budget would choose at most (VRAM: logits and loss)."""


@dataclass(frozen=True)
class Device:
    """The one device of a run.

    Attributes:
        kind: "cuda" or "cpu".
        name: the card's or processor's name.
        capability: CUDA compute capability, (0, 0) on a CPU.
        memory_gib: total memory of the card, or of the machine.
        bf16: bfloat16 in hardware.
    """

    kind: str
    name: str
    capability: tuple[int, int]
    memory_gib: float
    bf16: bool


def detect() -> Device:
    """Look at the first CUDA device, or at the processor when there is none."""
    import psutil
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        capability = (properties.major, properties.minor)
        # Emulated bf16 (Turing and before) is slower than fp16; only sm 80 and up has it in hardware.
        return Device("cuda", properties.name, capability, properties.total_memory / GIB, capability >= (8, 0))
    flags = torch.backends.cpu.get_cpu_capability()
    bf16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) if torch.backends.mkldnn.is_available() else False
    name = f"{_processor()} ({torch.get_num_threads()} threads, {flags})"
    return Device("cpu", name, (0, 0), psutil.virtual_memory().total / GIB, bf16)


def has_cuda() -> bool:
    """Whether a run would use a GPU, asked without importing torch: through the driver's own library."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetCount() > 0
    except pynvml.NVMLError:
        return False


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


def cap(budget_gib: float, device: Device) -> None:
    """Let this process use at most so much of the card, as a card of that size would. Pins `CE_TARGET_GB`.

    Raises:
        InputError: the card has less.
    """
    import os

    import torch

    from finetune.memory.overheads import CONTEXT

    if budget_gib > device.memory_gib:
        raise InputError(
            f"a budget of {budget_gib:g} GiB is more than the card's {device.memory_gib:.1f}",
            where="memory.budget_gb",
            fix="null uses all of the card",
        )
    torch.cuda.set_per_process_memory_fraction((budget_gib * GIB - CONTEXT) / (device.memory_gib * GIB))
    os.environ.setdefault("UNSLOTH_CE_LOSS_TARGET_GB", CE_TARGET_GB)


def precision(wanted: str, device: Device) -> tuple[str, str]:
    """The dtype of the activations and the reason, from the config's wish and the device."""
    if wanted != "auto":
        return wanted, "as configured"
    if device.bf16:
        return "bfloat16", "the device has it"
    if device.kind == "cuda":
        return "float16", f"compute capability {device.capability[0]}.{device.capability[1]} has no bfloat16"
    return "float32", "the processor has no bfloat16"


def _processor() -> str:
    if platform.system() == "Linux":
        from pathlib import Path

        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
