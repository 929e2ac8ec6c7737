"""What of this machine changes a plan: its software, read without importing any of it, and its main memory."""

import importlib.util
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from finetune.memory.overheads import CPU_RUN, GIB, Verdict


def xformers_loads() -> bool:
    """Whether xformers is here and its kernels are built for the torch that is: Unsloth then trains through it.

    Its build record (xformers/cpp_lib.json) names the torch; another minor version or another CUDA cannot load them.
    Built for a torch of the PyPI, as both then are, neither version has a label of the CUDA.
    """
    spec = importlib.util.find_spec("xformers")
    if spec is None or spec.origin is None:
        return False
    record = Path(spec.origin).with_name("cpp_lib.json")
    try:
        built, installed = json.loads(record.read_text(encoding="utf-8"))["version"]["torch"], version("torch")
    except (FileNotFoundError, PackageNotFoundError):  # a build without kernels, or no torch
        return False
    return _matches(str(built), installed)


def main_memory() -> tuple[int, int, Verdict]:
    """Bytes of main memory that are free, and all of them; whether a cpu preset trains in these."""
    import psutil

    free, total, need = psutil.virtual_memory().available, psutil.virtual_memory().total, CPU_RUN * GIB
    return free, total, "fits" if need <= free else "tight" if need <= total else "does not fit"


def _matches(built: str, installed: str) -> bool:
    """`2.10.0+cu128` loads with `2.10.1` and with `2.10.0+cu128`, not with `2.11.0` or `2.10.0+cu130`."""
    (built, cuda), (installed, label) = built.split("+"), (installed + "+").split("+")[:2]
    return built.split(".")[:2] == installed.split(".")[:2] and label in ("", cuda)
