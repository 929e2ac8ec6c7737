"""Memory does not grow with the rows: what a stage holds of ten times as many is far from ten times as much."""

import os
from pathlib import Path

import pytest

from tests.reliability.many_rows import SOURCE, measure_apart, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")]


@pytest.mark.parametrize("stage", ["read", "tokenise"])
def test_memory_is_bounded(tmp_path: Path, tiny_model: Path, stage: str) -> None:
    held = {}
    for count in (1_000, 11_000):
        write_rows(tmp_path / f"{count}.jsonl", count)
        cache = os.environ | {"TOOLTUNE_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
        figures, _ = measure_apart(stage, tmp_path / f"{count}.jsonl", str(tiny_model), cache)
        held[count] = figures["own_mib"]
    text = SOURCE / "train.jsonl"
    grown = (held[11_000] - held[1_000]) * 2**20
    assert grown < 5 * text.stat().st_size, held  # 10,000 rows are 60 MB of text, and as objects in memory 300
