"""Evaluate a run: generate on a split, parse, score, and set the base model beside the tuned one."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.domain import load_domain
from data.load import SPLITS, evenly_spaced, rows_of
from data.lookup import lookup
from data.record import Record
from data.render import align_end_token, render, render_prompt
from data.splits import read_splits
from eval.constrained import Constraint, library, vocabulary_of
from eval.execution import execution_accuracy
from eval.generate import Output, generate, safe_batch, say_shrunk, usual_batch
from eval.generation_cache import question_digest, read_kept, rewrite_kept, still_valid
from eval.report import write_report
from eval.scoring import Sample, compare, score
from eval.trained import Trained, add_best, load_base, prepare, read_trained
from eval.words import phrase
from tooltune.errors import InputError
from tooltune.files import dump_json, patiently, read_text, write_json
from tooltune.words import Say

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
    constrained: bool | None = None  # None, not false: evaluations from before there was this go on too


def evaluate_run(
    run: Path,
    *,
    split: str = "test",
    data: Path | None = None,
    base: bool = True,
    limit: int | None = None,
    batch: int | None = None,
    model: str | None = None,
    constrained: bool = False,
    lang: str = "ko",
    say: Say,
    tick: Tick,
) -> dict[str, Any]:
    """Evaluate a run's best adapter (and its base model) and write the folder that `evaluation_folder` names.

    Args:
        data: a file of rows to take the place of the test split; its evaluation is named by `file_name`.
        batch: prompts at a time; None: `usual_batch`.
        model: where the run's base model is now; None: where it was.
        limit: only so many rows, spread over the split; what they give is kept apart from the whole split's figures.
        constrained: hold calls to the offered tools' schemas while they are written (`eval.constrained`).
        lang: the language that the report opens in, ko or en.
        tick: told after each batch, for a progress bar.

    Returns:
        What `metrics.json` holds.

    Raises:
        InputError: the run has no best adapter, its split no rows, or the file holds rows that trained.
        NoRoom: the model, or one prompt, does not fit in memory.
    """
    if constrained:
        library()  # before a model is loaded
    trained = read_trained(run, model)
    prepare(trained)
    if data and split != "test":
        raise InputError("both a split and a file were given", where="--data", fix="leave out --split")
    splits = read_splits(trained.config.data, data, "en")
    whole = rows_of(splits, split)
    probe = split != "train"
    split = (file_name(data) if data else split) + ("-constrained" if constrained else "")
    records = evenly_spaced(whole, limit)
    rows = {"scored": len(records), "of": len(whole)}
    folder = evaluation_folder(run, split, **rows)
    if data:
        _refuse_another_of_this_name(folder, data)
    folder.mkdir(parents=True, exist_ok=True)
    _check(records, trained)
    config, template = trained.config, trained.template
    domain = load_domain(config.data.domain)
    settings = Settings(
        model=trained.manifest["model"] if "weights" in trained.manifest else config.model.name,
        adapter=None,
        template=template.source,
        split=split,
        max_tools=config.data.max_tools,
        descriptions=config.data.descriptions,
        max_new_tokens=config.eval.max_new_tokens,
        dtype=trained.dtype,
        load_in_4bit=config.model.load_in_4bit,
        constrained=constrained or None,
    )
    answer = _Answering(trained, records, folder, batch, say, tick)
    seconds: dict[str, float] = {}
    results: dict[str, Any] = {}
    executed: dict[str, Any] = {}
    answers: dict[str, dict[str, Output]] = {}
    for name in ("base", "tuned") if base else ("tuned",):
        adapter = trained.manifest["best"]["sha256"] if name == "tuned" else None
        outputs, seconds[name] = answer(name, Settings(**{**asdict(settings), "adapter": adapter}))
        answers[name] = outputs
        samples = [Sample.from_record(r, outputs[r.id].text, truncated=outputs[r.id].truncated) for r in records]
        results[name] = score(samples, family=template.family)
        executed[name] = execution_accuracy(records, samples, template.family, domain)
    metrics = {
        "run": run.name,
        "split": split,
        "data": str(data.absolute()) if data else None,
        "rows": rows,
        "model": config.model.name,
        "family": template.family,
        "settings": {k: v for k, v in asdict(settings).items() if k not in ("template", "adapter")}
        | {"constrained": constrained},
        "tuned": results["tuned"],
        "base": results.get("base"),
        "compare": compare(*(results[m] | {"execution": executed[m]} for m in ("base", "tuned"))) if base else None,
        "execution": executed if executed["tuned"] else None,
        "probe": _probe(splits["train"], records) if probe else None,
        "seconds": seconds,
    }
    write_json(folder / "metrics.json", metrics)
    write_report(folder / "report.html", metrics, records, answers, lang=lang)
    return metrics


def evaluation_folder(run: Path, split: str, *, scored: int, of: int) -> Path:
    """Where the evaluation of a split is kept: `eval/<split>/`, of a part of its rows `eval/<split>-limit-<rows>/`."""
    return run / "eval" / (f"{split}-limit-{scored}" if scored < of else split)


def file_name(data: Path) -> str:
    """What the evaluation of a file is called: by its stem, after its folder's where the stem is, or begins with, a
    split's name (test, test-limit-50; Test, which is the same folder on Windows)."""
    path = data.resolve()
    return f"{path.parent.name}-{path.stem}" if path.stem.lower().split("-")[0] in SPLITS else path.stem


