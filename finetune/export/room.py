"""Whether there is room for an export, before minutes are spent on it; and the folder that it is written into."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

from finetune.export.weights import Adapter, Base
from tooltune.errors import InputError, JobFailed
from tooltune.files import disk_fault, patiently, writable

ROOM = 1.1
"""Free disk and memory that are asked for, as a multiple of what will be needed."""
BYTES = {"f16": 2.0, "bf16": 2.0, "q8_0": 1.07, "q4_k_m": 1.07}
"""Bytes that a weight takes on disk at most (Q4_K_M: where no row is filled by blocks of 256)."""
PROCESS = 500_000_000
"""Bytes of Python, torch and the tokenizer."""
UNFINISHED = ".unfinished"
"""What the name of a folder ends with, behind a dot and its later name, while it is written."""
ROUNDING = 12
"""Bytes an element of the matrix that is being merged or rounded: its source, two copies in float32, the result."""


def disk_needed(base: Base, kind: str) -> int:
    """Bytes of the merged model.

    Args:
        kind: of its matrices, a key of `BYTES`.
    """
    return round(BYTES[kind] * sum(map(prod, base.shapes.values())))


def memory_needed(base: Base, adapter: Adapter, *, sharded: bool) -> int:
    """Bytes of main memory to merge and write the model a tensor at a time.

    Args:
        sharded: whether a whole file of the base model is held until it is written, in 16 bits.
    """
    sizes = {name: prod(shape) for name, shape in base.shapes.items()}
    file = max(sum(sizes[name] for name in names) for names in base.files.values()) if sharded else 0
    return PROCESS + 2 * adapter.size + 2 * file + ROUNDING * max(sizes.values())


def check_memory(needed: int) -> None:
    """See that so much main memory is free.

    Raises:
        InputError: it is not.
    """
    import psutil

    if (free := psutil.virtual_memory().available) < ROOM * needed:
        raise InputError(
            f"{free / 1e9:.1f} GB of main memory are free, the export needs {ROOM * needed / 1e9:.1f} GB",
            fix="close other programs; a GGUF needs less than a merged model, which holds a whole file of weights",
        )


@contextmanager
def new_folder(folder: Path, size: int, fix: str = "free some space") -> Iterator[Path]:
    """A folder that gets its name when the block ends well, so that a half written export is never found.

    Args:
        size: bytes that will be written, about.
        fix: what to do where the disk has too little room.

    Raises:
        InputError: it exists already, another process writes it, or the disk has too little room.
        JobFailed: the disk is full; or another program has a file of the folder open, which then stays.
    """
    if folder.exists():
        raise InputError("this folder exists already", where=str(folder), fix="delete it, or give another --out")
    making = folder.with_name(f".{folder.name}{UNFINISHED}")
    writable(folder, folder=True)
    try:
        making.mkdir(parents=True)
    except FileExistsError:
        raise InputError(
            "another process is writing this export, or was killed while it did",
            where=str(making),
            fix="wait for it; or delete this folder, or give another --out",
        ) from None
    try:
        if shutil.disk_usage(making).free < ROOM * size:
            raise InputError(_room(making, size), where=str(folder), fix=fix)
        yield making
    except BaseException as e:
        shutil.rmtree(making, ignore_errors=True)
        if isinstance(e, Exception) and (fault := disk_fault(e, folder)):
            raise JobFailed(f"{fault}; {_room(folder.parent, size)}", f"{fix}, and run the same command again") from e
        raise
    try:
        patiently(lambda: making.replace(folder))
    except PermissionError:  # Windows renames no folder with an open file
        raise JobFailed(
            f"{making}: the export is whole, but another program has a file of it open",
            f"end that program, and give the folder its name: {folder.name}",
        ) from None


def _room(folder: Path, size: int) -> str:
    free = shutil.disk_usage(folder).free
    return f"{free / 1e6:,.0f} MB are free there, the export needs {ROOM * size / 1e6:,.0f} MB"
