"""The main job, from top to bottom: rows in, adapter and figures out."""

import math
import shutil
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from data.console import quiet
from data.errors import InputError, JobFailed
from data.files import read_jsonl, write_json, write_jsonl
from data.record import Record
from data.runs import point_latest, read_manifest
from finetune.adapter import keep_best
from finetune.config import Config
from finetune.device import Device, detect, precision
from finetune.length import Length, run_length
from finetune.manifest import make_manifest, refuse_mismatch
from finetune.rows import Prepared, describe_rows, prepare, read_rows
from finetune.runs import (
    adapter_digest,
    create_run,
    last_checkpoint,
)
from finetune.scoring import scorer


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
    splits = read_rows(config)
    checkpoint = last_checkpoint(resume) if resume else None
    run = resume or create_run(config.name, preset)
    try:
        with quiet(run / "log.txt") as console:
            return _train(config, run, splits, checkpoint, console)
    except InputError:
        if not resume and not (run / "manifest.json").exists():
            shutil.rmtree(run, ignore_errors=True)  # nothing was trained: leave no husk behind
            _repoint_latest(run)
        raise


def _train(
    config: Config, run: Path, splits: tuple[list[Record], list[Record]], checkpoint: Path | None, console: Console
) -> Path:
    from finetune.models import load, prepare_backend

    started = time.time()
    say = console.print
    device = detect()
    dtype, reason = precision(config.model.dtype, device)
    say(f"Run {run}\nDevice: {device.name}, {device.memory_gib:.0f} GiB; precision {dtype} ({reason})")
    prepare_backend(config, device)
    prepared = prepare(config, splits, say)
    length = run_length(config, prepared.train.examples)
    _tell(config, prepared, length, say)
    say(f"Loading {config.model.name} with {config.model.backend} …")
    loaded = load(config, prepared.folder, dtype, device)
    config.save(run / "config.yaml")
    manifest = make_manifest(config, device, loaded.attention, dtype, prepared, length)
    if checkpoint:
        refuse_mismatch(read_manifest(run), manifest)
    else:
        write_json(run / "manifest.json", manifest)
    trainer, interrupt, line = _trainer(config, run, prepared, loaded, device, length, console)
    handler = interrupt.install()
    try:
        _first_look(config, trainer, loaded, prepared, device, length, say)
        _resume(trainer, run, checkpoint, say)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        line.close()
        _restore(handler)
    if interrupt.asked:
        say(f"Stopped at step {trainer.state.global_step}, checkpoint saved. Go on with: RESUME=1 make train")
        say(f"  or: python -m finetune train --resume {run}")
        raise KeyboardInterrupt
    best = keep_best(config, run, trainer, prepared)
    _finish(run, manifest, trainer, device, best, time.time() - started)
    _summary(run, say)
    return run


def _tell(config: Config, prepared: Prepared, length: Length, say: Any) -> None:
    say(describe_rows("train", prepared.train, config.data.max_length))
    say(describe_rows("validation", prepared.validation, config.data.max_length))
    t = config.train
    share = length.supervised / length.tokens
    say(
        f"{length.steps} steps = {len(prepared.train.examples)} rows × {t.epochs:g} epochs / (micro-batch "
        f"{t.micro_batch} × accumulation {t.accumulation}); {length.tokens:,} tokens an epoch, {share:.0%} supervised"
    )


def _trainer(
    config: Config, run: Path, prepared: Prepared, loaded: Any, device: Device, length: Length, console: Console
) -> tuple[Any, Any, Any]:
    from transformers import EarlyStoppingCallback

    from finetune.callbacks import ProgressLine, Recorder, StopOnInterrupt
    from finetune.system import SystemMonitor
    from finetune.trainer import build_trainer

    rows = len(prepared.train.examples)
    recorder = Recorder(run, SystemMonitor(device), rows=rows, tensorboard=config.report.tensorboard)
    line, interrupt = ProgressLine(console), StopOnInterrupt(console)
    callbacks = [recorder, line, interrupt]
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
        scorer=scorer(config, loaded.dtype, device, prepared, prepared.scored, console.print),
        callbacks=callbacks,
    )
    return trainer, interrupt, line


def _first_look(
    config: Config, trainer: Any, loaded: Any, prepared: Prepared, device: Device, length: Length, say: Any
) -> None:
    """Before step 1: a step on the longest rows and an evaluation of a few, so that a failure shows in a minute."""
    from finetune.trainer import evaluate, probe

    started = time.perf_counter()
    say("Checking: one step on the longest rows, one evaluation …")
    seconds = probe(trainer, config, loaded, prepared.tokenizer, prepared.train.examples, device)
    longest = sorted(prepared.validation.examples, key=lambda e: -len(e.input_ids))[: config.eval.micro_batch]
    few = scorer(_brief(config), loaded.dtype, device, prepared, prepared.scored[:2], say)
    metrics = evaluate(trainer, config, prepared.tokenizer, longest, few)
    if not math.isfinite(metrics["eval_loss"]):
        raise JobFailed(f"eval_loss is {metrics['eval_loss']} before training", "try another model.dtype")
    say(f"  well, in {time.perf_counter() - started:.0f} s; eval_loss of the longest rows {metrics['eval_loss']:.3f}")
    minutes = seconds * config.train.accumulation * length.steps / 60
    say(f"  {length.steps} steps should take about {max(1, round(minutes))} min, evaluations apart")


def _brief(config: Config) -> Config:
    """The config with short generations: enough to see that generating works."""
    return config.model_copy(update={"eval": config.eval.model_copy(update={"max_new_tokens": 8})})


def _resume(trainer: Any, run: Path, checkpoint: Path | None, say: Any) -> None:
    if not checkpoint:
        return
    import json

    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    trainer.resumed_epoch = state["epoch"]
    for callback in trainer.callback_handler.callbacks:
        if type(callback).__name__ == "Recorder":
            callback.forget_after(state["global_step"])
    point_latest(run)
    say(f"Going on from step {state['global_step']}, epoch {state['epoch']:.2f}")


def _finish(run: Path, manifest: dict[str, Any], trainer: Any, device: Device, best: Path, seconds: float) -> None:
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
    for row in table:
        row["best"] = row["step"] == manifest["best"]["step"]
    write_jsonl(run / "epochs.jsonl", table)


def _summary(run: Path, say: Any) -> None:
    from finetune.table import epoch_table

    manifest = read_manifest(run)
    end = [row for _, row in read_jsonl(run / "metrics.jsonl") if "train_runtime" in row][-1]
    say(epoch_table([row for _, row in read_jsonl(run / "epochs.jsonl")]))
    say(
        f"Trained in {end['train_runtime'] / 60:.1f} min, {end['train_samples_per_second']} samples/s; "
        f"peak memory {manifest['peak_memory']['gpu_reserved_gib'] or manifest['peak_memory']['rss_gib']} GiB"
    )
    best = manifest["best"]
    say(f"Best: step {best['step']} ({best['metric']} {best['value']:.4f}), in {run / 'best'}")
    say("Next: make eval")


def _repoint_latest(run: Path) -> None:
    """After a run was taken away: `latest` names the newest that is left, or nothing."""
    left = sorted(run.parent.glob("*/manifest.json"), key=lambda p: p.stat().st_mtime)
    (run.parent / "latest").unlink(missing_ok=True)
    if left:
        point_latest(left[-1].parent)


def _restore(handler: Any) -> None:
    import signal

    signal.signal(signal.SIGINT, handler)
