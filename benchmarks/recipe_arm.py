"""One arm of `benchmarks recipe` in a process of its own: train, stop the clock to evaluate, tell each step.

Run as `python -m benchmarks.recipe_arm TASK EVENTS`: a JSON file that says what to do, and a JSON Lines file to which
it is told what happened, line by line, so that a process that dies leaves what it measured.
"""

import hashlib
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.worker import refuse_unsloth, start_alike
from data.load import evenly_spaced
from data.render import IGNORED, Example
from eval.shortage import is_shortage
from finetune.length import Length, run_length
from finetune.rows import Prepared
from finetune.shortage import OutOfMemory, phase
from tooltune.config import Config
from tooltune.errors import InputError, JobFailed
from tooltune.files import dump_json, write_json

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Task:
    """What one arm has to do.

    Attributes:
        config: a whole `Config`, as JSON values.
        target: stop at the first evaluation whose loss is not above it (nats a supervised token); None: no target.
        budget: stop after so many samples; None: no limit.
        every: evaluate each time so many samples have been trained on.
        cap: stop when the clock shows so many seconds, whatever was reached.
        validation_rows: how many validation rows are evaluated, spread evenly over the split.
        leave_out: ids of rows that another arm could not take.
        validation_ids: the rows to evaluate, where another arm has chosen them.
        answers: the supervised tokens that another arm has found in the rows, as `_supervised` gives them.
    """

    config: dict[str, Any]
    target: float | None
    budget: int | None
    every: int
    cap: float
    validation_rows: int
    leave_out: tuple[str, ...] = ()
    validation_ids: tuple[str, ...] | None = None
    answers: dict[str, Any] | None = None

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))


def read_task(path: Path) -> Task:
    return Task(**json.loads(path.read_text(encoding="utf-8")))


def run_arm(task: Task, emit: Emit) -> None:
    """Load, train and evaluate until the target, the budget, the cap or the last row; every event goes to `emit`.

    Raises:
        InputError: the config, the rows or the model are wrong.
        JobFailed: the answers are not those of the other arm, or training could not go on; `OutOfMemory` when memory
            ran out.
    """
    from finetune.device import detect, family_of, precision
    from finetune.models import load, prepare_backend
    from finetune.packing import make_packing
    from tooltune.pretrained import resolve

    started = time.perf_counter()
    config = Config.model_validate(task.config)
    device = detect()
    family = family_of(resolve(config.model.name, lambda _: None))
    dtype, _ = precision(config.model.dtype, device, config.model.backend, family)
    prepare_backend(config, device)

    # They import transformers, which Unsloth must precede.
    from finetune.first_look import probe
    from finetune.trainer import TrainingJob, build_trainer

    prepared = _rows(task, config)
    train, validation = prepared.train.examples, prepared.validation.examples
    packing = make_packing(config, device, dtype, family, train)
    length = run_length(config, train, packing)
    rows = _describe(prepared, length)
    emit(rows)
    if task.answers not in (None, rows["supervised"]):
        raise JobFailed(f"the arms' answers are not the same tokens: {rows['supervised']}, {task.answers}")
    with phase("load"):
        loaded = load(config, prepared.folder, dtype, device)
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(
            TrainingJob(config, device, loaded, prepared.tokenizer, train, validation, packing),
            output_dir=folder,
            warmup_steps=length.warmup_steps,
            callbacks=[],
            trl=config.model.backend == "unsloth",  # plain: transformers' own Trainer, on a GPU too
        )
        start_alike(trainer.model, config.train.seed)
        _only_train(trainer)
        emit({"event": "loaded", "seconds": round(time.perf_counter() - started, 2)})
        started = time.perf_counter()
        with phase("probe"):
            probe(trainer)
        emit({"event": "warmed up", "seconds": round(time.perf_counter() - started, 2)})
        trainer.add_callback(
            _clock(
                task,
                emit,
                lambda: trainer.evaluate_rows(validation, None)["eval_loss"],
                lambda step: _samples(step, length.steps_per_epoch, len(train), config),
                device,
            )
        )
        trainer.train()
    refuse_unsloth(config)


def _samples(step: int, steps_per_epoch: int, rows: int, config: Config) -> int:
    """Rows trained on after so many optimizer steps; an epoch's last step may be short."""
    epochs, rest = divmod(step, steps_per_epoch)
    return epochs * rows + min(rest * config.train.micro_batch * config.train.accumulation, rows)


