"""The command line of `python -m benchmarks`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.results import RESULTS
from data.cli import DEBUG, Debug, errors_as_lines

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Arguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PRESET|FILE] [KEY=VALUE ...]", help="the base config of all arms, as for finetune train"),
]


@app.callback()
def main() -> None:
    """Measure: training speed and memory of plain Hugging Face against Unsloth."""


@app.command()
def train(
    arguments: Arguments = None,
    arms: Annotated[str | None, typer.Option(help="comma-separated: hf, hf-trainer, hf+liger, unsloth, …")] = None,
    shapes: Annotated[str | None, typer.Option(help="comma-separated ROWSxTOKENS, or mix (the dataset's own)")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="of each arm and shape, each in a fresh process")] = 3,
    steps: Annotated[int | None, typer.Option(min=21, help="of a run; a third of them warms up")] = None,
    budget_gb: Annotated[float | None, typer.Option(min=0.5, help="GiB of the card, or of main memory")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="seconds for a run before it counts as hung")] = 1800,
    out: Annotated[Path, typer.Option(help="folder of the result and its report")] = RESULTS,
    debug: Debug = DEBUG,
) -> None:
    """Compare the arms' speed, memory and losses; the default command."""
    with errors_as_lines(debug):
        from benchmarks.train import Options
        from benchmarks.train import train as measure
        from finetune.cli import split_arguments
        from finetune.config import load_config

        source, overrides = split_arguments(arguments)
        options = Options(arms, shapes, repeats, steps, budget_gb, timeout, out)
        measure(load_config(source, overrides), options, terminal())


@app.command()
def length(
    budget_gb: Annotated[float, typer.Option(min=0.5, help="GiB of the card, or of main memory")],
    arguments: Arguments = None,
    arms: Annotated[str | None, typer.Option(help="as for train")] = None,
    most: Annotated[int, typer.Option(min=64, help="tokens beyond which nothing is tried")] = 16_384,
    timeout: Annotated[float, typer.Option(min=1, help="seconds for a run before it counts as hung")] = 1800,
    out: Annotated[Path, typer.Option(help="folder of the result")] = RESULTS,
    debug: Debug = DEBUG,
) -> None:
    """Find the longest sequence that each arm can train within a memory budget."""
    with errors_as_lines(debug):
        from benchmarks.memory import Options
        from benchmarks.memory import length as measure
        from finetune.cli import split_arguments
        from finetune.config import load_config

        source, overrides = split_arguments(arguments)
        config = load_config(source, overrides)
        console = terminal()
        result, path = measure(config, Options(arms, budget_gb, most, timeout, out), console)
        console.print(f"{result['verdict']}\nWritten: {path}")


def terminal() -> "Console":
    """The console that commands print to; on a pipe rich would wrap at 80 columns and break figures apart."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def run() -> None:
    """The app; `train` may be left out."""
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    if sys.argv[1:2] != ["--help"] and (len(sys.argv) == 1 or sys.argv[1] not in names):
        sys.argv.insert(1, "train")
    app()
