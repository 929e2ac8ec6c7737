"""The card that is here, asked through the driver's own library: no torch, no CUDA context."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """The NVIDIA card that a run takes. `free` and `total` in bytes; free is now, with whatever else uses the card."""

    name: str
    free: int
    total: int
    capability: tuple[int, int]

    @property
    def turing(self) -> bool:
        """Compute capability below 8.0: no bfloat16, other kernels."""
        return self.capability < (8, 0)


def find_card() -> Card | None:
    """The card that a run takes, or None where there is no NVIDIA driver or every card is hidden."""
    import pynvml

    from tooltune.cuda import open_card

    try:
        handle = open_card()
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        capability = tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle))
        name = pynvml.nvmlDeviceGetName(handle)
    except pynvml.NVMLError:
        return None
    return Card(name, int(memory.free), int(memory.total), (capability[0], capability[1]))
