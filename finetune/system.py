"""What the machine is doing while it trains."""

import sys
from contextlib import suppress
from typing import Any

from finetune.device import GIB, Device
from finetune.library_internals import free_workspaces
from tooltune.run import PeakMemory


class SystemMonitor:
    """Readings of memory and load, under the names that docs/metrics.md and wandb users know.

    Memory is in GiB, utilisation in percent; the GPU's figures are None on a machine without one, and its utilisation
    where the driver does not tell it, as of a MIG slice.
    """

    def __init__(self, device: Device) -> None:
        import psutil

        self.device = device
        self.process = psutil.Process()
        psutil.cpu_percent()  # the first call only starts the interval
        self.gpu: Any = None
        if device.kind == "cuda":
            import pynvml

            from tooltune.cuda import open_card

            # A container may hide the driver's library from a process that computes on the card.
            with suppress(pynvml.NVMLError):
                self.gpu = open_card(device.uuid)

    def read(self) -> dict[str, float | None]:
        """The figures now; CPU utilisation is the mean since the last reading."""
        import psutil

        figures: dict[str, float | None] = {
            "gpu_memory_allocated": None,
            "gpu_memory_reserved": None,
            "gpu_utilization": None,
            "cpu_utilization": psutil.cpu_percent(),
            "memory": round(self.process.memory_info().rss / GIB, 3),
        }
        if self.device.kind == "cuda":
            import torch

            figures["gpu_memory_allocated"] = round(torch.cuda.memory_allocated() / GIB, 3)
            figures["gpu_memory_reserved"] = round(torch.cuda.memory_reserved() / GIB, 3)
            figures["gpu_utilization"] = self._utilization()
        return figures

    def _utilization(self) -> float | None:
        import pynvml

        if self.gpu is None:
            return None
        try:
            return float(pynvml.nvmlDeviceGetUtilizationRates(self.gpu).gpu)
        except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_NoPermission):
            return None


def peak_memory(device: Device) -> PeakMemory:
    """The most this process has held so far, GiB: on the GPU, and of main memory (resident)."""
    import torch

    cuda = device.kind == "cuda"
    return {
        "gpu_allocated_gib": round(torch.cuda.max_memory_allocated() / GIB, 3) if cuda else None,
        "gpu_reserved_gib": round(torch.cuda.max_memory_reserved() / GIB, 3) if cuda else None,
        "gpu_workspace_gib": round(free_workspaces() / GIB, 3) if cuda else None,
        "rss_gib": round(_peak_resident() / GIB, 3),
    }


def _peak_resident() -> int:
    """Bytes. Each system keeps the figure elsewhere, and in its own unit."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
