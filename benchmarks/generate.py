"""`python -m benchmarks generate`: how fast an evaluation asks its questions, in batches and one by one.

One process, one model, the same prompts and the same limit; the repeats of the batch sizes are interleaved. Answers are
compared with those given one by one: a batch is worth nothing if it changes what the model says.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.results import RESULTS, result_path, save, spread
from tooltune.cli import DEBUG, Debug, errors_as_lines
from tooltune.errors import InputError

BATCHES = "1,8,16,32,64"
WARM_UP_TOKENS = 4


@dataclass(frozen=True)
class GenerationTask:
    """A model and what it is asked.

    Attributes:
        prompts: token ids, spread over the test split.
        device: "cuda" or "cpu".
        settings: what decides the answers, for the result file.
    """

    model: Any
    tokenizer: Any
    prompts: list[list[int]]
    max_new_tokens: int
    device: str
    settings: dict[str, Any]


def generate_command(
    run: Annotated[str | None, typer.Argument(help="a run whose best adapter answers; else the embedded model")] = None,
    prompts: Annotated[int, typer.Option(min=2, help="so many test rows, spread over the split")] = 64,
    batches: Annotated[str, typer.Option(help="batch sizes; 1 is what the others are measured against")] = BATCHES,
    repeats: Annotated[int, typer.Option(min=1, help="of each batch size, interleaved")] = 3,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=2, help="limit of an answer; the run's own if left out")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
    out: Annotated[Path, typer.Option(help="folder of the result and its report")] = RESULTS,
    debug: Debug = DEBUG,
) -> None:
    """Samples a second of an evaluation, in batches and one by one."""
    with errors_as_lines(debug):
        from benchmarks.report import finish
        from benchmarks.this_machine import machine
        from tooltune.console import Terminal, progress, quiet

        sizes = batch_sizes(batches)
        here = machine()
        with tempfile.TemporaryDirectory() as folder, quiet(Path(folder) / "log.txt") as console:
            console.quiet = json  # standard output is the result's alone
            asked = prepare(run, prompts, max_new_tokens, console.print)
            with progress(console) as bar:
                task = bar.add_task("answers", total=len(sizes) * repeats * len(asked.prompts), note="")
                arms = measure(asked, sizes, repeats, lambda: bar.advance(task))
        result = as_result(asked, here, arms, repeats)
        path = result_path(out, here["device"]["name"], "generate")
        save(result, path)
        finish(result, path, Terminal(), as_json=json)


def batch_sizes(text: str) -> list[int]:
    """The sizes of a comma-separated list, ascending, 1 always among them.

    Raises:
        InputError: one is no positive number.
    """
    try:
        sizes = sorted({1, *map(int, text.split(","))})
    except ValueError:
        sizes = [0]
    if sizes[0] < 1:
        raise InputError(f"{text!r} is not a list of batch sizes", where="--batches", fix=f"for example {BATCHES}")
    return sizes


def prepare(run: str | None, prompts: int, max_new_tokens: int | None, say: Callable[[str], None]) -> GenerationTask:
    """Load the model and render the prompts as an evaluation does.

    Raises:
        InputError: the run has no best adapter or no test rows.
    """
    from data.load import evenly_spaced
    from data.render import align_end_token, render, render_prompt
    from data.splits import read_splits
    from eval.trained import load_tuned, read_trained
    from eval.trained import prepare as ready
    from finetune.device import detect
    from tooltune.config import load_config
    from tooltune.run import find_run

    trained = read_trained(find_run(run)) if run else None
    config = trained.config if trained else load_config("cpu", ["model.name=embedded"])
    test = read_splits(config.data)["test"]
    if not test:
        raise InputError("there are no test rows", where="data.test", fix="name a run whose config has some")
    if trained:
        ready(trained)  # before transformers is imported
        say(f"Loading {config.model.name} in {trained.dtype} …")
        model, tokenizer, template = load_tuned(trained, say), trained.tokenizer, trained.template
        kind, dtype = trained.device, trained.dtype
    else:
        kind = detect().kind
        model, tokenizer, template, dtype = _embedded(config, kind, say)
    records = evenly_spaced(test, prompts)
    align_end_token(tokenizer, [render(records[0], tokenizer, template)])
    limit = max_new_tokens or config.eval.max_new_tokens
    return GenerationTask(
        model,
        tokenizer,
        [render_prompt(record, tokenizer, template) for record in records],
        limit,
        kind,
        {
            "run": trained.folder.name if trained else None,
            "model": config.model.name,
            "dtype": dtype,
            "load_in_4bit": config.model.load_in_4bit,
            "prompts": len(records),
            "max_new_tokens": limit,
        },
    )


def _embedded(config: Any, kind: str, say: Callable[[str], None]) -> tuple[Any, Any, Any, str]:
    """The embedded model, its tokenizer and template, and the dtype that it decodes in."""
    from eval.load import decoding_dtype, load_model
    from eval.roundtrip import choose_template
    from finetune.device import detect, family_of, precision
    from tooltune.pretrained import load_tokenizer, resolve

    base = resolve(config.model.name, say)
    tokenizer = load_tokenizer(base)
    template = choose_template(tokenizer, config.data.tools_style, preference=config.data.template)
    wanted, _ = precision(config.model.dtype, detect(), config.model.backend, family_of(base))
    dtype = decoding_dtype(wanted, kind)
    say(f"Loading {config.model.name} in {dtype} …")
    return (
        load_model(base, dtype=dtype, load_in_4bit=config.model.load_in_4bit, device=kind),
        tokenizer,
        template,
        dtype,
    )


def measure(
    asked: GenerationTask, sizes: Sequence[int], repeats: int, tick: Callable[[], None]
) -> list[dict[str, Any]]:
    """One arm a batch size, the repeats interleaved; a size that runs out of memory is not tried again.

    Args:
        tick: told after each answer.
    """
    arms: dict[int, dict[str, Any]] = {
        size: {"arm": str(size), "batch": size, "status": "ok", "reason": None, "runs": []} for size in sizes
    }
    answers: dict[int, list[Any]] = {}
    for repeat in range(repeats):
        for size, arm in arms.items():
            if arm["status"] != "ok":
                continue
            run, outputs = _timed(asked, size, tick, warm_up=repeat == 0)
            arm["status"], arm["reason"] = run["status"], run["reason"]
            arm["runs"].append({"repeat": repeat, **run})
            answers.setdefault(size, outputs)
    for size, arm in arms.items():
        arm |= _summary(arm["runs"], answers[size], answers[sizes[0]])
    return list(arms.values())


def as_result(asked: GenerationTask, here: dict[str, Any], arms: list[dict[str, Any]], repeats: int) -> dict[str, Any]:
    """The result of kind "generate"; the ratio's low and high are of the worst and best pair of repeats."""
    from benchmarks.report.verdict import told

    single, *batched = arms
    result = {
        "kind": "generate",
        "date": time.strftime("%Y-%m-%d"),
        **here,
        "config": {},
        "settings": {"repeats": repeats, **asked.settings},
        "budget_gib": None,
        "emulated": False,
        "complete": True,
        "valid": True,
        "arms": arms,
        "speedup": [_ratio(arm, single) for arm in batched if arm["status"] == single["status"] == "ok"],
    }
    return result | {"verdict": told(result)}


