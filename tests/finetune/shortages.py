"""Runs `python -m finetune` with out-of-memory errors put into it: `python -m tests.finetune.shortages PHASE,PHASE …`.

The errors are torch's own, raised where the memory would be taken; everything else is the product.
"""

import sys
from collections.abc import Callable
from typing import Any


def fail_once(module: Any, name: str, at: int = 1) -> None:
    """Make the `at`-th call of `module.name` raise."""
    import torch

    real: Callable[..., Any] = getattr(module, name)
    calls = 0

    def failing(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.16 GiB.")
        return real(*args, **kwargs)

    setattr(module, name, failing)


def prepare(phases: list[str]) -> None:
    """Put one error into each phase, where it takes its memory."""
    import unsloth  # noqa: F401, I001  (before transformers)
    import torch
    import transformers

    import eval.generate
    import eval.load
    import finetune.first_look
    import finetune.models
    import finetune.trainer

    places: dict[str, tuple[Any, str, int]] = {
        "load": (finetune.models, "load", 1),
        "probe": (finetune.first_look, "_throwaway_step", 1),
        "step": (transformers.Trainer, "training_step", 6),
        "optimizer": (torch.optim.AdamW, "step", 3),
        "evaluation": (finetune.trainer, "evaluation_loss", 4),
        "merge": (eval.load, "dense_copy", 4),
        "generation": (eval.generate, "generate", 5),
        "save": (transformers.Trainer, "save_model", 3),
    }
    for phase in phases:
        fail_once(*places[phase])


if __name__ == "__main__":
    from finetune.cli import app

    prepare(sys.argv[1].split(","))
    app(sys.argv[2:])
