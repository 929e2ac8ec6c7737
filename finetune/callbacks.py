"""What happens beside the training loop: recording, the progress line, and a clean stop on Ctrl-C."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import TrainerCallback

from finetune.checkpoints import see_that_it_is_there
from finetune.device import GIB, Device, hand_back_freed_memory
from finetune.diagnose import verdict
from finetune.interrupts import Interrupts
from finetune.memory.overheads import CONTEXT
from finetune.rate import Meter
from finetune.system import SystemMonitor
from finetune.together import summed
from finetune.trackers import Tracker, named
from finetune.words import phrase
from tooltune.console import progress
from tooltune.cuda import lends_main_memory
from tooltune.errors import JobFailed
from tooltune.files import append_jsonl, read_jsonl, write_jsonl
from tooltune.metrics import BY_KIND, HEADLINE, METRICS
from tooltune.words import Language

TOOL_METRICS = tuple(metric.key for metric in HEADLINE)
NOTED = ("tool_name_accuracy", "json_validity", *BY_KIND)
"""What the line of an evaluation says besides its loss."""


class Recorder(TrainerCallback):
    """Every logged event to `metrics.jsonl` and the trackers; every evaluation to `epochs.jsonl`.

    Args:
        meter: gives each training event its tokens a second and MFU; the callbacks after this one see them too.
    """

    def __init__(
        self, folder: Path, monitor: SystemMonitor, trackers: Sequence[Tracker], meter: Meter | None = None
    ) -> None:
        self.events = folder / "metrics.jsonl"
        self.epochs = folder / "epochs.jsonl"
        self.monitor, self.trackers, self.meter = monitor, trackers, meter
        self.step_started = 0.0
        self.busy = 0.0  # seconds inside steps since the last training log
        self.logged_at = 0

    def forget_after(self, step: int, *, evaluated: bool) -> None:
        """Drop what an interrupted run recorded after the checkpoint that is resumed.

        Args:
            evaluated: whether the checkpoint knows of an evaluation at `step`; if not, it will be made again.
        """

        def known(row: dict[str, Any]) -> bool:
            if "eval_loss" in row and row["step"] == step:
                return evaluated
            return row["step"] <= step and "train_runtime" not in row

        for path in (self.events, self.epochs):
            if path.exists():
                write_jsonl(path, [row for _, row in read_jsonl(path, torn=print) if known(row)])
        self.logged_at = step

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.meter:
            self.meter.tally.reset()  # the steps that were made to check were no training

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.step_started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.busy += time.perf_counter() - self.step_started

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
        if self.meter and "loss" in logs:
            logs.update(self.meter.read(self.busy))
        see_that_it_is_there(self.events.parent)
        event = {"step": state.global_step, **logs}
        if "loss" in logs:
            batch = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
            if self.busy:  # a step that failed is logged without having ended
                event["samples_per_second"] = round((state.global_step - self.logged_at) * batch / self.busy, 3)
            self.busy, self.logged_at = 0.0, state.global_step
            event |= self.monitor.read()
        if "train_runtime" in logs:
            event["global_step"] = state.global_step
        append_jsonl(self.events, {k: _json_number(v) for k, v in event.items()})
        for tracker in self.trackers:
            tracker.log(named(event), state.global_step)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, Any], **kwargs: Any) -> None:
        if not math.isfinite(metrics["eval_loss"]):
            raise JobFailed(f"eval_loss is {metrics['eval_loss']} at step {state.global_step}", "lower the rate")
        if state.global_step == 0:
            return
        table = [row for _, row in read_jsonl(self.epochs)] if self.epochs.exists() else []
        since = table[-1]["step"] if table else 0
        row = {
            "epoch": round(state.epoch, 2),
            "step": state.global_step,
            "train_loss": mean_loss(state.log_history, since),
            **{
                k.removeprefix("eval_") if k.removeprefix("eval_") in TOOL_METRICS else k: v for k, v in metrics.items()
            },
        }
        row["verdict"] = verdict([*table, row])
        write_jsonl(self.epochs, [*table, row])

    def close(self) -> None:
        """Let the trackers write out what is left, however the run ended."""
        for tracker in self.trackers:
            tracker.close()


def mean_loss(log_history: list[dict[str, Any]], since: int = 0) -> float | None:
    """The mean training loss of the steps after `since`: each logged value is the mean of the steps it covers."""
    total, steps, last = 0.0, 0, 0
    for event in log_history:
        if "loss" in event:
            width = event["step"] - last
            last = event["step"]
            if last > since:
                width = min(width, last - since)
                total, steps = total + event["loss"] * width, steps + width
    return total / steps if steps else None


class SpillWarning(TrainerCallback):
    """Says once when the driver begins to lend main memory to the card, as it does on Windows and under WSL.

    Nothing fails then: training goes on, 10 to 100 times slower. The run began with a tenth of the card's free memory
    left over (`eval.backend.bound_card`), so a full card means that another program has taken that since. The signs:
    nothing is free any more, or torch holds more than others left it when the run began.
    """

    FULL = 0.99

    def __init__(self, console: Console, device: Device, lang: Language = "en") -> None:
        self.console, self.device, self.lang = console, device, lang
        self.done = device.kind != "cuda" or not lends_main_memory()
        self.others: float | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.done:
            return
        import torch

        free, total = torch.cuda.mem_get_info()
        held = torch.cuda.memory_reserved() + CONTEXT
        if self.others is None:
            self.others = max(0, total - free - held)
        used = max(total - free, held + self.others)
        if used > self.FULL * total:
            self.done = True
            full = phrase("card.full", held=held / GIB, total=total / GIB, others=(used - held) / GIB)
            self.console.print(full.text(self.lang))


class HandBack(TrainerCallback):
    """On a CPU: hands freed memory back when the process has grown by `GROWTH` since its first steps.

    Kept memory makes steps fast (`device.keep_freed_memory`), but with lengths that differ from step to step it grew
    from 5 to 10 GiB in 250 steps. Where so much is really in use, the mark moves up.
    """

    GROWTH = 2 * GIB

    def __init__(self) -> None:
        import psutil

        self.process = psutil.Process()
        self.mark: int | None = None
        self.handed_back = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        held = self.process.memory_info().rss
        if self.mark is None or (self.handed_back and held > self.mark + self.GROWTH):
            self.mark = held
        self.handed_back = held > self.mark + self.GROWTH
        if self.handed_back:
            hand_back_freed_memory()


class PageWriter(TrainerCallback):
    """The report page after each evaluation, so that a run can be watched."""

    def __init__(self, write: Callable[[], None]) -> None:
        self.write = write

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step:
            self.write()


class TakeUp(TrainerCallback):
    """A resumed run first gets back what its checkpoint has, and makes the evaluation that it did not live to see."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], None]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        for step in self.steps:
            step()