def _clock(task: Task, emit: Emit, evaluate: Callable[[], float], samples_at: Callable[[int], int], device: Any) -> Any:
    """The callback that measures: its clock runs from the first step on and stands still while it evaluates."""
    import torch
    from transformers import TrainerCallback

    from finetune.system import peak_memory

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.started = 0.0  # moved on by the length of each evaluation
            self.evaluated_at = 0  # samples

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._look(0.0, 0)
            self.started = time.perf_counter()

        def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            emit({"event": "clock", "seconds": round(time.perf_counter() - self.started, 3)})

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if device.kind == "cuda":
                torch.cuda.synchronize()
            stopped = time.perf_counter()
            seconds, samples = stopped - self.started, samples_at(state.global_step)
            emit({"event": "trained", "seconds": round(seconds, 3), "samples": samples} | peak())
            spent = seconds >= task.cap or (task.budget is not None and samples >= task.budget)
            due = samples // task.every > self.evaluated_at // task.every
            if spent or due or state.global_step == state.max_steps:
                loss = self._look(seconds, samples)
                if spent or (task.target is not None and loss <= task.target):
                    control.should_training_stop = True
                self.started += time.perf_counter() - stopped

        def _look(self, seconds: float, samples: int) -> float:
            loss = evaluate()
            if not math.isfinite(loss):
                raise JobFailed(f"the validation loss is {loss} after {samples} samples", "lower train.learning_rate")
            emit({"event": "evaluated", "seconds": round(seconds, 3), "samples": samples, "loss": loss})
            self.evaluated_at = samples
            return loss

    def peak() -> dict[str, Any]:
        figures = peak_memory(device)
        return {"peak_memory_gib": figures["gpu_reserved_gib" if device.kind == "cuda" else "rss_gib"]}

    return Clock()


def _rows(task: Task, config: Config) -> Prepared:
    """The rows as this arm renders them; those that are evaluated are cut down to the task's."""
    from finetune.rows import prepare, read_rows

    splits = tuple([r for r in rows if r.id not in task.leave_out] for rows in read_rows(config))
    prepared = prepare(config, (splits[0], splits[1]), print)
    if task.validation_ids is None:
        prepared.validation.examples = evenly_spaced(prepared.validation.examples, task.validation_rows)
    else:
        by_id = {e.id: e for e in prepared.validation.examples}
        prepared.validation.examples = [by_id[row] for row in task.validation_ids]
    return prepared


def _describe(prepared: Prepared, length: Length) -> dict[str, Any]:
    train, validation = prepared.train.examples, prepared.validation.examples
    return {
        "event": "rows",
        "train": len(train),
        "tokens_per_sample": round(length.tokens / len(train), 1),
        "computed_per_sample": round(length.computed / len(train), 1),
        "dropped": [row for rendered in (prepared.train, prepared.validation) for row, _ in rendered.dropped],
        "validation_ids": [e.id for e in validation],
        "supervised": {"train": _supervised(train), "validation": _supervised(validation)},
    }


def _supervised(examples: Sequence[Example]) -> dict[str, Any]:
    """How many tokens carry loss, and a digest of which they are, row by row in the order of the ids."""
    answers = {e.id: [label for label in e.labels if label != IGNORED] for e in examples}
    digest = hashlib.sha256(dump_json(sorted(answers.items())).encode()).hexdigest()
    return {"tokens": sum(len(a) for a in answers.values()), "sha256": digest}


def _only_train(trainer: Any) -> None:
    """Neither evaluate nor save while the clock runs."""
    from transformers.trainer_utils import IntervalStrategy, SaveStrategy

    trainer.args.eval_strategy = IntervalStrategy.NO
    trainer.args.save_strategy = SaveStrategy.NO
    trainer.args.load_best_model_at_end = False


def main(task_file: str, events: str) -> int:
    """Run the task; how it ended is the last event. The exit code is 0 when the arm ended well."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with Path(events).open("a", encoding="utf-8", buffering=1) as out:

        def emit(event: dict[str, Any]) -> None:
            out.write(dump_json(event) + "\n")

        try:
            run_arm(read_task(Path(task_file)), emit)
        except Exception as e:
            short = isinstance(e, OutOfMemory) or is_shortage(e)
            reason = str(e) if isinstance(e, InputError | JobFailed) else f"{type(e).__name__}: {e}"
            emit({"event": "ended", "status": "out of memory" if short else "failed", "reason": reason})
            raise
        emit({"event": "ended", "status": "ok", "reason": None})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
