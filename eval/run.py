"""Evaluate a run: generate on a split, parse, score, and set the base model beside the tuned one."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from data.errors import InputError
from data.files import dump_json, write_json
from data.load import load_splits, spread
from data.pretrained import load_tokenizer, resolve
from data.record import Record
from data.render import align_end_token, render, render_prompt
from data.runs import read_manifest
from data.template import Template
from data.tools import shown
from eval.execution import execution_accuracy
from eval.generate import Output, generate, safe_batch, usual_batch
from eval.kept import begin, fresh, question_digest, read_kept
from eval.load import decoding_dtype
from eval.report import write_report
from eval.scoring import Sample, compare, score

Say = Callable[[str], None]
Tick = Callable[[str, int, int], None]  # which model, done, of


@dataclass(frozen=True)
class Settings:
    """What decides what a model answers: a killed evaluation goes on only where these are the same."""

    model: str
    adapter: str | None  # digest of the adapter
    template: str
    split: str
    max_tools: int | None
    descriptions: bool
    max_new_tokens: int
    dtype: str
    load_in_4bit: bool


def evaluate_run(
    run: Path,
    *,
    split: str = "test",
    base: bool = True,
    limit: int | None = None,
    batch: int | None = None,
    lang: str = "ko",
    say: Say,
    tick: Tick,
) -> dict[str, Any]:
    """Evaluate a run's best adapter (and its base model) and write the folder that `evaluation_folder` names.

    Args:
        batch: prompts at a time; None: `usual_batch`.
        limit: only so many rows, spread over the split; what they give is kept apart from the whole split's figures.
        lang: the language that the report opens in, ko or en.
        tick: told after each batch, for a progress bar.

    Returns:
        What `metrics.json` holds.

    Raises:
        InputError: the run has no best adapter, or its split no rows.
    """
    if not (run / "best" / "adapter_model.safetensors").is_file():
        raise InputError("the run has no best/ adapter", where=str(run), fix="let it finish: RESUME=1 make train")
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    manifest = read_manifest(run)
    training, whole = _rows(config, split)
    records = spread(whole, limit)
    limited = len(records) if len(records) < len(whole) else None
    folder = evaluation_folder(run, split, limited)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(run / "best")
    template = Template(tokenizer.chat_template, manifest["template"]["family"], manifest["template"]["origin"])
    _check(records, tokenizer, template)
    settings = Settings(
        model=config["model"]["name"],
        adapter=None,
        template=template.source,
        split=split,
        max_tools=config["data"]["max_tools"],
        descriptions=config["data"]["descriptions"],
        max_new_tokens=config["eval"]["max_new_tokens"],
        dtype=decoding_dtype(manifest["precision"], _device(manifest)),
        load_in_4bit=config["model"]["load_in_4bit"],
    )
    answer = _Answering(config, manifest, records, tokenizer, template, folder, batch, say, tick)
    seconds: dict[str, float] = {}
    results: dict[str, Any] = {}
    executed: dict[str, Any] = {}
    answers: dict[str, dict[str, Output]] = {}
    for name in ("base", "tuned") if base else ("tuned",):
        started = time.perf_counter()
        adapter = manifest["best"]["sha256"] if name == "tuned" else None
        outputs = answers[name] = answer(name, Settings(**{**asdict(settings), "adapter": adapter}), run / "best")
        samples = [Sample.from_record(r, outputs[r.id].text, truncated=outputs[r.id].truncated) for r in records]
        results[name] = score(samples, family=template.family)
        executed[name] = execution_accuracy(records, samples, template.family)
        seconds[name] = round(time.perf_counter() - started, 1)
    metrics = {
        "run": run.name,
        "split": split,
        "rows": {"scored": len(records), "of": len(whole)},
        "model": config["model"]["name"],
        "family": template.family,
        "settings": {k: v for k, v in asdict(settings).items() if k not in ("template", "adapter")},
        "tuned": results["tuned"],
        "base": results.get("base"),
        "compare": compare(*(results[m] | {"execution": executed[m]} for m in ("base", "tuned"))) if base else None,
        "execution": executed if executed["tuned"] else None,
        "probe": _probe(training, records) if split != "train" else None,
        "seconds": seconds,
    }
    write_json(folder / "metrics.json", metrics)
    write_report(folder / "report.html", metrics, records, answers, lang=lang)
    return metrics


def evaluation_folder(run: Path, split: str, limited: int | None = None) -> Path:
    """Where the evaluation of a split is kept: `eval/<split>/`, of a part of its rows `eval/<split>-limit-<rows>/`."""
    return run / "eval" / (f"{split}-limit-{limited}" if limited else split)


class _Answering:
    """Loads the base model when an answer is missing, and no sooner; keeps it for the adapter."""

    def __init__(
        self,
        config: dict[str, Any],
        manifest: dict[str, Any],
        records: Sequence[Record],
        tokenizer: Any,
        template: Template,
        folder: Path,
        batch: int | None,
        say: Say,
        tick: Tick,
    ) -> None:
        self.config, self.manifest, self.records, self.folder = config, manifest, records, folder
        self.tokenizer, self.batch, self.say, self.tick = tokenizer, batch, say, tick
        self.prompts = {r.id: render_prompt(r, tokenizer, template) for r in records}
        self.questions = {i: question_digest(prompt) for i, prompt in self.prompts.items()}
        self.model: Any = None

    def __call__(self, name: str, settings: Settings, adapter: Path) -> dict[str, Output]:
        """Every record's answer, from the file of an earlier evaluation where it is there."""
        path = self.folder / ("generations.jsonl" if name == "tuned" else f"generations.{name}.jsonl")
        kept = read_kept(path, asdict(settings))
        if kept.changed:
            old = path.replace(path.with_suffix(".old.jsonl"))
            self.say(f"{name}: asking anew, for {', '.join(kept.changed)} changed (the old answers: {old.name})")
        answered, stale = fresh(kept, self.questions)
        if stale:
            self.say(f"{name}: {stale} answers are to requests that were changed since: asking those anew")
        outputs = {i: _output(answered[i]) for i in self.questions if i in answered}
        missing = [i for i in self.questions if i not in outputs]
        if outputs and missing:
            self.say(f"{name}: {len(outputs)} answers are there already, {len(missing)} to go")
        self.tick(name, len(outputs), len(self.records))
        if not missing:
            return outputs
        from eval.load import add_adapter, load_model

        device = _device(self.manifest)
        if self.model is None:
            base = resolve(self.config["model"]["name"], self.say)
            self.model = load_model(base, dtype=settings.dtype, load_in_4bit=settings.load_in_4bit, device=device)
        if settings.adapter:
            self.model = add_adapter(self.model, adapter, device=device)
        prompts = [self.prompts[i] for i in missing]
        wanted = self.batch or usual_batch(self.model, prompts, max_new_tokens=settings.max_new_tokens)
        batch = safe_batch(self.model, self.tokenizer, prompts, batch=wanted, warn=self.say)
        begin(path, asdict(settings), answered.values())
        with path.open("a", encoding="utf-8", newline="\n") as f:

            def done(i: int, output: Output) -> None:
                outputs[missing[i]] = output
                f.write(dump_json({"id": missing[i], "question": self.questions[missing[i]], **asdict(output)}) + "\n")
                f.flush()
                self.tick(name, len(outputs), len(self.records))

            generate(
                self.model, self.tokenizer, prompts, max_new_tokens=settings.max_new_tokens, batch=batch, done=done
            )
        return outputs