def _timed(
    asked: GenerationTask, size: int, tick: Callable[[], None], *, warm_up: bool
) -> tuple[dict[str, Any], list[Any]]:
    """One pass over the prompts, and its answers; peak memory is known on a card only, whose counter can be reset."""
    import torch

    from eval.generate import generate
    from eval.shortage import is_shortage
    from finetune.device import GIB

    cuda = asked.device == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        if warm_up:
            longest = sorted(asked.prompts, key=len)[-size:]
            generate(asked.model, asked.tokenizer, longest, max_new_tokens=WARM_UP_TOKENS, batch=size)
        _settle(cuda)
        started = time.perf_counter()
        outputs = generate(
            asked.model,
            asked.tokenizer,
            asked.prompts,
            max_new_tokens=asked.max_new_tokens,
            batch=size,
            done=lambda i, output: tick(),
        )
        _settle(cuda)
        seconds = time.perf_counter() - started
    except Exception as e:
        if not is_shortage(e):
            raise
        return {"status": "out of memory", "reason": str(e).splitlines()[0]}, []
    figures = {
        "status": "ok",
        "reason": None,
        "seconds": round(seconds, 4),
        "samples_per_second": len(outputs) / seconds,
        "tokens_per_second": sum(output.tokens for output in outputs) / seconds,
        "peak_reserved_gib": round(torch.cuda.max_memory_reserved() / GIB, 3) if cuda else None,
    }
    return figures, outputs


def _settle(cuda: bool) -> None:
    import torch

    if cuda:
        torch.cuda.synchronize()


def _summary(runs: list[dict[str, Any]], outputs: list[Any], alone: list[Any]) -> dict[str, Any]:
    """Spreads over the repeats; the share of answers that were cut and of those that are as they were one by one."""
    summary = {}
    for key in ("samples_per_second", "tokens_per_second", "peak_reserved_gib"):
        if values := [run[key] for run in runs if run.get(key) is not None]:
            summary[key] = spread(values)
    pairs = list(zip(outputs, alone, strict=False))
    return {
        "summary": summary,
        "truncated_share": sum(output.truncated for output in outputs) / len(outputs) if outputs else None,
        "same_share": sum(mine.text == other.text for mine, other in pairs) / len(pairs) if pairs else None,
    }


def _ratio(arm: dict[str, Any], single: dict[str, Any]) -> dict[str, Any]:
    mine, other = (row["summary"]["samples_per_second"] for row in (arm, single))
    return {
        "arm": arm["arm"],
        "against": single["arm"],
        "ratio": mine["median"] / other["median"],
        "low": mine["low"] / other["high"],
        "high": mine["high"] / other["low"],
    }
