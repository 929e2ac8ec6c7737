"""What is read off a training run: the time, loss and tokens of each optimizer step, and what compiling took."""

import hashlib
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback

from data.errors import JobFailed
from data.render import IGNORED

COMPILED = 1e-3  # seconds of compiling in a step from which on the step is no steady one


class Stopwatch(TrainerCallback):
    """Times each optimizer step from the end of the one before, the device's queue emptied at both ends.

    So a step's time holds its batches' padding, its passes, the update and the log line. Evaluating and saving are
    called off.

    Args:
        started: when the process began (seconds since the epoch), for the time to the first step.
    """

    def __init__(self, started: float, cuda: bool) -> None:
        self.started, self.cuda = started, cuda
        self.compiling = compile_clock()
        self.ended = self.compiled = 0.0
        self.first_step = 0.0
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.compile_seconds: list[float] = []
        self.driver_used = 0
        self.batches: list[tuple[int, int, int, int]] = []  # rows, tokens, tokens with padding, supervised tokens
        self.digest = hashlib.sha256()

    def watch(self, collate: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """The collator, with every batch counted on its way; batches come in the order in which they are trained."""

        def watched(rows: Any) -> dict[str, Any]:
            batch = collate(rows)
            ids, labels = batch["input_ids"], batch["labels"]
            # A label is learnt from the position before it, so the first of a row counts for nothing.
            supervised = int((labels[:, 1:] != IGNORED).sum())
            self.batches.append((len(rows), int(batch["attention_mask"].sum()), ids.numel(), supervised))
            for tensor in (ids, labels):
                self.digest.update(tensor.numpy().tobytes())
            return batch

        return watched

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self.ended:
            self.ended, self.compiled = self._now(), self.compiling()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_evaluate = control.should_save = False
        now, compiled = self._now(), self.compiling()
        self.first_step = self.first_step or time.time() - self.started
        self.seconds.append(now - self.ended)
        self.compile_seconds.append(compiled - self.compiled)
        self.ended, self.compiled = now, compiled
        if self.cuda:
            free, total = torch.cuda.mem_get_info()
            self.driver_used = max(self.driver_used, total - free)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_evaluate = control.should_save = False

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
        if "loss" in logs:
            self.losses.append(logs["loss"])

    def by_step(self, accumulation: int) -> list[tuple[int, int, int, int]]:
        """Rows, tokens, tokens with padding and supervised tokens of each optimizer step."""
        starts = range(0, len(self.seconds) * accumulation, accumulation)
        parts = [self.batches[start : start + accumulation] for start in starts]
        return [(sum(b[0] for b in p), sum(b[1] for b in p), sum(b[2] for b in p), sum(b[3] for b in p)) for p in parts]

    def rates(self, accumulation: int, warmup: int) -> dict[str, float]:
        """The figures of the steady state: the steps after the warm-up in which nothing was compiled.

        Raises:
            JobFailed: there is no such step.
        """
        timed = range(warmup, len(self.seconds))
        steady = [step for step in timed if self.compile_seconds[step] < COMPILED]
        if not steady:
            raise JobFailed("something was compiled in every timed step", "take more steps: --steps")
        seconds = sum(self.seconds[step] for step in steady)
        steps = self.by_step(accumulation)
        rows, tokens, padded, supervised = (sum(steps[step][i] for step in steady) for i in range(4))
        return {
            "samples_per_second": rows / seconds,
            "tokens_per_second": tokens / seconds,
            "supervised_tokens_per_second": supervised / seconds,
            "seconds_per_step": seconds / len(steady),
            "padding_share": 1 - tokens / padded,
        }

    def _now(self) -> float:
        if self.cuda:
            torch.cuda.synchronize()
        return time.perf_counter()


def compile_clock() -> Callable[[], float]:
    """A reading of the seconds spent so far in torch.compile, and in compiling Triton kernels where there is Triton."""
    triton = _triton_seconds()

    def read() -> float:
        dynamo = sys.modules.get("torch._dynamo.utils")
        return sum(triton) + (dynamo.calculate_time_spent()["total_wall_time"] if dynamo else 0.0)

    return read


def _triton_seconds() -> list[float]:
    seconds: list[float] = []
    try:
        from triton import knobs
    except ImportError:  # no Triton on this platform
        return seconds

    def heard(*, times: Any, cache_hit: bool, **_: Any) -> None:
        if not cache_hit:
            seconds.append(times.total / 1e6)

    knobs.compilation.listener = heard
    return seconds
