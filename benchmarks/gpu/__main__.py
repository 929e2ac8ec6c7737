"""`python -m benchmarks.gpu [STEP …]`: the steps of the runbook, each with its own time limit and its own files."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.gpu.steps import STEPS
from data.cli import DEBUG, Debug, errors_as_lines

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    steps: Annotated[
        list[str] | None, typer.Argument(metavar="[STEP ...]", help=f"of {', '.join(STEPS)}; all when left out")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder of the results, a folder and an archive a step")] = Path("gpu"),
    minutes: Annotated[float | None, typer.Option(min=0.01, help="for each step, instead of its own limit")] = None,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="the same commands in miniature, on any machine: do they all start?")
    ] = False,
    debug: Debug = DEBUG,
) -> None:
    """Measure on a GPU: tests, speed, longest sequence, planner, training. Ctrl-C ends the step and keeps its files."""
    with errors_as_lines(debug):
        from benchmarks.gpu.run import run_steps
        from data.console import terminal

        failed = run_steps(steps or list(STEPS), out, minutes, rehearse, terminal())
        if failed:
            raise typer.Exit(1)


if __name__ == "__main__":
    app()
