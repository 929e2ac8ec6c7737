"""From bytes of tensors to what the card must have: context, allocator, the expected figure, the gate and the
verdict."""

from dataclasses import dataclass
from typing import Literal

from tooltune.cuda import CONTEXT as CONTEXT
from tooltune.cuda import GIB as GIB
from tooltune.cuda import lends_main_memory

MIB = 2**20
WORKSPACE = int(16.3 * MIB)
"""cuBLAS' workspaces, the constant residual between the byte count and the T4 measurements; they come from torch's
allocator, which gives 8.125 MiB to each of two threads (`library_internals.free_workspaces`)."""
ALLOCATOR = {"mean": 1.128, "median": 1.113, "max": 1.254}
"""reserved / allocated with torch's stock allocator on the T4 rows with fused attention. With segments that grow in
place, which a run has under Linux (tooltune/cuda.py), it should be less; nobody has published a figure."""

CPU_RUN = 10
"""GiB of main memory for a cpu preset: its peak was 8.0 to 8.5 (docs/measured/)."""

Verdict = Literal["fits", "tight", "does not fit"]


@dataclass(frozen=True)
class Calibration:
    """What finished runs on this card say.

    Attributes:
        ratio: reserved bytes over planned tensor bytes, the median of the runs; `assumed` before the first.
        runs: how many runs it comes from; 0: none yet.
    """

    ratio: float = 1.03
    runs: int = 0


UNCALIBRATED = Calibration()
STOCK = Calibration(ratio=1.11)
"""Under Windows and WSL, whose drivers have no segments that grow: the median of ALLOCATOR."""


def assumed() -> Calibration:
    """The ratio of this system before a run has finished on its card."""
    return STOCK if lends_main_memory() else UNCALIBRATED


def expected(allocated: float, calibration: Calibration = UNCALIBRATED) -> int:
    """Bytes the process will probably take: ratio·a + 0.55 GiB.

    1.03 for segments that do not fill up (1.11 under Windows and WSL, where they cannot grow), 0.55 GiB for context,
    workspace, compiled kernels and what loading leaves behind.
    """
    return int(calibration.ratio * allocated + 0.55 * GIB)


def gate(allocated: float, calibration: Calibration = UNCALIBRATED) -> int:
    """Bytes that must be free before a run may start: 1.10·a + 1.0 GiB, or 5 % over the calibrated ratio if that is
    more.

    Up to a = 5.7 GiB this covers the worst ratio measured on the T4, 1.254·a + CONTEXT: with segments that cannot grow,
    so it holds under Windows too.
    """
    measured = 1.05 * calibration.ratio if calibration.runs else 0.0
    return int(max(1.10, measured) * allocated + 1.0 * GIB)


def to_load(loading: float) -> int:
    """Bytes that must be free to load: the tensors, the context and 0.25 GiB. Nothing is fragmented yet."""
    return int(loading + CONTEXT + 0.25 * GIB)


def least(allocated: float) -> int:
    """The lower end of the band: 3 % fewer tensor bytes than planned, and the context."""
    return int(0.97 * allocated + CONTEXT)
