"""Fixtures that several packages' tests share."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

from tests import tiny

os.environ["LC_ALL"] = "C.UTF-8"  # commands speak the system's language, and the tests read English
# Workers share the cores; and the last digits of torch's sums depend on the number of threads, which is read when torch
# is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure() -> None:
    """A shell's background job starts with SIGINT ignored, nohup's with SIGHUP; tests of them would wait in vain."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ.setdefault("TOOLTUNE_CACHE", str(Path(tempfile.gettempdir()) / "tooltune-tests-rows"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """gpu-marked tests skip where there is no CUDA."""
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    if gpu:
        from finetune.device import has_cuda

        if not has_cuda():
            for item in gpu:
                item.add_marker(pytest.mark.skip(reason="no CUDA on this machine"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny random model."""
    return tiny.make_model(tmp_path_factory.mktemp("tiny"))
