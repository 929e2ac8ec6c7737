"""The card that a process uses, settled before CUDA starts: which one it is, and how torch hands out its memory.

No torch here: CUDA and torch's allocator read the environment once, when they start.
"""

import os
import platform
from typing import Any

from tooltune.launch import local_rank, processes

GIB = 2**30
CONTEXT = 141 * 2**20
"""Bytes that CUDA takes besides what torch allocates: total - free - reserved after training on a Tesla T4, Linux
(public archive of fitcheck). On Windows, and where the card drives a screen, the desktop takes another 300 to 1,000
MiB."""
VISIBLE, ALLOCATOR = "CUDA_VISIBLE_DEVICES", "PYTORCH_ALLOC_CONF"
GROWING = "expandable_segments:True"
"""Segments that grow in place, so that rows of differing length leave no gaps; what Unsloth wants as well, but sets
when torch has read the variable already."""
ROUNDED = "roundup_power2_divisions:[32:256,64:128,256:64,>:32]"
"""Unsloth's choice for Windows and WSL, whose drivers have no growing segments (unsloth_zoo/__init__.py)."""


def prepare_process() -> None:
    """Choose the card and the allocator's way, and send no usage reports; what the user has set stays.

    Has an effect until the first CUDA call and the first import of huggingface_hub.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL reports each trainer that is built
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # numbers as the driver's own tools count
    pin_card()
    set_by_user = {ALLOCATOR, "PYTORCH_CUDA_ALLOC_CONF"} & os.environ.keys()
    if not set_by_user and platform.machine() in ("x86_64", "AMD64"):  # on Jetson boards growing segments fail
        os.environ[ALLOCATOR] = ROUNDED if lends_main_memory() else GROWING


def pin_card() -> None:
    """Let CUDA see one card: the first that the user lists, else the one with the most memory; of a launcher's
    processes each its own.

    With several, transformers would spread a batch over them, and Trainer's batch would be a multiple of the config's.
    """
    import pynvml

    if VISIBLE in os.environ:
        listed = os.environ[VISIBLE].split(",")
        os.environ[VISIBLE] = listed[local_rank() % len(listed)].strip()
        return
    try:
        cards = _cards()
        if len(cards) > 1 and processes() > 1:
            os.environ[VISIBLE] = pynvml.nvmlDeviceGetUUID(cards[local_rank() % len(cards)])
        elif len(cards) > 1:
            os.environ[VISIBLE] = pynvml.nvmlDeviceGetUUID(_largest(cards))
    except pynvml.NVMLError:  # no driver: nothing to choose from
        return


def visible_cards() -> int:
    """How many cards CUDA would see, asked before `pin_card`; 0 without a driver."""
    import pynvml

    if VISIBLE in os.environ:
        return sum(bool(card.strip()) and card.strip() != "-1" for card in os.environ[VISIBLE].split(","))
    try:
        return len(_cards())
    except pynvml.NVMLError:
        return 0


def open_card(uuid: str = "") -> Any:
    """NVML's handle of a card; before CUDA starts, by NVML's number, which is the slot's.

    Args:
        uuid: as torch gives it, of a card or a MIG slice; empty: the card that `pin_card` takes.

    Raises:
        pynvml.NVMLError: no driver, no such card, or all of them hidden.
    """
    import pynvml

    cards = _cards()
    listed = uuid or (_first_listed() if VISIBLE in os.environ else None)
    if listed is None and cards:
        return _largest(cards)
    if not listed or listed == "-1":
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
    if listed.isdecimal():
        return pynvml.nvmlDeviceGetHandleByIndex(int(listed))
    bare = listed.removeprefix("GPU-").removeprefix("MIG-")
    found = [card for card in cards if pynvml.nvmlDeviceGetUUID(card).removeprefix("GPU-").startswith(bare)]
    if len(found) > 1 or not bare:  # CUDA takes only what names a single card
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
    return found[0] if found else pynvml.nvmlDeviceGetHandleByUUID(f"MIG-{bare}")


def lends_main_memory() -> bool:
    """Whether the driver gives out main memory when the card is full, as on Windows and under WSL: nothing fails then,
    but steps take 10 to 100 times longer."""
    return platform.system() == "Windows" or "microsoft" in platform.release().lower()


def _first_listed() -> str:
    return os.environ[VISIBLE].split(",")[0].strip()


def _cards() -> list[Any]:
    import pynvml

    pynvml.nvmlInit()
    return [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]


def _largest(cards: list[Any]) -> Any:
    """The first of those with the most memory; a single one is not asked, for boards without their own cannot tell."""
    import pynvml

    return cards[0] if len(cards) == 1 else max(cards, key=lambda card: pynvml.nvmlDeviceGetMemoryInfo(card).total)
