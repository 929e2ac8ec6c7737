"""Out of memory: recognising it in what a library raises, and freeing what a failed attempt held."""

from errno import ENOMEM

from tooltune.errors import JobFailed

SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "alloc_failed")
"""What CUDA, cuBLAS, cuDNN, bitsandbytes and torch's CPU allocator write into a RuntimeError."""


class NoRoom(JobFailed):
    """Memory does not suffice for the least that can be asked for: the model itself, or one prompt."""


def is_shortage(error: BaseException) -> bool:
    """Whether an exception means that memory ran out."""
    if isinstance(error, (MemoryError, NoRoom)) or (isinstance(error, OSError) and error.errno == ENOMEM):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


def release() -> None:
    """Free what the failed attempt held; call it when nothing refers to it any more, the exception included."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
