"""The command line of `python -m eval`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from eval.commands.compare import compare_runs
from eval.commands.endpoint import endpoint
from eval.commands.score import score_file
from tooltune.cli import DEBUG, Debug, Lang, errors_as_lines

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Measure how well a model calls tools."""


@app.command()
def run(
    run: Annotated[str | None, typer.Argument(help="a run's name or folder; the newest when left out")] = None,
    split: Annotated[str, typer.Option(help="test, validation or train")] = "test",
    data: Annotated[Path | None, typer.Option(help="a file of rows to score instead of a split")] = None,
    base: Annotated[bool, typer.Option(help="evaluate the base model too")] = True,
    limit: Annotated[int | None, typer.Option(min=1, help="only so many rows, spread over the split")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="prompts at a time; what fits when left out")] = None,
    constrained: Annotated[
        bool, typer.Option(help="hold calls to the tools' schemas while they are written (extra `constrained`)")
    ] = False,
    lang: Lang = "ko",
    debug: Debug = DEBUG,
) -> None:
    """Generate on a split or a file with a run's best adapter and its base model, parse, score and report."""
    with errors_as_lines(debug):
        from eval.run import evaluate_run, evaluation_folder
        from eval.tables import bucket_table, headline_table
        from tooltune.console import quiet
        from tooltune.run import find_run

        folder = find_run(run)
        with quiet(folder / "log.txt") as console:
            bar = _Bars(console)
            try:
                metrics = evaluate_run(
                    folder,
                    split=split,
                    data=data,
                    base=base,
                    limit=limit,
                    batch=batch,
                    constrained=constrained,
                    lang=lang,
                    say=console.print,
                    tick=bar.tick,
                )
            finally:
                bar.stop()
            console.print(headline_table(metrics))
            if "bucket" in metrics["tuned"]["slices"]:
                console.print(bucket_table(metrics))
            scored, whole = metrics["rows"]["scored"], metrics["rows"]["of"]
            if scored < whole:
                console.print(
                    f"Only {scored} of {whole} rows: a sample, not a result. The run's figures are unchanged."
                )
            where = evaluation_folder(folder, metrics["split"], **metrics["rows"])
            console.print(f"Every answer, with what is wrong in it: {where / 'report.html'}")


class _Bars:
    """One progress bar a model."""

    def __init__(self, console: Any) -> None:
        from tooltune.console import progress

        self.console = console
        self.bar = progress(console)
        self.bar.start()
        self.tasks: dict[str, Any] = {}

    def tick(self, name: str, done: int, of: int) -> None:
        if name not in self.tasks:
            self.tasks[name] = self.bar.add_task(f"{name:5}", total=of, note="")
            if not self.console.is_terminal:
                self.console.print(f"Generating with the {name} model, {of} rows …")
        self.bar.update(self.tasks[name], completed=done)

    def stop(self) -> None:
        self.bar.stop()


app.command("score")(score_file)
app.command("compare")(compare_runs)
app.command("endpoint")(endpoint)
