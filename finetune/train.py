"""The main job, from top to bottom: rows in, adapter and figures out."""

import json
import math
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.domain import load_domain
from data.stored import lengths_of
from finetune.adapter import keep_best
from finetune.checkpoints import last_checkpoint, remove_after, step_of
from finetune.device import GIB, Device, detect, family_of, precision
from finetune.diagnose import verdicts
from finetune.generation_metrics import scorer
from finetune.length import Length, run_length
from finetune.manifest import changes, make_manifest, refuse
from finetune.packing import Packing, make_packing
from finetune.rows import Prepared, Splits, describe_rows, prepare, read_rows
from finetune.run_session import RunSession, open_session
from finetune.runs import adapter_digest
from finetune.shortage import freed_on_shortage, phase, recover
from finetune.summary import tell, write_pages
from finetune.together import joined, of_first, refuse_unsupported, wait
from finetune.trackers import check_trackers
from finetune.words import phrase
from tooltune.config import Config
from tooltune.console import ticking
from tooltune.cuda import prepare_process
from tooltune.files import read_jsonl, write_json, write_jsonl
from tooltune.launch import is_first
from tooltune.pretrained import resolve
from tooltune.run import Manifest, PlannedMemory, point_latest, read_manifest
from tooltune.words import Language

MEASURED_ANEW = ("planned_memory", "matmul_gflops", "matmul_dtype")
"""Fields of the manifest that are of the process that goes on with a run."""


def train(
    config: Config, preset: str, *, resume: Path | None = None, force: bool = False, lang: Language = "en"
) -> Path:
    """Run a whole fine-tuning and return its folder.

    Args:
        preset: names the folder when the config does not.
        resume: a run folder to go on with, from its last whole checkpoint; a run of the config's name that was cut
            off is gone on with unasked.
        force: go on even if something has changed that the run depends on; the manifest records it.
        lang: what the run says in the terminal is in this language.

    Raises:
        InputError: rows, config or model are wrong, or not those of the run so far. Nothing is left behind.
        JobFailed: training could not go on; checkpoints and figures up to then stay.
        KeyboardInterrupt: stopped by the user, with a checkpoint.
    """
    refuse_unsupported(config)
    prepare_process()
    check_trackers(config.report)
    load_domain(config.data.domain)  # only an evaluation uses it; a wrong name is told before the run
    records = read_rows(config, lang)
    resolve(config.model.name, print)  # here a download shows its bar; later the libraries' noise is kept away
    with joined(), open_session(config, preset, resume, force=force, lang=lang) as session:
        return recover(session, lambda: fine_tune(session, records))


def fine_tune(session: RunSession, records: Splits) -> Path:
    """One attempt at a run, from its last checkpoint if there is one, to its last page; returns its folder."""
    started, checkpoint = time.monotonic(), of_first(lambda: last_checkpoint(session.folder, session.say))
    machine = _start(session)
    rows = _render(session, records, machine)
    manifest = make_manifest(session.config, machine.device, machine.dtype, rows.prepared, rows.length)
    _see_that_it_is_the_same(session, manifest, checkpoint)
    _tell_plan(session, manifest["planned_memory"])
    loaded, meter = _load(session, rows, machine)
    _write_down(session, manifest | {"attention": loaded.attention} | meter.facts, rows, checkpoint)
    with freed_on_shortage(loaded.model):
        trainer, callbacks = _build(session, rows, machine, loaded, meter)
        with closing(callbacks.progress), closing(callbacks.recorder):
            _try_out(session, trainer, rows)
            _go_back_to(checkpoint, session, trainer, callbacks, rows.length)
            _fit(session, trainer, checkpoint)
        if not is_first():
            return session.folder
        best = keep_best(session.config, session.folder, trainer, rows.prepared)
    _finish(session, trainer, best, time.monotonic() - started)
    return session.folder


@dataclass(frozen=True)
class Machine:
    """What a run computes on, and the precision of its model there.

    Attributes:
        dtype: of the activations.
        model_type: transformers'.
    """

    device: Device
    dtype: str
    model_type: str


@dataclass(frozen=True)
class RunRows:
    """A run's rendered rows, how they are packed, and how many steps they make."""

    prepared: Prepared
    packing: Packing | None
    length: Length


@dataclass(frozen=True)
class RunCallbacks:
    """The callbacks that the run itself speaks to."""

    recorder: Any
    progress: Any
    take_up: Any


def _start(session: RunSession) -> Machine:
    """Look at the machine, choose the precision, and set the process up for the backend."""
    from finetune.models import prepare_backend

    config, say, device = session.config, session.say, detect()
    model_type = family_of(resolve(config.model.name, say))
    dtype, reason = precision(config.model.dtype, device, config.model.backend, model_type)
    known = {"device": device.name, "memory": device.memory_gib, "dtype": dtype, "reason": reason}
    say(phrase("run.start", folder=session.folder, **known))
    if gib := config.memory.budget_gb:
        say(phrase("run.no_budget") if device.kind == "cpu" else phrase("run.budget", gib=gib))
    say(phrase("run.libraries"))
    prepare_backend(config, device)
    session.interrupts.check()
    return Machine(device, dtype, model_type)


