"""The main job, from top to bottom: rows in, adapter and figures out."""

import json
import math
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from data.record import Record
from eval.shortage import release
from finetune.adapter import keep_best
from finetune.device import GIB, Device, detect, family_of, precision
from finetune.diagnose import verdicts
from finetune.generation_metrics import scorer
from finetune.length import Length, run_length
from finetune.manifest import make_manifest, refuse_mismatch
from finetune.packing import Packing, make_packing, shares_prefixes
from finetune.rows import Prepared, describe_rows, prepare, read_rows
from finetune.runs import adapter_digest, create_run, hold, last_checkpoint
from finetune.shortage import OutOfMemory, describe, next_change, phase
from finetune.summary import tell, write_pages
from finetune.trackers import check_trackers
from tooltune.config import Config
from tooltune.console import quiet
from tooltune.cuda import prepare_process
from tooltune.errors import InputError, JobFailed
from tooltune.files import read_jsonl, write_json, write_jsonl
from tooltune.pretrained import resolve
from tooltune.run import point_latest, read_manifest


@dataclass
class Job:
    """One run's work, through as many attempts as its memory takes.

    Attributes:
        recoveries: what was changed after each shortage of memory, as it stands in the manifest.
        begun: whether it came to the first step; before that there is nothing to keep.
        stopped: whether Ctrl-C was pressed before that; libraries that are being imported may swallow it.
        longest: tokens of the longest training row; 0 until rows are rendered.
    """

    config: Config
    run: Path
    splits: tuple[list[Record], list[Record]]
    console: Console
    recoveries: list[dict[str, Any]] = field(default_factory=list)
    begun: bool = False
    stopped: bool = False
    longest: int = 0

    def interrupt(self, number: int, frame: Any) -> None:
        """The handler of Ctrl-C until the first step."""
        self.stopped = True
        raise KeyboardInterrupt

    def heed(self) -> None:
        """Stop now if Ctrl-C was pressed and swallowed."""
        if self.stopped:
            raise KeyboardInterrupt

    def say(self, line: Any) -> None:
        """Print to the terminal, past the libraries' noise."""
        self.console.print(line)


def train(config: Config, preset: str, *, resume: Path | None = None) -> Path:
    """Run a whole fine-tuning and return its folder.

    Args:
        preset: names the folder when the config does not.
        resume: a run folder to go on with, from its last checkpoint.

    Raises:
        InputError: rows, config or model are wrong. Nothing is left behind.
        JobFailed: training could not go on; checkpoints and figures up to then stay.
        KeyboardInterrupt: stopped by the user, with a checkpoint.
    """
    prepare_process()
    check_trackers(config.report)
    splits = read_rows(config)
    resolve(config.model.name, print)  # here a download shows its bar; later the libraries' noise is kept away
    run = resume or create_run(config.name, preset)
    begun = False
    try:
        with hold(run), quiet(run / "log.txt") as console:
            job = Job(config, run, splits, console)
            before = signal.signal(signal.SIGINT, job.interrupt)
            try:
                if resume and (run / "manifest.json").is_file():
                    job.recoveries = read_manifest(run)["recoveries"]
                return _until_done(job)
            except KeyboardInterrupt:
                if not job.begun:
                    job.say(
                        "Stopped before the first step; " + ("nothing was changed" if resume else "nothing was trained")
                    )
                raise
            finally:
                signal.signal(signal.SIGINT, before)
                begun = job.begun
    except (InputError, KeyboardInterrupt):
        if not (resume or begun):
            shutil.rmtree(run, ignore_errors=True)  # leave no husk behind
        raise


def _until_done(job: Job) -> Path:
    """Attempt the run; when memory runs out, change one setting and go on from the last finished step."""
    while True:
        try:
            return _attempt(job, last_checkpoint(job.run))
        except OutOfMemory as e:
            if len(job.recoveries) >= job.config.memory.recoveries:
                raise
            where, said = e.phase, str(e)
        release()  # here the error is gone, and with it the frames that held the model
        job.config = _recover(job, where, said)


