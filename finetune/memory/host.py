"""What of this machine's software changes a plan, read without importing any of it."""

import importlib.util
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


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


def _matches(built: str, installed: str) -> bool:
    """`2.10.0+cu128` loads with `2.10.1` and with `2.10.0+cu128`, not with `2.11.0` or `2.10.0+cu130`."""
    (built, cuda), (installed, label) = built.split("+"), (installed + "+").split("+")[:2]
    return built.split(".")[:2] == installed.split(".")[:2] and label in ("", cuda)
