"""Counts the bytes of live tensor storages while real code runs on the meta device: shapes and lifetimes, no memory.

The most bytes alive at once is what `torch.cuda.max_memory_allocated()` would say of the same operations: the CUDA
caching allocator hands out multiples of 512 bytes, and frees with the last reference.
"""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

BLOCK = 512  # bytes; kMinBlockSize of PyTorch's CUDACachingAllocator


class LiveBytes(TorchDispatchMode):
    """Every tensor that an operator returns is followed until its storage dies."""

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self.phase = "resident"
        self.peak_phase = "resident"
        self._sizes: dict[int, int] = {}

    def add(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage, once."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._sizes or storage.nbytes() == 0:
            return
        self._sizes[key] = -(-storage.nbytes() // BLOCK) * BLOCK
        self.live += self._sizes[key]
        weakref.finalize(storage, self._drop, key)
        if self.live > self.peak:
            self.peak, self.peak_phase = self.live, self.phase

    def _drop(self, key: int) -> None:
        self.live -= self._sizes.pop(key, 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.add(leaf)
        return result
