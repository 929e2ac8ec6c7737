"""The command line of `python -m benchmarks`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.publish import record_command
from benchmarks.recipe import recipe_command
from benchmarks.results import RESULTS
from benchmarks.rows import rows_command
from tooltune.cli import DEBUG, LANG, Debug, TerminalLang, errors_as_lines, new_app, start, with_default
from tooltune.words import Language

if TYPE_CHECKING:
    from tooltune.console import Terminal

app = new_app()

Arguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PRESET|FILE] [KEY=VALUE ...]", help="the base config of all arms, as for finetune train"),
]
Arms = Annotated[
    str | None,
    typer.Option(
        help="comma-separated: hf, hf-trainer, hf-trainer+compile, hf+liger, unsloth, unsloth+compile, unsloth+prefix; "
        "by the device"
    ),
]
Timeout = Annotated[float, typer.Option(min=1, help="seconds for a run before it counts as hung")]
Out = Annotated[Path, typer.Option(help="folder of the result and its report")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]


@app.callback()
def main() -> None:
    """Measure: speed, memory and losses of training."""


@app.command()
def train(
    arguments: Arguments = None,
    arms: Arms = None,
    shapes: Annotated[str | None, typer.Option(help="comma-separated ROWSxTOKENS, or mix (the dataset's own)")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="of each arm and shape, each in a fresh process")] = 3,
    steps: Annotated[int | None, typer.Option(min=21, help="of a run; a third of them warms up")] = None,
    budget_gb: Annotated[float | None, typer.Option(min=0.5, help="GiB of the card, or of main memory")] = None,
    timeout: Timeout = 1800,
    out: Out = RESULTS,
    json: Json = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Training with plain Hugging Face against Unsloth; the command when none is given."""
    with errors_as_lines(debug):
        from benchmarks.train import TrainOptions
        from benchmarks.train import train as measure

        config, console = _start(arguments, json, lang)
        result, path = measure(config, TrainOptions(arms, shapes, repeats, steps, budget_gb, timeout, out), console)
        _finish(result, path, console, json)


@app.command()
def length(
    budget_gb: Annotated[float, typer.Option(min=0.5, help="GiB of the card, or of main memory")],
    arguments: Arguments = None,
    arms: Arms = None,
    most: Annotated[int, typer.Option(min=512, help="tokens beyond which nothing is tried")] = 16_384,
    timeout: Timeout = 1800,
    out: Out = RESULTS,
    json: Json = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """The longest sequence that each arm can train within a memory budget."""
    with errors_as_lines(debug):
        from benchmarks.length import LengthOptions
        from benchmarks.length import length as measure

        config, console = _start(arguments, json, lang)
        result, path = measure(config, LengthOptions(arms, budget_gb, most, timeout, out), console)
        _finish(result, path, console, json)


@app.command()
def planner(
    arguments: Arguments = None,
    models: Annotated[
        str | None, typer.Option(help="comma-separated names or folders; Qwen2.5 of 0.5, 1.5, 3B")
    ] = None,
    shapes: Annotated[str | None, typer.Option(help="comma-separated ROWSxTOKENS")] = None,
    arms: Annotated[str | None, typer.Option(help="comma-separated: hf, hf-trainer, unsloth; all")] = None,
    budget_gb: Annotated[float | None, typer.Option(min=0.5, help="GiB of the card that a run may take")] = None,
    timeout: Timeout = 600,
    out: Out = RESULTS,
    json: Json = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """The memory plan against what the card's allocator counted (needs a GPU)."""
    with errors_as_lines(debug):
        from benchmarks.planner import ENGINES, MODELS, SHAPES, PlannerOptions
        from benchmarks.planner import planner as measure

        config, console = _start(arguments, json, lang)
        options = PlannerOptions(models or MODELS, shapes or SHAPES, arms or ",".join(ENGINES), budget_gb, timeout, out)
        result, path = measure(config, options, console)
        _finish(result, path, console, json)


app.command("recipe")(recipe_command)
app.command("rows")(rows_command)
app.command("record")(record_command)


def _start(arguments: list[str] | None, json: bool, lang: Language) -> tuple[Any, "Terminal"]:
    from finetune.arguments import config_from
    from tooltune.console import Terminal

    console = Terminal(stderr=json, lang=lang)
    _, config = config_from(arguments, console.print, lang)
    return config, console


def _finish(result: Any, path: Path, console: "Terminal", json: bool) -> None:
    from benchmarks.report import finish

    finish(dict(result), path, console, as_json=json)
    if not result["complete"]:
        raise KeyboardInterrupt


def run() -> None:
    """The app; `train` may be left out."""
    start(app, "python -m benchmarks", with_default(app, sys.argv[1:], "train"))