def _recover(job: Job, where: str, said: str) -> Config:
    """Decide on the next change, say it, and put it into the manifest and the config file.

    Raises:
        JobFailed: nothing is left that could be changed.
    """
    from transformers import AutoConfig

    whole = AutoConfig.from_pretrained(resolve(job.config.model.name, job.say), local_files_only=True)
    shape, device, model = whole.get_text_config(), detect(), job.config.model
    dtype, _ = precision(model.dtype, device, model.backend, whole.model_type)
    change = next_change(
        job.config,
        where,
        gpu=device.kind == "cuda",
        packed=shares_prefixes(job.config, device, dtype, whole.model_type),
        tied=bool(shape.tie_word_embeddings),
        layers=shape.num_hidden_layers,
        longest=job.longest,
    )
    if change is None:
        less = "a smaller model" if where == "load" else "a shorter data.max_length or a smaller model"
        raise JobFailed(said, f"every measure is taken already: {less} needs less")
    text = describe(job.config, change)
    job.say(f"Out of memory ({where}). Going on from the last finished step with {text}; the effective batch stays.")
    checkpoint = last_checkpoint(job.run)
    step = int(checkpoint.name.rsplit("-", 1)[1]) if checkpoint else 0
    job.recoveries.append({"step": step, "phase": where, "change": change, "said": said})
    return job.config.changed(change)


def _attempt(job: Job, checkpoint: Path | None) -> Path:
    from finetune.models import load, prepare_backend
    from finetune.rate import make_meter, measure_ceiling

    config, run, say = job.config, job.run, job.say
    started = time.time()
    device = detect()
    family = family_of(resolve(config.model.name, say))
    dtype, reason = precision(config.model.dtype, device, config.model.backend, family)
    say(f"Run {run}\nDevice: {device.name}, {device.memory_gib:.0f} GiB; precision {dtype} ({reason})")
    if config.memory.budget_gb and device.kind == "cpu":
        say("memory.budget_gb has no effect on a processor: it bounds a card's memory")
    elif config.memory.budget_gb:
        say(f"Budget: {config.memory.budget_gb:g} GiB of the card (emulated; its speed is not that of a smaller card)")
    prepare_backend(config, device)
    job.heed()
    prepared = prepare(config, job.splits, say)
    packing = make_packing(config, device, dtype, family, prepared.train.examples)
    length = run_length(config, prepared.train.examples, packing)
    job.longest = length.longest
    _tell(config, prepared, length, say)
    manifest = make_manifest(config, device, dtype, prepared, length)
    _tell_plan(manifest["planned_memory"], config.memory.budget_gb, say)
    say(f"Loading {config.model.name} with {config.model.backend} …")
    with phase("load"):
        ceiling = measure_ceiling(config, prepared.folder, dtype, device)
        loaded = load(config, prepared.folder, dtype, device, say)
    job.heed()
    meter = make_meter(config, loaded.model, ceiling)
    _write_down(job, manifest | {"attention": loaded.attention} | meter.facts, prepared, packing, checkpoint)
    trainer, watch = _trainer(job, prepared, loaded, device, length, packing, meter)
    before = signal.getsignal(signal.SIGINT)
    try:
        _first_look(config, trainer, loaded, prepared, device, length, say)
        _resume(job, trainer, watch, length, checkpoint)
        watch.interrupt.install()
        job.heed()
        job.begun = True
        point_latest(run)
        _run(trainer, checkpoint)
    finally:
        watch.line.close()
        watch.recorder.close()
        signal.signal(signal.SIGINT, before)
    if watch.interrupt.asked:
        say(f"Stopped at step {trainer.state.global_step}, checkpoint saved. Go on with: RESUME=1 make train")
        say(f"  or: python -m finetune train --resume {run}")
        raise KeyboardInterrupt
    best = keep_best(config, run, trainer, prepared)
    _finish(run, trainer, device, best, time.time() - started)
    write_pages(run, say, pictures=True)
    tell(run, job.console)
    return run