def _refuse_another_of_this_name(folder: Path, data: Path) -> None:
    """Keep the evaluation of a file when another of its name is to be evaluated, unless the first is gone: it moved.

    Raises:
        InputError: the evaluation in the folder is another file's.
    """
    path = folder / "metrics.json"
    try:
        before = Path(json.loads(read_text(path))["data"])
        another = before.is_file() and not before.samefile(data)
    except (OSError, ValueError, LookupError, TypeError):  # there is none, or it is broken and will be made again
        return
    if another:
        raise InputError(
            f"the run's evaluation of this name is that of {before}",
            where=f"--data {data}",
            fix=f"give the file another name, or remove {folder}",
        )


class _Answering:
    """Loads the base model when an answer is missing, and no sooner; keeps it for the adapter."""

    def __init__(
        self, trained: Trained, records: Sequence[Record], folder: Path, batch: int | None, say: Say, tick: Tick
    ) -> None:
        self.trained, self.records, self.folder = trained, records, folder
        self.batch, self.say, self.tick = batch, say, tick
        self.tools = {r.id: r.tools for r in records}
        self.prompts = {r.id: render_prompt(r, trained.tokenizer, trained.template) for r in records}
        self.questions = {i: question_digest(prompt) for i, prompt in self.prompts.items()}
        self.model: Any = None

    def __call__(self, name: str, settings: Settings) -> tuple[dict[str, Output], float]:
        """Every record's answer, from the file of an earlier evaluation where it is there, and the seconds of
        generation that went into them, whenever that was."""
        path = self.folder / ("generations.jsonl" if name == "tuned" else f"generations.{name}.jsonl")
        model = phrase(f"table.{name}")
        kept = read_kept(path, asdict(settings))
        if kept.changed:
            old = patiently(lambda: path.replace(path.with_suffix(".old.jsonl")))
            self.say(phrase("again.settings", model=model, changed=", ".join(kept.changed), old=old.name))
        answered, stale = still_valid(kept, self.questions)
        if stale:
            self.say(phrase("again.requests", model=model, n=stale))
        there = {i: answered[i] for i in self.questions if i in answered}
        outputs = {i: Output(row["text"], row["tokens"], row["truncated"]) for i, row in there.items()}
        seconds = self._taken(name, [answered[i] for i in outputs])
        missing = [i for i in self.questions if i not in outputs]
        if outputs and missing:
            self.say(phrase("again.there", model=model, there=len(outputs), left=len(missing)))
        self.tick(name, len(outputs), len(self.records))
        if not missing:
            return outputs, round(seconds, 3)
        if self.model is None:
            self.model = load_base(self.trained, self.say)
        if settings.adapter:
            self.model = add_best(self.trained, self.model)
        prompts = [self.prompts[i] for i in missing]
        wanted = self.batch or usual_batch(self.model, prompts, max_new_tokens=settings.max_new_tokens)
        tokenizer = self.trained.tokenizer
        batch = safe_batch(self.model, tokenizer, prompts, batch=wanted, warn=self.say)
        restrict = self._constraint(missing) if settings.constrained else None
        rewrite_kept(path, asdict(settings), answered.values())
        with path.open("a", encoding="utf-8", newline="\n") as f:
            since = time.perf_counter()

            def done(i: int, output: Output) -> None:
                nonlocal seconds, since
                outputs[missing[i]] = output
                took, since = time.perf_counter() - since, time.perf_counter()
                seconds += took
                row = {"id": missing[i], "question": self.questions[missing[i]], **asdict(output)}
                f.write(dump_json(row | {"seconds": round(took, 3)}) + "\n")
                f.flush()
                self.tick(name, len(outputs), len(self.records))

            generate(
                self.model,
                tokenizer,
                prompts,
                max_new_tokens=settings.max_new_tokens,
                batch=batch,
                done=done,
                shrunk=say_shrunk(self.say),
                restrict=restrict,
            )
        return outputs, round(seconds, 3)

    def _taken(self, name: str, kept: Sequence[dict[str, Any]]) -> float:
        """The seconds that these answers took; where they were kept without, what their evaluation says."""
        seconds: float = sum(row.get("seconds", 0.0) for row in kept)
        path = self.folder / "metrics.json"
        if all("seconds" in row for row in kept):
            return seconds
        with suppress(OSError, ValueError, LookupError, TypeError):  # there is none, or it is broken: it is made again
            seconds = max(seconds, float(json.loads(read_text(path))["seconds"][name]))
        return seconds

    def _constraint(self, asked: Sequence[str]) -> Constraint:
        tools = [self.tools[i] for i in asked]
        trained = self.trained
        return Constraint(trained.tokenizer, vocabulary_of(self.model), trained.template.family, tools)


def _check(records: Sequence[Record], trained: Trained) -> None:
    from eval.roundtrip import check_roundtrip

    check_roundtrip(records, trained.tokenizer, trained.template)
    align_end_token(trained.tokenizer, [render(records[0], trained.tokenizer, trained.template)])


def _probe(training: Sequence[Record], records: Sequence[Record]) -> dict[str, Any] | None:
    """What the no-model probe solves of these rows: the nearest training sentence, its numbers refilled."""
    if any("bucket" not in r.meta for r in records):
        return None
    shares = lookup(training, records)
    solved = round(shares["all"] * len(records))
    return {"solved": solved, "n": len(records), "by_bucket": {k: v for k, v in shares.items() if k != "all"}}
