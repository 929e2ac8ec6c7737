"""The other proof of an export: asked the rows that the run was evaluated on, it answers no worse than the run.

A GGUF is asked through llama.cpp's server, as `python -m eval endpoint` asks, and judged by the calls that the server
read: those are what an application gets. A merged model is asked as a run's evaluation asks. Both are scored by
`eval.scoring` and compared in pairs with the run's own answers to the same rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from data.domain import load_domain
from data.load import evenly_spaced
from data.record import Record
from data.render import render_prompt
from data.splits import read_splits
from eval.compare_runs import LEVEL, tuned_scores, verdict
from eval.endpoint.answers import Asked, collect, server_sample
from eval.endpoint.client import Server
from eval.execution import execution_accuracy
from eval.generate import generate, safe_batch, say_shrunk, usual_batch
from eval.load import load_model
from eval.parse import parse_tool_calls
from eval.parsed import Parsed
from eval.scoring import Sample, compare, score
from eval.tables import compare_table
from eval.trained import Trained
from finetune.export.llama_cpp import serving
from finetune.export.proof import as_sent, transformers_prompt
from finetune.words import phrase
from tooltune.console import Terminal, progress
from tooltune.files import dump_json, read_jsonl, write_json, write_jsonl
from tooltune.metrics import COMPARED
from tooltune.pretrained import load_tokenizer
from tooltune.words import Language, Say

SHOWN = 20
"""Changed answers that the terminal lists; the file has all."""


@dataclass(frozen=True)
class Evaluated:
    """What the run itself answered.

    Attributes:
        scores: of these records, as `eval.scoring.compare` takes them.
        texts: id → what the model wrote.
    """

    split: str
    records: list[Record]
    scores: dict[str, Any]
    texts: dict[str, str]


@dataclass(frozen=True)
class Changed:
    """A row that the export answers otherwise than the run."""

    id: str
    run: str
    export: str
    run_right: bool
    export_right: bool


@dataclass(frozen=True)
class Behaviour:
    """How the export answers beside the run.

    Attributes:
        split: the rows' name.
        scores: the export's, as `score` gives them.
        compared: what `eval.scoring.compare` says of the run (a) and the export (b).
    """

    split: str
    scores: dict[str, Any]
    compared: dict[str, Any]
    changed: list[Changed]

    @property
    def worse(self) -> str:
        """What McNemar's test says, where the export's Exact Match is lower than chance explains; else nothing."""
        pair = self.compared["exact_match"]
        lower = pair["only_a"] > pair["only_b"] and pair["p_value"] < LEVEL
        return str(verdict(pair, "the run", "the export")) if lower else ""


def evaluated(trained: Trained, limit: int | None) -> Evaluated:
    """The run's own evaluation on its test rows (validation rows where it has none).

    Args:
        limit: only so many rows, spread over the split.

    Raises:
        InputError: it was not evaluated.
    """
    splits = read_splits(trained.config.data)
    split = "test" if splits["test"] else "validation"
    records = evenly_spaced(splits[split], limit)
    ids = {record.id for record in records}
    whole = tuned_scores(str(trained.folder), split)
    scores: dict[str, Any] = {"samples": [row for row in whole["samples"] if row["id"] in ids]}
    if executed := whole.get("execution"):
        scores["execution"] = {"samples": {i: how for i, how in executed["samples"].items() if i in ids}}
    rows = (row for _, row in read_jsonl(trained.folder / "eval" / split / "generations.jsonl"))
    return Evaluated(split, records, scores, {row["id"]: row["text"] for row in rows if row.get("id") in ids})


def ask(trained: Trained, file: Path, folder: Path, before: Evaluated, to: str, say: Say) -> Behaviour:
    """Ask the export the rows of `before`, score its answers, and compare.

    Args:
        file: a GGUF, or a merged model's folder.
        folder: gets generations.jsonl, metrics.json and changed.jsonl.
        to: the target, which decides how a request is altered on its way (`as_sent`).
    """
    family, records = trained.template.family, before.records
    answered = _by_transformers if file.is_dir() else _by_llama_cpp
    samples = answered(trained, file, folder, before, to, say)
    scores = score(samples, family)
    scores["execution"] = execution_accuracy(records, samples, family, load_domain(trained.config.data.domain))
    changed = list(_changed(before, samples, scores, family))
    found = Behaviour(before.split, scores, compare(before.scores, scores), changed)
    write_json(folder / "metrics.json", scores)
    write_jsonl(folder / "changed.jsonl", map(asdict, changed))
    return found


def show(found: Behaviour, folder: Path, lang: Language) -> None:
    """The comparison in the terminal, in figures and in words, and the changed answers."""
    console = Terminal()
    run, export, right, wrong = (phrase(f"export.{key}").text(lang) for key in ("run", "export", "right", "wrong"))
    console.print(compare_table({"a": run, "b": export, **found.compared}, lang))
    for key, metric in COMPARED.items():
        if key in found.compared:
            console.print(f"{metric.name(lang)}: {verdict(found.compared[key], run, export).text(lang)}")
    changed = phrase("export.changed", n=len(found.changed), of=found.scores["n"], path=folder / "changed.jsonl")
    console.print(changed.text(lang))
    marks = {True: right, False: wrong}
    for row in found.changed[:SHOWN]:
        said = f"{row.id}\n  {run} ({marks[row.run_right]}): {row.run}\n"
        said += f"  {export} ({marks[row.export_right]}): {row.export}"
        console.print(said, markup=False, soft_wrap=True)


def _by_llama_cpp(trained: Trained, file: Path, folder: Path, before: Evaluated, to: str, say: Say) -> Sequence[Sample]:
    data, most, sent = trained.config.data, trained.config.eval.max_new_tokens, as_sent(to)
    longest = max(len(render_prompt(record, trained.tokenizer, trained.template)) for record in before.records)
    asked = Asked(file.name, before.split, data.max_tools, data.descriptions, most, raw=False)
    say(phrase("export.asking", who="llama.cpp", n=len(before.records), split=before.split))
    with serving(file, context=longest + most) as url, progress(Console()) as bar:
        task = bar.add_task("answers", total=len(before.records), note="")
        answers = collect(
            Server(url, timeout=600, retries=0),
            asked,
            [sent(record) for record in before.records],
            folder / "generations.jsonl",
            parallel=1,
            tick=lambda done: bar.update(task, completed=done),
        )
    return [server_sample(record, answers[record.id]) for record in before.records]


def _by_transformers(
    trained: Trained, file: Path, folder: Path, before: Evaluated, to: str, say: Any
) -> Sequence[Sample]:
    tokenizer, prompt, sent = load_tokenizer(file), transformers_prompt(file), as_sent(to)
    model = load_model(file, dtype=trained.dtype, load_in_4bit=False, device=trained.device)
    prompts = [prompt(sent(record)) for record in before.records]
    most = trained.config.eval.max_new_tokens
    wanted = usual_batch(model, prompts, max_new_tokens=most)
    batch = safe_batch(model, tokenizer, prompts, batch=wanted, warn=say)
    say(phrase("export.asking", who=phrase("export.merged"), n=len(prompts), split=before.split))
    with progress(Console()) as bar:
        task = bar.add_task("answers", total=len(prompts), note="")
        outputs = generate(
            model,
            tokenizer,
            prompts,
            max_new_tokens=most,
            batch=batch,
            done=lambda i, output: bar.advance(task),
            shrunk=say_shrunk(say),
        )
    answers = list(zip(before.records, outputs, strict=True))
    write_jsonl(folder / "generations.jsonl", ({"id": r.id, **asdict(output)} for r, output in answers))
    return [Sample.from_record(r, output.text, truncated=output.truncated) for r, output in answers]


def _changed(before: Evaluated, samples: Sequence[Sample], scores: dict[str, Any], family: str) -> Iterator[Changed]:
    def right(of: dict[str, Any]) -> dict[str, bool]:
        return {row["id"]: bool(row["strict"]["exact_match"]) for row in of["samples"]}

    was, now = right(before.scores), right(scores)
    for sample in samples:
        run = parse_tool_calls(before.texts[sample.id], family, sample.tools)
        export = sample.parsed or parse_tool_calls(sample.output, family, sample.tools)
        if _answer(run) != _answer(export):
            yield Changed(sample.id, _answer(run), _answer(export), was[sample.id], now[sample.id])


def _answer(parsed: Parsed) -> str:
    """The calls of an answer with their arguments sorted, or its text where it makes none."""
    calls = [f"{call.name} {dump_json(dict(sorted(call.arguments.items())))}" for call in parsed.calls]
    return "; ".join(calls) or parsed.text
