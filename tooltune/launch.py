"""What started this process: a launcher (torchrun, accelerate launch) of several that train together, or make.

They say it in the environment, so no torch is needed to know it.
"""

import os


def processes() -> int:
    """How many train together, on all machines; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def rank() -> int:
    """The number of this process among all of them."""
    return int(os.environ["RANK"]) if processes() > 1 else 0


def local_rank() -> int:
    """Its number on this machine."""
    return int(os.environ["LOCAL_RANK"]) if processes() > 1 else 0


def by_make() -> bool:
    """Whether make started it: then what to type next begins with `make`, which needs no activated environment."""
    return "MAKELEVEL" in os.environ


def is_first() -> bool:
    """Whether it is the one that writes and speaks."""
    return rank() == 0
