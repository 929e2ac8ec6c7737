"""A loss, a gradient or a weight that is NaN or infinite: it teaches nothing, and spreads to all weights."""

import math
from pathlib import Path
from typing import Any

from tooltune.errors import InputError, JobFailed


class NotFinite(JobFailed):
    """A loss or a gradient is NaN or infinite; the weights are those before the step."""

    def __init__(self, what: str, logs: dict[str, Any]) -> None:
        self.logs = logs
        super().__init__(
            what,
            "the run is kept as it was before this step. Look at these rows; if they are sound, lower "
            "train.learning_rate, or resume with train.on_nan=skip",
        )


def fault_of_step(loss: float | None, norm: float, *, fp16: bool) -> str:
    """What is not finite in a step; empty where all is.

    Args:
        fp16: float16 meets infinite gradients while its scale comes down, and its scaler leaves such steps out.
    """
    if loss is not None:
        return f"the loss is {loss}"
    return "" if fp16 or math.isfinite(norm) else f"grad_norm is {norm}"


def refuse_odd_files(folder: Path) -> None:
    """See that every weight in a model's files is a number: it is in 4 bits by the time that a loss is none.

    Raises:
        InputError: one is not.
    """
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                if not bool(file.get_tensor(name).float().isfinite().all()):
                    raise InputError(f"{name} is not finite", where=str(path), fix="copy or fetch the model again")


def refuse_odd_weights(model: Any, step: int) -> None:
    """See that every weight that is trained is a number.

    Raises:
        JobFailed: one is not.
    """
    if not all(bool(p.isfinite().all()) for p in model.parameters() if p.requires_grad):
        raise JobFailed(f"a weight is not finite after step {step}", "lower train.learning_rate and resume")