def _render(session: RunSession, records: Splits, machine: Machine) -> RunRows:
    """Render and check the rows, and count the steps that they make."""
    config = session.config
    prepared = prepare(config, records, session.say, session.console, session.lang)
    rows, what = prepared.train.examples, phrase("rows.sharing").text(session.lang)
    with ticking(session.console, what, 2 * sum(lengths_of(rows))) as tick:
        packing = make_packing(config, machine.device, machine.dtype, machine.model_type, rows, tick)
        length = run_length(config, rows, packing, tick)
    session.longest = length.longest
    _tell_rows(config, prepared, length, session.say)
    return RunRows(prepared, packing, length)


def _see_that_it_is_the_same(session: RunSession, manifest: Manifest, checkpoint: Path | None) -> None:
    """A run that goes on depends on the same things as before, or is forced to, which is noted.

    Raises:
        InputError: with the first field that has changed.
    """
    if not checkpoint:
        return
    changed = changes(read_manifest(session.folder), manifest)
    if changed and not session.force:
        raise refuse(changed[0])
    for change in changed:
        session.say(phrase("run.forced", **change))
        session.forced.append({"step": step_of(checkpoint), **change})


def _load(session: RunSession, rows: RunRows, machine: Machine) -> tuple[Any, Any]:
    """The model with its adapter, and the meter of its pace, whose ceiling is measured while there is room."""
    from finetune.models import load
    from finetune.rate import make_meter, measure_ceiling

    config, folder = session.config, rows.prepared.folder
    session.say(phrase("run.loading", model=config.model.name, backend=config.model.backend))
    with phase("load"):
        ceiling = measure_ceiling(config, folder, machine.dtype, machine.device)
        loaded = load(config, folder, machine.dtype, machine.device, session.say)
    session.interrupts.check()
    return loaded, make_meter(config, loaded.model, ceiling)


def _write_down(session: RunSession, manifest: dict[str, Any], rows: RunRows, checkpoint: Path | None) -> None:
    """The run's environment, recipe and rows."""
    folder, packing = session.folder, rows.packing
    if checkpoint:
        ended = ("best", "peak_memory", "wall_seconds")
        before = {key: value for key, value in read_manifest(folder).items() if key not in ended}
        now = manifest if session.forced else {key: manifest[key] for key in MEASURED_ANEW}
        manifest = before | now
    if not is_first():
        return
    write_json(folder / "manifest.json", manifest | {"recoveries": session.recoveries, "forced": session.forced})
    session.config.save(folder / "config.yaml")
    table: list[dict[str, Any]] = [{"id": e.id, "tokens": len(e.input_ids)} for e in rows.prepared.train.examples]
    for row, family in zip(table, packing.families if packing else [], strict=False):
        row["family"] = family
    write_json(folder / "rows.json", table)


def _build(session: RunSession, rows: RunRows, machine: Machine, loaded: Any, meter: Any) -> tuple[Any, RunCallbacks]:
    """The trainer, with everything that happens beside its loop."""
    from transformers import EarlyStoppingCallback

    from finetune.callbacks import (
        HandBack,
        PageWriter,
        ProgressLine,
        Recorder,
        SpillWarning,
        StopOnInterrupt,
        TakeUp,
    )
    from finetune.system import SystemMonitor
    from finetune.trackers import open_trackers
    from finetune.trainer import TrainingJob, build_trainer

    config, folder, say, device, prepared = session.config, session.folder, session.say, machine.device, rows.prepared
    recorder = Recorder(folder, SystemMonitor(device), open_trackers(config, folder) if is_first() else [], meter)
    named = RunCallbacks(recorder, ProgressLine(session.console, session.lang), TakeUp())
    callbacks = [recorder, PageWriter(lambda: write_pages(folder, say))] if is_first() else []
    callbacks += [
        SpillWarning(session.console, device, session.lang),
        named.progress,
        StopOnInterrupt(session.interrupts),
        named.take_up,
    ]
    if device.kind == "cpu":
        callbacks.append(HandBack())
    if config.eval.early_stopping_patience:
        callbacks.append(EarlyStoppingCallback(config.eval.early_stopping_patience))
    job = TrainingJob(
        config,
        device,
        loaded,
        prepared.tokenizer,
        train=prepared.train.examples,
        validation=prepared.validation.examples,
        packing=rows.packing,
        scorer=scorer(config, device, prepared, prepared.scored, say),
        tally=meter.tally,
        evaluating=session.interrupts.stop_at_once,
    )
    checkpoints = str(folder / "checkpoints")
    warmup = rows.length.warmup_steps
    return build_trainer(job, output_dir=checkpoints, warmup_steps=warmup, callbacks=callbacks), named


