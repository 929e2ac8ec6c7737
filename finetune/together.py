"""Several processes that train one model together (data-parallel): what they may do, and what they tell each other.

Each holds the whole model and computes its share of the rows of each optimizer step. The adapter's gradients are small
and are averaged once a step, so the step is that of one process with all the rows. Alone, all of this does nothing.
"""

import atexit
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from tooltune.config import Config
from tooltune.cuda import VISIBLE, visible_cards
from tooltune.errors import InputError, JobFailed
from tooltune.launch import is_first, processes, rank

T = TypeVar("T")
OTHER_WAYS = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "tensor, context and sequence parallelism",
}
"""What `accelerate launch` says of ways to share a model that are not data-parallel."""


def refuse_unsupported(config: Config) -> None:
    """See that the processes can train together what the config asks for.

    Raises:
        InputError: several cards and no launcher, or a backend, a way of sharing or a batch that is not supported.
    """
    count, cards = processes(), visible_cards()
    if count == 1:
        if cards > 1:
            raise InputError(
                f"{cards} cards are visible, and one process trains on one of them",
                where=VISIBLE,
                fix=f"set {VISIBLE}=0 for the first card, or train on all: "
                f"torchrun --nproc-per-node {cards} -m finetune train … model.backend=hf",
            )
        return
    if config.model.backend != "hf":
        raise InputError(
            f"{count} processes cannot train with Unsloth together", where="model.backend", fix="set model.backend=hf"
        )
    for name, way in OTHER_WAYS.items():
        if os.environ.get(name, "false").lower() == "true":
            raise InputError(
                f"{way} is not supported: every process holds the whole model",
                where=name,
                fix="launch with torchrun, or `accelerate launch --multi_gpu`; a larger model needs model.load_in_4bit",
            )
    share_of_step(config)


def share_of_step(config: Config) -> tuple[int, int]:
    """Micro-batch and accumulation of one process: together they make the config's effective batch.

    Raises:
        InputError: it cannot be divided by the processes.
    """
    micro, accumulation = config.train.micro_batch, config.train.accumulation
    mine, rest = divmod(micro * accumulation, processes())
    if rest:
        raise InputError(
            f"an effective batch of {micro * accumulation} rows cannot be divided among {processes()} processes",
            where="train.micro_batch × train.accumulation",
            fix=f"make it a multiple of {processes()}",
        )
    micro = max(size for size in range(1, min(micro, mine) + 1) if mine % size == 0)
    return micro, mine // micro


@contextmanager
def joined() -> Iterator[None]:
    """Inside, the processes can speak to each other: over NCCL on cards, over gloo on processors.

    Raises:
        JobFailed: one of the others is gone.
    """
    if processes() == 1:
        yield
        return
    import torch

    cuda = torch.cuda.is_available()
    if not cuda:  # accelerate would call it cpu:0, to which torch.load cannot bring an optimizer's state
        os.environ.setdefault("ACCELERATE_TORCH_DEVICE", "cpu")
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    # gloo's threads end with the last reference to the group, not with `destroy_process_group`, and abort a process
    # whose interpreter they outlive. A trainer has one, in its wrapped model, and an error's traceback has the trainer.
    atexit.register(gc.collect)
    try:
        yield
        wait()  # the first has pages to write yet, and a launcher takes one that has gone for a fault
    except RuntimeError as e:
        if not (isinstance(e, torch.distributed.DistError) or "gloo" in str(e)):  # gloo has no class for its errors
            raise
        raise JobFailed(
            f"another process of this run ended or is out of reach: {str(e).splitlines()[0]}",
            "see what it said, and give the command again: a run with a name goes on from its last checkpoint, any "
            "other with --resume latest",
        ) from e
    finally:
        torch.distributed.destroy_process_group()


def of_first(value: Callable[[], T]) -> T:
    """What the first process finds, in all of them."""
    if processes() == 1:
        return value()
    import torch

    found = [value() if is_first() else None]
    torch.distributed.broadcast_object_list(found)
    return found[0]  # type: ignore[return-value]


def share(items: Sequence[T]) -> list[T]:
    """This process's share of a list that all of them have."""
    return list(items[rank() :: processes()])


def gathered(mine: list[T]) -> list[T]:
    """The whole list of the shares' results, in the order of the items."""
    if processes() == 1:
        return mine
    import torch

    found: list[Any] = [None] * processes()
    torch.distributed.all_gather_object(found, mine)
    return [found[n % processes()][n // processes()] for n in range(sum(map(len, found)))]


def summed(values: list[float]) -> list[float]:
    """The sum over the processes of each figure."""
    if processes() == 1:
        return values
    import torch

    total = torch.tensor(values, dtype=torch.float64)
    torch.distributed.all_reduce(total)
    return total.tolist()  # type: ignore[no-any-return]


def mean(value: float) -> float:
    return summed([value])[0] / processes()


def wait() -> None:
    summed([0.0])


def average_gradients(model: Any) -> None:
    """Replace the gradients of what is trained by their mean over the processes."""
    import torch

    gradients = [p.grad for p in model.parameters() if p.requires_grad]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= processes()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
