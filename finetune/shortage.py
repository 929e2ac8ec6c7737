"""Out of memory: recognising it, saying in which phase of a run it came, and what to change so that the run goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eval.shortage import is_shortage, release
from finetune.checkpoints import last_checkpoint, step_of
from finetune.device import detect, precision
from finetune.packing import most_tokens, shares_prefixes
from finetune.run_session import RunSession
from finetune.words import phrase
from tooltune.config import Config
from tooltune.cuda import lends_main_memory
from tooltune.errors import JobFailed
from tooltune.launch import processes
from tooltune.pretrained import resolve

PAGED = 100_000
"""Elements of an adapter's matrix from which on bitsandbytes pages its states (optim/optimizer.py: get_state_buffer);
at rank 8 none of Qwen2.5-1.5B has so many. Under Windows and WSL the driver takes no page off a card."""


class OutOfMemory(JobFailed):
    """The device's memory did not suffice.

    Attributes:
        phase: load, probe, step, optimizer, evaluation, generation or save.
    """

    def __init__(self, phase: str, said: str) -> None:
        self.phase = phase
        super().__init__(
            f"out of memory in the phase {phase!r}: {said}",
            "`python -m finetune plan` shows what would fit; a shorter data.max_length or a smaller model needs less",
        )


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Turn a library's out-of-memory error inside the block into `OutOfMemory(name)`; an inner phase's stands."""
    try:
        yield
    except OutOfMemory:
        raise
    except Exception as e:
        if not is_shortage(e):
            raise
        raise OutOfMemory(name, str(e).splitlines()[0] if str(e) else type(e).__name__) from e


@contextmanager
def freed_on_shortage(model: Any) -> Iterator[None]:
    """Free a model when memory runs out inside the block, whoever still refers to it; it cannot be used any more.

    Letting go of it is not enough on a GPU: on an H200 the libraries kept a whole 1.5B model, 1.2 GiB, after a shortage
    in the first step, and no later attempt found room to load another (docs/gpu.md).
    """
    try:
        yield
    except OutOfMemory:
        import torch

        for tensor in (*model.parameters(), *model.buffers()):
            tensor.grad = None
            tensor.data = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
            if hasattr(tensor, "quant_state"):
                tensor.quant_state = None
        raise


def recover(session: RunSession, attempt: Callable[[], Path]) -> Path:
    """Make attempts at a run until one ends; after each shortage of memory one setting is changed.

    Args:
        attempt: goes on from the last checkpoint, with `session.config`.

    Raises:
        OutOfMemory: memory ran out more often than `memory.recoveries` allows.
        JobFailed: nothing is left that could be changed.
    """
    while True:
        try:
            return attempt()
        except OutOfMemory as e:
            if processes() > 1 or len(session.recoveries) >= session.config.memory.recoveries:
                raise  # the other processes have room, and wait: the launcher ends them
            where, said = e.phase, str(e)
        release()  # here the error is gone, and with it the frames that held the model
        session.config = _with_less_memory(session, where, said)


def _with_less_memory(session: RunSession, where: str, said: str) -> Config:
    """The config with the next change, which is told and noted for the manifest."""
    from transformers import AutoConfig

    config = session.config
    folder = resolve(config.model.name, session.say)
    whole = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    shape, device = whole.get_text_config(), detect()
    dtype, _ = precision(config.model.dtype, device, config.model.backend, whole.model_type)
    change = next_change(
        config,
        where,
        gpu=device.kind == "cuda",
        packed=shares_prefixes(config, device, dtype, whole.model_type),
        tied=bool(shape.tie_word_embeddings),
        layers=shape.num_hidden_layers,
        longest=session.longest,
        pages=config.lora.r * max(shape.hidden_size, shape.intermediate_size) >= PAGED and not lends_main_memory(),
    )
    if change is None:
        less = "a smaller model" if where == "load" else "a shorter data.max_length or a smaller model"
        raise JobFailed(said, f"every measure has been taken already: {less} needs less")
    session.say(phrase("run.shortage", where=where, change=describe(config, change)))
    checkpoint = last_checkpoint(session.folder)
    step = step_of(checkpoint) if checkpoint else 0
    session.recoveries.append({"step": step, "phase": where, "change": change, "said": said})
    return config.changed(change)