def _try_out(session: RunSession, trainer: Any, rows: RunRows) -> None:
    """A step and an evaluation before the first, with a generation of a few tokens."""
    from finetune.first_look import first_look

    brief = session.config.changed({"eval.max_new_tokens": 8})  # enough to see that generating works
    job, prepared = trainer.job, rows.prepared
    few = scorer(brief, job.device, prepared, prepared.scored[:2], session.say)
    first_look(trainer, rows.length, few, session.say)


def _go_back_to(
    checkpoint: Path | None, session: RunSession, trainer: Any, callbacks: RunCallbacks, length: Length
) -> None:
    """Drop what was recorded after the checkpoint, and make up for an evaluation that it did not live to see."""
    step, epoch, evaluated = 0, 0.0, False
    if checkpoint:
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        step, epoch = state["global_step"], state["epoch"]
        evaluated = any(event["step"] == step and "eval_loss" in event for event in state["log_history"])
    if is_first():
        remove_after(session.folder, step)
        callbacks.recorder.forget_after(step, evaluated=evaluated)
    if not checkpoint:
        return
    trainer.resumed_epoch = epoch
    callbacks.take_up.steps.append(lambda: trainer.take_up(checkpoint))
    if not evaluated and _is_evaluation_step(session.config, length, step):
        callbacks.take_up.steps.append(lambda: trainer.evaluate_late(str(checkpoint)))
    session.say(phrase("run.resumed", step=step, epoch=epoch))
    wait()


def _is_evaluation_step(config: Config, length: Length, step: int) -> bool:
    every = length.steps_per_epoch if config.eval.every == "epoch" else config.eval.every
    return step % every == 0 or step == length.steps


def _fit(session: RunSession, trainer: Any, checkpoint: Path | None) -> None:
    """Make the steps.

    Raises:
        OutOfMemory: see `ToolTrainer.fit`.
        NotFinite: see `ToolTrainer.fit`.
        KeyboardInterrupt: stopped by the user, with a checkpoint and, unless it was to be at once, its pages.
    """
    interrupts, ended = session.interrupts, False
    try:
        with interrupts.finish_steps():
            if is_first():
                point_latest(session.folder)
            trainer.fit(checkpoint)
        ended = True
        interrupts.check()
    except KeyboardInterrupt:
        if is_first() and interrupts.begun and not interrupts.twice:
            write_pages(session.folder, session.say)
        if ended:  # of all processes: they leave together
            wait()
        raise


def _finish(session: RunSession, trainer: Any, best: Path, seconds: float) -> None:
    """The last figures of the run, its page and its closing words."""
    from finetune.system import peak_memory

    run = session.folder
    manifest: dict[str, Any] = dict(read_manifest(run)) | {
        "best": {
            "step": step_of(best),
            "metric": trainer.args.metric_for_best_model,
            "value": trainer.state.best_metric,
            "sha256": adapter_digest(run / "best"),
        },
        "peak_memory": peak_memory(trainer.job.device),
    }
    write_json(run / "manifest.json", manifest)
    table = [row for _, row in read_jsonl(run / "epochs.jsonl")]
    for row, word in zip(table, verdicts(table), strict=True):
        row |= {"verdict": word, "best": row["step"] == manifest["best"]["step"]}
    write_jsonl(run / "epochs.jsonl", table)
    write_pages(run, session.say, pictures=True)
    write_json(run / "manifest.json", manifest | {"wall_seconds": round(seconds, 1)})  # `runs.cut_off` looks for it
    tell(run, session.console, session.lang)


def _tell_rows(config: Config, prepared: Prepared, length: Length, say: Any) -> None:
    say(describe_rows("train", prepared.train, config.data.max_length))
    say(describe_rows("validation", prepared.validation, config.data.max_length))
    t = config.train
    steps = phrase(
        "run.max_steps" if t.max_steps else "run.steps",
        steps=length.steps,
        per_epoch=length.steps_per_epoch,
        rows=phrase("run.rows", n=len(prepared.train.examples)),
        epochs=t.epochs,
        micro_batch=t.micro_batch,
        accumulation=t.accumulation,
    )
    say(phrase("run.tokens", steps=steps, tokens=length.tokens, share=length.supervised / length.tokens))
    if length.computed < length.tokens:
        say(phrase("run.shared", computed=length.computed, fewer=length.tokens / length.computed))


def _tell_plan(session: RunSession, plan: PlannedMemory | None) -> None:
    """What the plan expects of a GPU, and a warning where less is free than should be."""
    if plan is None:  # of a processor
        return
    from finetune.memory.installed_card import find_card

    card = find_card()
    if card is None:
        return
    free = min(card.free / GIB, session.config.memory.budget_gb or math.inf)
    session.say(
        phrase("run.memory", expected=plan["expected_gib"], phase=phrase(f"phase.{plan['peak_phase']}"), free=free)
    )
    if free < plan["gate_gib"]:
        session.say(phrase("run.tight", gate=plan["gate_gib"]))
