"""The smallest Triton kernel: it takes the compiler, the driver and the card to run it.

Imported by the probe's own process only; a kernel's source must be a module's.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def _add_one(pointer, n, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # Triton compiles annotations too
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(pointer + at, tl.load(pointer + at, mask=at < n) + 1, mask=at < n)


def add_one(n: int) -> float:
    """The sum of n zeros after one was added to each on the card: n."""
    values = torch.zeros(n, device="cuda")
    _add_one[(triton.cdiv(n, 256),)](values, n, BLOCK=256)
    return float(values.sum())