Change = dict[str, Any]  # config key → new value
Measure = Callable[..., Change | None]


def next_change(
    config: Config, phase: str, *, gpu: bool, packed: bool, tied: bool, layers: int, longest: int, pages: bool
) -> Change | None:
    """The first change that frees memory in this phase without changing what is learnt; None when nothing is left.

    The effective batch stays, and with it the order of the rows. What comes first costs least time: smaller
    batches, recomputed activations, optimizer states and then weights in main memory.

    Args:
        packed: rows are packed behind the prefixes that they share: memory is that of a pass, whatever the micro-batch.
        tied: input and output embedding are one matrix, which must stay on the card.
        layers: decoder layers of the model.
        longest: tokens of the longest training row, which a pass holds whole, however few it may hold; 0: not known.
        pages: a paged optimizer would free memory.
    """
    weights: list[Measure] = [_offload_embedding, _offload_layers]
    training: list[Measure] = [_halve_pass, _halve_micro_batch, _recompute, _page_optimizer, *weights]
    measures: dict[str, list[Measure]] = {
        "load": weights,
        "evaluation": [_halve_pass, _halve_evaluation, *weights],
        # Where prompts are asked, the batch was halved down to one already (eval.generate).
        "generation": [*weights, _halve("eval.generate_batch")],
    }
    for measure in measures.get(phase, training):
        change = measure(config, gpu=gpu, packed=packed, tied=tied, layers=layers, longest=longest, pages=pages)
        if change:
            return change
    return None


def describe(config: Config, change: Change) -> str:
    """`train.micro_batch 4 → 2, train.accumulation 1 → 2`."""
    return ", ".join(f"{key} {_get(config, key)} → {value}" for key, value in change.items())


def _halve_pass(config: Config, *, gpu: bool, packed: bool, longest: int, **_: Any) -> Change | None:
    now = most_tokens(config, gpu=gpu)
    fewer = max(now // 2, longest, 256)
    return {"train.pass_tokens": fewer} if packed and fewer < now else None


def _halve_evaluation(config: Config, *, packed: bool, **_: Any) -> Change | None:
    return None if packed else _halve("eval.micro_batch")(config)


def _halve_micro_batch(config: Config, *, packed: bool, **_: Any) -> Change | None:
    micro = config.train.micro_batch
    if packed or micro == 1:
        return None
    divisor = next(d for d in range(2, micro + 1) if micro % d == 0)  # 2 unless the micro-batch is odd
    return {"train.micro_batch": micro // divisor, "train.accumulation": config.train.accumulation * divisor}


def _recompute(config: Config, *, gpu: bool, **_: Any) -> Change | None:
    best = "unsloth" if config.model.backend == "unsloth" and gpu else "on"
    now = config.train.gradient_checkpointing
    return {"train.gradient_checkpointing": best} if now == "off" or (now == "on" and best == "unsloth") else None


def _page_optimizer(config: Config, *, gpu: bool, pages: bool, **_: Any) -> Change | None:
    possible = gpu and pages and config.train.optimizer == "adamw_8bit"
    return {"train.optimizer": "paged_adamw_8bit"} if possible else None


def _offload_embedding(config: Config, *, gpu: bool, tied: bool, **_: Any) -> Change | None:
    possible = gpu and not tied and config.model.backend == "unsloth" and not config.memory.offload_embedding
    return {"memory.offload_embedding": True} if possible else None


def _offload_layers(config: Config, *, gpu: bool, layers: int, **_: Any) -> Change | None:
    """With recomputed activations, without which Unsloth refuses: every layer would stay until its backward."""
    offloaded = min(layers, config.memory.offload_layers + max(1, layers // 4))
    possible = gpu and config.model.backend == "unsloth" and offloaded > config.memory.offload_layers
    recomputing = _recompute(config, gpu=gpu) if config.train.gradient_checkpointing == "off" else None
    return {"memory.offload_layers": offloaded} | (recomputing or {}) if possible else None


def _halve(key: str) -> Measure:
    def halve(config: Config, **_: Any) -> Change | None:
        now = _get(config, key)
        return {key: now // 2} if now > 1 else None

    return halve


def _get(config: Config, key: str) -> Any:
    section, name = key.split(".")
    return getattr(getattr(config, section), name)