def _write_down(
    job: Job, manifest: dict[str, Any], prepared: Prepared, packing: Packing | None, checkpoint: Path | None
) -> None:
    """The run's recipe, environment and rows; a resumed run must match what stands there."""
    if checkpoint:
        before = read_manifest(job.run)
        refuse_mismatch(before, manifest)
        manifest = before | {key: manifest[key] for key in ("planned_memory", "matmul_gflops", "matmul_dtype")}
    job.config.save(job.run / "config.yaml")
    write_json(job.run / "manifest.json", manifest | {"recoveries": job.recoveries})
    rows: list[dict[str, Any]] = [{"id": e.id, "tokens": len(e.input_ids)} for e in prepared.train.examples]
    for row, family in zip(rows, packing.families if packing else [], strict=False):
        row["family"] = family
    write_json(job.run / "rows.json", rows)


def _run(trainer: Any, checkpoint: Path | None) -> None:
    """Train; when memory runs out inside a step, keep the last finished one before the model is given up."""
    try:
        with phase("optimizer"):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except OutOfMemory as e:
        # An optimizer that stopped halfway has changed some weights: only older checkpoints are whole then.
        if e.phase == "step" and trainer.state.global_step:
            trainer.model.zero_grad(set_to_none=True)
            trainer.save_now()
        raise


def _tell(config: Config, prepared: Prepared, length: Length, say: Any) -> None:
    say(describe_rows("train", prepared.train, config.data.max_length))
    say(describe_rows("validation", prepared.validation, config.data.max_length))
    t = config.train
    share = length.supervised / length.tokens
    rows = f"{len(prepared.train.examples)} rows"
    batch = f"(micro-batch {t.micro_batch} × accumulation {t.accumulation})"
    if t.max_steps:
        steps = f"{length.steps} steps (train.max_steps), an epoch being {length.steps_per_epoch} = {rows} / {batch}"
    else:
        steps = f"{length.steps} steps = {rows} × {t.epochs:g} epochs / {batch}"
    say(f"{steps}; {length.tokens:,} tokens an epoch, {share:.0%} supervised")
    if length.computed < length.tokens:
        fewer = length.tokens / length.computed
        say(
            f"What rows begin with alike is read once: {length.computed:,} tokens are computed, {fewer:.1f} times fewer"
        )


def _tell_plan(plan: dict[str, Any] | None, budget_gib: float | None, say: Any) -> None:
    """What the plan expects of a GPU, and a warning where less is free than should be."""
    if plan is None:  # of a processor
        return
    from finetune.memory.installed_card import find_card

    card = find_card()
    if card is None:
        return
    free = min(card.free / GIB, budget_gib or math.inf)
    say(f"Memory: {plan['expected_gib']:.1f} GiB expected at the peak ({plan['peak_phase']}), {free:.1f} GiB are free")
    if free < plan["gate_gib"]:
        say(
            f"  Tight: {plan['gate_gib']:.1f} GiB should be free. Close other programs that use the card, or see "
            "`make plan`; if memory runs out, the run changes a setting and goes on"
        )


@dataclass
class Watch:
    """The callbacks that the run itself speaks to."""

    recorder: Any
    line: Any
    interrupt: Any
    late: Any