def _rows(config: dict[str, Any], split: str) -> tuple[list[Record], list[Record]]:
    """The rows that trained and those of the split, as training and its evaluations saw them."""
    data = config["data"]
    if split not in ("train", "validation", "test"):
        raise InputError(f"{split!r} is no split", where="--split", fix="test, validation or train")
    path = {name: Path(data[name]) if data[name] else None for name in ("validation", "test")}
    train, validation, test = load_splits(Path(data["train"]), path["validation"], path["test"])
    splits = {"train": train[: data["limit"]], "validation": validation, "test": test}
    if not splits[split]:
        raise InputError(f"the run has no {split} rows", where=f"data.{split}", fix="name another with --split")
    view = partial(shown, max_tools=data["max_tools"], descriptions=data["descriptions"])
    return splits["train"], [view(r) for r in splits[split]]


def _check(records: Sequence[Record], tokenizer: Any, template: Template) -> None:
    from eval.roundtrip import check_roundtrip

    check_roundtrip(records, tokenizer, template)
    align_end_token(tokenizer, [render(records[0], tokenizer, template)])


def _output(row: dict[str, Any]) -> Output:
    return Output(row["text"], row["tokens"], row["truncated"])


def _probe(training: Sequence[Record], records: Sequence[Record]) -> dict[str, Any] | None:
    """What the no-model probe solves of these rows: the nearest training sentence, its numbers refilled."""
    from data.structural.probe import probe

    if any("bucket" not in r.meta for r in records):
        return None
    shares = probe([r.to_dict() for r in training], [r.to_dict() for r in records])
    solved = round(shares["all"] * len(records))
    return {"solved": solved, "n": len(records), "by_bucket": {k: v for k, v in shares.items() if k != "all"}}


def _device(manifest: dict[str, Any]) -> str:
    import torch

    return "cuda" if manifest["device"]["kind"] == "cuda" and torch.cuda.is_available() else "cpu"
