"""Memory does not grow with the rows: of thousands more, less than their text is held."""

import os
from pathlib import Path

import pytest

from tests.reliability.many_rows import measure_apart, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")]


@pytest.mark.parametrize("stage", ["read", "tokenise"])
def test_memory_is_bounded(tmp_path: Path, tiny_model: Path, stage: str) -> None:
    held = {}
    for count in (500, 4_500):
        write_rows(tmp_path / f"{count}.jsonl", count)
        cache = os.environ | {"TOOLTUNE_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
        figures, _ = measure_apart(stage, tmp_path / f"{count}.jsonl", str(tiny_model), cache)
        held[count] = figures["own_mib"]
    added = (tmp_path / "4500.jsonl").stat().st_size - (tmp_path / "500.jsonl").stat().st_size
    assert (held[4_500] - held[500]) * 2**20 < added, held  # as objects in memory they are several times their text