def _trainer(
    job: Job, prepared: Prepared, loaded: Any, device: Device, length: Length, packing: Packing | None, meter: Any
) -> tuple[Any, Watch]:
    from transformers import EarlyStoppingCallback

    from finetune.callbacks import (
        HandBack,
        LateEvaluation,
        PageWriter,
        ProgressLine,
        Recorder,
        SpillWarning,
        StopOnInterrupt,
    )
    from finetune.system import SystemMonitor
    from finetune.trackers import open_trackers
    from finetune.trainer import build_trainer

    config, run = job.config, job.run
    watch = Watch(
        Recorder(run, SystemMonitor(device), open_trackers(config, run), meter),
        ProgressLine(job.console),
        StopOnInterrupt(job.console),
        LateEvaluation(),
    )
    pages = PageWriter(lambda: write_pages(run, job.say))
    callbacks = [watch.recorder, pages, SpillWarning(job.console, device), watch.line, watch.interrupt, watch.late]
    if device.kind == "cpu":
        callbacks.append(HandBack())
    if config.eval.early_stopping_patience:
        callbacks.append(EarlyStoppingCallback(config.eval.early_stopping_patience))
    trainer = build_trainer(
        config,
        loaded,
        prepared.tokenizer,
        prepared.train.examples,
        prepared.validation.examples,
        device=device,
        output_dir=str(run / "checkpoints"),
        warmup_steps=length.warmup_steps,
        scorer=scorer(config, loaded.dtype, device, prepared, prepared.scored, job.say),
        callbacks=callbacks,
        packing=packing,
        tally=meter.tally,
    )
    return trainer, watch


def _first_look(
    config: Config, trainer: Any, loaded: Any, prepared: Prepared, device: Device, length: Length, say: Any
) -> None:
    """Before step 1: a step on the longest rows and an evaluation of a few, so that a failure shows in a minute."""
    from finetune.trainer import evaluate, evaluated_at_once, probe

    started = time.perf_counter()
    say("Checking: one step on the longest rows, one evaluation …")
    with phase("probe"):
        seconds = probe(trainer, config, loaded, prepared.train.examples, device)
    longest = sorted(prepared.validation.examples, key=lambda e: -len(e.input_ids))
    longest = longest[: evaluated_at_once(trainer, config)]
    brief = config.changed({"eval.max_new_tokens": 8})  # enough to see that generating works
    few = scorer(brief, loaded.dtype, device, prepared, prepared.scored[:2], say)
    metrics = evaluate(trainer, config, longest, few)
    if not math.isfinite(metrics["eval_loss"]):
        raise JobFailed(f"eval_loss is {metrics['eval_loss']} before training", "try another model.dtype")
    say(f"  fine, in {time.perf_counter() - started:.0f} s; eval_loss of the longest rows {metrics['eval_loss']:.3f}")
    minutes = seconds * trainer.args.gradient_accumulation_steps * length.steps / 60
    say(f"  {length.steps} steps should take about {max(1, round(minutes))} min, evaluations apart")


def _resume(job: Job, trainer: Any, watch: Watch, length: Length, checkpoint: Path | None) -> None:
    if not checkpoint:
        watch.recorder.forget_after(0, evaluated=False)
        return
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    step = state["global_step"]
    evaluated = any(event["step"] == step and "eval_loss" in event for event in state["log_history"])
    trainer.resumed_epoch = state["epoch"]
    watch.recorder.forget_after(step, evaluated=evaluated)
    if not evaluated and _is_evaluation_step(job.config, length, step):
        watch.late.owed = lambda: trainer.evaluate_late(str(checkpoint))
    job.say(f"Going on from step {step}, epoch {state['epoch']:.2f}")


def _is_evaluation_step(config: Config, length: Length, step: int) -> bool:
    if config.eval.every == "epoch":
        return step % length.steps_per_epoch == 0 or step == length.steps
    return step % config.eval.every == 0


def _finish(run: Path, trainer: Any, device: Device, best: Path, seconds: float) -> None:
    from finetune.system import peak_memory

    manifest = read_manifest(run) | {
        "best": {
            "step": int(best.name.rsplit("-", 1)[1]),
            "metric": trainer.args.metric_for_best_model,
            "value": trainer.state.best_metric,
            "sha256": adapter_digest(run / "best"),
        },
        "peak_memory": peak_memory(device),
        "wall_seconds": round(seconds, 1),
    }
    write_json(run / "manifest.json", manifest)
    table = [row for _, row in read_jsonl(run / "epochs.jsonl")]
    for row, word in zip(table, verdicts(table), strict=True):
        row |= {"verdict": word, "best": row["step"] == manifest["best"]["step"]}
    write_jsonl(run / "epochs.jsonl", table)