class ProgressLine(TrainerCallback):
    """A bar with ETA in a terminal; one line each logging step elsewhere; one line an evaluation."""

    def __init__(self, console: Console, lang: Language = "en") -> None:
        self.console, self.lang = console, lang
        self.bar = progress(console)
        self.task: Any = None
        self.started, self.first_step = 0.0, 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.task = self.bar.add_task("training", total=state.max_steps, completed=state.global_step, note="")
        self.bar.start()
        self.started, self.first_step = time.perf_counter(), state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.update(self.task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
        if "skipped" in logs:
            rows = ", ".join(logs["rows"])
            said = phrase("run.skipped", step=logs["step"], why=logs["skipped"], rows=rows)
            self.console.print(said.text(self.lang), markup=False)
        if "learning_rate" not in logs or self.task is None:
            return
        note = f"loss {logs['loss']:.3f}"
        share = f"  MFU {logs['mfu']:.0%}" if "mfu" in logs else ""
        self.bar.update(self.task, note=note + share)
        if not self.console.is_terminal:
            done = state.global_step - self.first_step
            left = (time.perf_counter() - self.started) / done * (state.max_steps - state.global_step)
            pace = phrase("progress.pace", tokens=logs["tokens_per_second"]).text(self.lang) + share if share else ""
            said = phrase(
                "progress",
                step=state.global_step,
                steps=state.max_steps,
                epoch=state.epoch,
                note=note,
                norm=logs["grad_norm"],
                rate=logs["learning_rate"],
                pace=pace,
                minutes=left / 60,
            )
            self.console.print(said.text(self.lang))

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, Any], **kwargs: Any) -> None:
        if state.global_step == 0:
            return
        rates = {METRICS[key].column(self.lang): metrics.get(f"eval_{key}") for key in NOTED}
        parts = [
            f"eval_loss {metrics['eval_loss']:.4f}",
            *(f"{label} {rate:.0%}" for label, rate in rates.items() if rate is not None),
        ]
        said = phrase("evaluation", step=state.global_step, epoch=state.epoch, figures=", ".join(parts))
        self.console.print(said.text(self.lang))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar off the terminal; safe to call twice."""
        self.bar.stop()


class StopOnInterrupt(TrainerCallback):
    """After Ctrl-C the step that is being made is the last: a checkpoint is saved, and training stops."""

    def __init__(self, interrupts: Interrupts) -> None:
        self.interrupts = interrupts

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.interrupts.pressed = bool(summed([float(self.interrupts.pressed)])[0])  # all stop at the same step
        if self.interrupts.pressed:
            control.should_save = control.should_training_stop = True
            control.should_evaluate = False

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.interrupts.pressed:  # the trainer would evaluate what it takes for a finished epoch
            control.should_evaluate = control.should_save = False


def _json_number(value: Any) -> Any:
    """JSON has no NaN: it is written as text, so that a log of a broken run is still readable."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
