"""Before step 1: a step on the longest rows and an evaluation of a few, so that a failure shows in a minute."""

import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from data.render import Example
from data.stored import lengths_of
from finetune.batching import features
from finetune.finite import refuse_odd_files
from finetune.length import Length
from finetune.library_internals import forget_losses, keep_compiled, prepare_batch
from finetune.losses import scaled_weights
from finetune.shared_prefix import computed_tokens
from finetune.shortage import phase
from finetune.trainer import Scorer, ToolTrainer
from finetune.words import phrase
from tooltune.errors import JobFailed
from tooltune.pretrained import resolve
from tooltune.words import Say

MEASURED = 500
"""Micro-batches whose mean is taken for that of all."""


def first_look(trainer: ToolTrainer, length: Length, scorer: Scorer | None, say: Say) -> None:
    """Make the step and the evaluation, and say how long the run should take.

    Args:
        scorer: of a few rows.

    Raises:
        JobFailed: a gradient or the evaluation loss is not finite.
    """
    started = time.perf_counter()
    say(phrase("check.start"))
    with phase("probe"):
        seconds = probe(trainer)
    validation = trainer.job.validation
    longest = [validation[row] for row in _by_length(validation)[: trainer.job.evaluation_batch]]
    loss = trainer.evaluate_rows(longest, scorer)["eval_loss"]
    if not math.isfinite(loss):
        raise JobFailed(f"eval_loss is {loss} before training", "try another model.dtype")
    say(phrase("check.fine", seconds=time.perf_counter() - started, loss=loss))
    minutes = seconds * trainer.args.gradient_accumulation_steps * length.steps / 60
    say(phrase("check.minutes", steps=length.steps, minutes=max(1, round(minutes))))


def probe(trainer: ToolTrainer) -> float:
    """Two micro-steps before step 1, thrown away: one on the longest rows, one on rows of middle length (where prefixes
    are shared: on the first micro-batch, its time scaled to the mean one's tokens).

    The first shows an out-of-memory in the first minute, compiles what will be compiled, and proves that gradients are
    finite (float16 on some cards gives NaN). The second is timed.

    Returns:
        Seconds that a micro-step takes.

    Raises:
        JobFailed: a gradient is not finite.
    """
    job, size = trainer.job, trainer.args.per_device_train_batch_size
    by_length = _by_length(job.train)
    longest = [job.train[row] for row in by_length[:size]]
    middle, larger = [job.train[row] for row in by_length[len(by_length) // 2 :][:size]], 1.0
    if job.packing:
        order, most = job.row_order().order(), job.packing.tokens
        middle = [job.train[row] for row in order[:size]]
        some = order[: size * MEASURED]  # they are in no order
        mean = computed_tokens((job.train[row] for row in some), size, most) / -(-len(some) // size)
        larger = mean / computed_tokens(middle, size, most)
    with torch.random.fork_rng(devices=[0] if job.device.kind == "cuda" else []):
        loss = _throwaway_step(trainer, longest)
        gradients = [p.grad for p in trainer.model.parameters() if p.grad is not None]
        finite = bool(gradients) and all(bool(torch.isfinite(g).all()) for g in gradients)
        started = time.perf_counter()
        _throwaway_step(trainer, middle)
        seconds = (time.perf_counter() - started) * larger
    trainer.model.zero_grad(set_to_none=True)
    keep_compiled(trainer.model)
    if trainer.uses_trl:
        forget_losses(trainer)  # these were no steps
    if not finite:
        refuse_odd_files(resolve(job.config.model.name))
        rows_named = ", ".join(e.id for e in longest[:3])
        raise JobFailed(
            f"gradients are not finite in {job.loaded.dtype} (loss {loss:.3g}, rows {rows_named})",
            "try model.backend=hf model.dtype=float32 (slower)",
        )
    return seconds


def _throwaway_step(trainer: ToolTrainer, examples: Sequence[Example]) -> float:
    job = trainer.job
    weights = scaled_weights(job.config.loss.role_weights, examples)
    batch = prepare_batch(trainer, job.join([features(e, weights) for e in examples]))
    trainer.training_mode()
    with trainer.compute_loss_context_manager(), _mixed_precision(trainer):
        loss = trainer.compute_loss(job.loaded.model, batch, num_items_in_batch=(batch["labels"] != -100).sum())
    loss.backward()
    return float(loss.item())


def _mixed_precision(trainer: ToolTrainer) -> AbstractContextManager[Any]:
    """What accelerate wraps the model's forward pass in when `train()` begins (`Accelerator.prepare_model`).

    Without it a step computes otherwise, and in other memory, than those to come, and Unsloth compiles Gemma 3 a second
    time in the first of them. This project's own loss asks the inner model, which is not wrapped.
    """
    return nullcontext() if trainer.own_loss else trainer.accelerator.autocast()


def _by_length(examples: Sequence[Example]) -> list[int]:
    """Row numbers, the longest row first."""
    lengths = lengths_of(examples)
    return sorted(range(len(lengths)), key=lambda row: -lengths[row])
