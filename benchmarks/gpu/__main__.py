"""`python -m benchmarks.gpu [STEP …]`: the steps of the runbook, each with its own time limit and its own files."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.gpu.steps import LONGER, OPEN, STEPS
from tooltune.cli import DEBUG, Debug, errors_as_lines, new_app, start

app = new_app()


@app.command()
def main(
    steps: Annotated[
        list[str] | None, typer.Argument(metavar="[STEP ...]", help=f"of {', '.join(STEPS)}; all when left out")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder of the results: gpu.json, gpu.tar.gz, a folder a step")] = Path(
        "gpu"
    ),
    minutes: Annotated[float | None, typer.Option(min=0.01, help="for all steps, instead of their own limits")] = None,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="the same commands in miniature, on any machine: do they all end well?")
    ] = False,
    longer: Annotated[
        bool, typer.Option("--longer", help=f"the steps for a longer lease: {', '.join(LONGER)}")
    ] = False,
    still_open: Annotated[
        bool, typer.Option("--open", help=f"the steps that no card has gone through yet: {', '.join(OPEN)}")
    ] = False,
    debug: Debug = DEBUG,
) -> None:
    """Try and measure on a GPU everything that needs one. Ctrl-C ends the step and keeps its files."""
    with errors_as_lines(debug):
        from benchmarks.gpu.run import run_steps
        from tooltune.console import Terminal

        table = LONGER if longer else OPEN if still_open else STEPS
        failed = run_steps(table, steps or [], out, minutes, rehearse, Terminal())
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    start(app, "python -m benchmarks.gpu")
