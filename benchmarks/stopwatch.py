"""What is read off a training run: the time, loss and tokens of each optimizer step, and what compiling took."""

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from transformers import TrainerCallback

from data.render import IGNORED
from finetune.rate import Flops, Tally, new_tally
from tooltune.errors import JobFailed
from tooltune.files import dump_json

COMPILED = 1e-3  # seconds of compiling in a step from which on the step is no steady one


class Counts(NamedTuple):
    """What one or more batches hold.

    Attributes:
        tokens: of the rows, as if each stood alone.
        computed: tokens that go through the model: with padding, but a prefix that rows share once.
        padding: those of `computed` that are padding.
    """

    rows: int
    tokens: int
    computed: int
    padding: int
    supervised: int


def count(rows: Sequence[dict[str, Any]], batch: dict[str, Any]) -> Counts:
    """The counts of a batch made of these rows, padded by `batching.collate` or packed by `shared_prefix.pack`.

    A label is learnt from the position before it, so the first of a row is not counted.
    """
    tokens = sum(len(row["input_ids"]) for row in rows)
    if "passes" in batch:
        computed = sum(part["input_ids"].numel() for part in batch["passes"])
        return Counts(len(rows), tokens, computed, 0, int((batch["labels"] != IGNORED).sum()))
    computed, supervised = batch["input_ids"].numel(), int((batch["labels"][:, 1:] != IGNORED).sum())
    return Counts(len(rows), tokens, computed, computed - int(batch["attention_mask"].sum()), supervised)


def total(counts: Sequence[Counts]) -> Counts:
    return Counts(*(sum(values) for values in zip(*counts, strict=True)))


class Stopwatch(TrainerCallback):
    """Times each optimizer step from the end of the one before, the device's queue emptied at both ends.

    So a step's time holds the joining of its batches, its passes, the update and the log line. Evaluating and saving
    are called off.

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
        self.batches: list[Counts] = []
        self.tallies: list[Tally] = []  # of each batch, for its FLOP
        self.digest = hashlib.sha256()  # of the rows' ids and labels, which no layout changes

    def watch(self, collate: Callable[..., dict[str, Any]], flops: Flops) -> Callable[..., dict[str, Any]]:
        """The collator, with every batch counted on its way; batches come in the order in which they are trained.

        Args:
            flops: what the model costs.
        """
        self.flops = flops

        def watched(rows: Any) -> dict[str, Any]:
            batch = collate(rows)
            self.batches.append(count(rows, batch))
            tally = new_tally(flops)
            tally.add(batch)
            self.tallies.append(tally)
            for row in rows:
                self.digest.update(dump_json([row["input_ids"], row["labels"]]).encode())
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

    def by_step(self, accumulation: int) -> list[Counts]:
        starts = range(0, len(self.seconds) * accumulation, accumulation)
        return [total(self.batches[start : start + accumulation]) for start in starts]

    def rates(self, accumulation: int, warmup: int, matmul_rate: float) -> dict[str, float]:
        """The figures of the steady state: the steps after the warm-up in which nothing was compiled.

        Args:
            matmul_rate: of the machine, FLOP/s.

        Raises:
            JobFailed: there is no such step.
        """
        timed = range(warmup, len(self.seconds))
        steady = [step for step in timed if self.compile_seconds[step] < COMPILED]
        if not steady:
            raise JobFailed("something was compiled in every timed step", "take more steps: --steps")
        seconds = sum(self.seconds[step] for step in steady)
        steps = self.by_step(accumulation)
        done = total([steps[step] for step in steady])
        tallies = [t for step in steady for t in self.tallies[step * accumulation : (step + 1) * accumulation]]
        needed = sum(map(self.flops.needed, tallies))
        again = sum(map(self.flops.recomputed, tallies))
        return {
            "samples_per_second": done.rows / seconds,
            "tokens_per_second": done.tokens / seconds,
            "computed_tokens_per_second": done.computed / seconds,
            "supervised_tokens_per_second": done.supervised / seconds,
            "seconds_per_step": seconds / len(steady),
            "padding_share": done.padding / done.computed,
            "mfu": needed / seconds / matmul_rate,
            **({"hfu": (needed + again) / seconds / matmul_rate} if again else {}),
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
