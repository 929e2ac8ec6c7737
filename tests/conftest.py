"""Fixtures that several packages' tests share."""

import os
import signal
from pathlib import Path

import pytest

from tests import tiny

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores; torch reads it once, when it is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure() -> None:
    """A shell's background job starts with SIGINT ignored, and the tests of Ctrl-C would wait for nothing."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of a file share its fixtures, so one worker runs them; but slow ones that share none run apart, first.
    gpu-marked tests skip where there is no CUDA."""
    if config.pluginmanager.hasplugin("xdist"):
        items.sort(key=lambda item: not _alone(item))
        for item in items:
            if not _alone(item):
                item.add_marker(pytest.mark.xdist_group(item.location[0]))
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    if gpu:
        from finetune.device import has_cuda

        if not has_cuda():
            for item in gpu:
                item.add_marker(pytest.mark.skip(reason="no CUDA on this machine"))


def _alone(item: pytest.Item) -> bool:
    slow = item.get_closest_marker("slow")
    return slow is not None and slow.kwargs.get("alone", False)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny random model."""
    return tiny.make_model(tmp_path_factory.mktemp("tiny"))
