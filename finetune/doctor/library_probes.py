"""Looks that may crash or hang, each in a process of its own: `python -m finetune.doctor.library_probes NAME`.

The answer is one line of JSON, the last on standard output. An exception is an answer too; a crash has none, and the
caller sees it by the exit code.
"""

import importlib.util
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

from tooltune.cuda import prepare_process

HUB_SECONDS = 4.0


def card() -> dict[str, Any]:
    """The NVIDIA card that a run takes and what runs on it, as the driver's own library says. Sizes in bytes."""
    import pynvml

    from tooltune.cuda import open_card

    pynvml.nvmlInit()
    count = pynvml.nvmlDeviceGetCount()
    if not count:
        return {"cards": 0}
    handle = open_card()
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    used = {process.pid: process.usedGpuMemory for process in _running(handle)}
    return {
        "cards": count,
        "name": pynvml.nvmlDeviceGetName(handle),
        "driver": pynvml.nvmlSystemGetDriverVersion(),
        "cuda": pynvml.nvmlSystemGetCudaDriverVersion(),
        "capability": list(pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
        "free": int(memory.free),
        "total": int(memory.total),
        "users": [{"pid": pid, "name": _process(pid), "bytes": size} for pid, size in used.items()],
    }


def _running(handle: Any) -> list[Any]:
    import pynvml

    try:
        compute = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
        return [*compute, *pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle)]
    except pynvml.NVMLError_NotSupported:  # WSL does not tell
        return []


def _process(pid: int) -> str:
    import psutil

    try:
        return psutil.Process(pid).name()
    except psutil.Error:  # gone since, or another user's
        return "?"


def torch() -> dict[str, Any]:
    """Which CUDA this torch is built for, whether it sees the card, and a product computed there."""
    import torch

    answer: dict[str, Any] = {
        "cuda": torch.version.cuda,
        "available": torch.cuda.is_available(),
        "architectures": torch.cuda.get_arch_list(),
    }
    if answer["available"]:
        dtype = _dtype()
        a = torch.ones(64, 64, device="cuda", dtype=dtype)
        answer["product"] = float((a @ a)[0, 0])
    return answer


def _dtype() -> Any:
    """What a run would compute in: bfloat16 where the hardware has it."""
    import torch

    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability() >= (8, 0) else torch.float16


def bitsandbytes() -> dict[str, Any]:
    """Quantise a matrix to NF4 and multiply with it; compare with the product of the matrix itself.

    `kernel`: distance of the 4-bit product from the dense product of the unpacked weights, relative; only rounding.
    `loss`: distance from the product of the weights before quantisation, relative; about 0.09 for normal weights.
    """
    import bitsandbytes as bnb
    import torch
    from bitsandbytes import functional

    torch.manual_seed(0)
    device, dtype = "cuda" if torch.cuda.is_available() else "cpu", _dtype()
    weight = torch.randn(256, 512, device=device, dtype=dtype)
    x = torch.randn(8, 512, device=device, dtype=dtype, requires_grad=True)
    packed, state = functional.quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
    unpacked = functional.dequantize_4bit(packed, state)
    product = bnb.matmul_4bit(x, packed.t(), quant_state=state)
    product.float().sum().backward()

    def distance(reference: Any) -> float:
        dense = x.detach().float() @ reference.float().t()
        return float((product.detach().float() - dense).norm() / dense.norm())

    expected = unpacked.float().sum(0)
    gradient = float((x.grad[0].float() - expected).norm() / expected.norm())
    return {"device": device, "kernel": distance(unpacked), "loss": distance(weight), "gradient": gradient}


def triton() -> dict[str, Any]:
    """Compile a kernel and run it on the card."""
    from finetune.doctor.kernel import add_one

    return {"sum": add_one(1000)}


def xformers() -> dict[str, Any]:
    """Whether its compiled kernels load with this torch, and attention computed on the card where there is one."""
    import torch
    import xformers.ops
    from xformers import _cpp_lib

    broken = _cpp_lib._cpp_library_load_exception
    if broken is not None:
        return {"loads": False, "why": str(broken).strip().splitlines()[0]}
    if not torch.cuda.is_available():
        return {"loads": True}
    q = torch.randn(1, 64, 4, 64, device="cuda", dtype=_dtype())
    fused = xformers.ops.memory_efficient_attention(q, q, q).float()
    heads = q.transpose(1, 2)
    plain = torch.nn.functional.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).float()
    return {"loads": True, "distance": float((fused - plain).norm() / plain.norm())}


def hub() -> dict[str, Any]:
    """Whether the hub answers, through the proxies that the environment names."""
    address = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    request = urllib.request.Request(address, method="HEAD")  # noqa: S310 - the address is the user's own
    try:
        urllib.request.urlopen(request, timeout=HUB_SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError as e:
        return {"address": address, "reached": e.code < 500, "why": f"HTTP {e.code}"}
    except urllib.error.URLError as e:
        return {"address": address, "reached": False, "why": str(e.reason)}
    except OSError as e:
        return {"address": address, "reached": False, "why": str(e)}
    return {"address": address, "reached": True}


PROBES = {f.__name__: f for f in (card, torch, bitsandbytes, triton, xformers, hub)}


def main() -> None:
    """Run one probe and print its answer."""
    try:
        if importlib.util.find_spec("pynvml"):
            prepare_process()
        answer = PROBES[sys.argv[1]]()
    except Exception as e:
        lines = str(e).strip().splitlines()
        answer = {"error": f"{type(e).__name__}: {lines[0]}" if lines else type(e).__name__}
    print("\n" + json.dumps(answer))


if __name__ == "__main__":
    main()
