"""A run that nothing happened to, with which the others are compared."""

import json
from pathlib import Path

import pytest

from tests.reliability.runs import Bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Bench:
    """The place where runs are made; `whole` is the one that is never disturbed, `places.json` what it came by."""
    made = Bench(tmp_path_factory.mktemp("reliability"), tiny_model)
    done = made.train("whole", fault=f"count={made.cwd / 'places.json'}")
    assert done.returncode == 0, done.stdout + done.stderr + made.log("whole")
    return made


@pytest.fixture(scope="session")
def places(bench: Bench) -> dict[str, int]:
    """How often the undisturbed run came by each place."""
    counts: dict[str, int] = json.loads((bench.cwd / "places.json").read_text(encoding="utf-8"))
    assert all(counts.values()), counts
    return counts
