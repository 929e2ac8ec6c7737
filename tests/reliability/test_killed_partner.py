"""One of several processes is killed: the others end with one line, and the same command goes on."""

from pathlib import Path

import pytest

from tests.finetune.test_together import befalls_one, halves  # noqa: F401


@pytest.mark.slow
@pytest.mark.parametrize(("rank", "what", "step"), [("1", "kill=step,6", 4), ("0", "kill=checkpoint,4", 4)])
def test_one_of_two_processes_is_killed(
    halves: tuple[Path, list[str]],  # noqa: F811
    rank: str,
    what: str,
    step: int,
) -> None:
    errors = befalls_one(halves, rank, what, step)
    (said,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert said.startswith("error: another process of this run ended"), "and it waits for nobody"
