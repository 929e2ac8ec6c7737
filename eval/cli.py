"""The command line of `python -m eval`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from eval.commands.compare import compare_runs
from eval.commands.endpoint import endpoint
from eval.commands.score import score_file
from tooltune.cli import DEBUG, BaseModel, Debug, PageLang, errors_as_lines, new_app
from tooltune.words import Language

app = new_app()


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
    model: BaseModel = None,
    constrained: Annotated[
        bool, typer.Option(help="hold calls to the tools' schemas while they are written (extra `constrained`)")
    ] = False,
    lang: PageLang = None,
    debug: Debug = DEBUG,
) -> None:
    """Generate on a split or a file with a run's best adapter and its base model, parse, score and report."""
    with errors_as_lines(debug):
        from eval.run import evaluate_run, evaluation_folder
        from eval.tables import bucket_table, headline_table
        from eval.words import phrase
        from tooltune.console import quiet
        from tooltune.run import find_run
        from tooltune.words import saying, system_language

        language = lang or system_language()
        folder = find_run(run)
        with quiet(folder / "log.txt") as console:
            bar = _Bars(console, language)
            try:
                metrics = evaluate_run(
                    folder,
                    split=split,
                    data=data,
                    base=base,
                    limit=limit,
                    batch=batch,
                    model=model,
                    constrained=constrained,
                    lang=lang or "ko",
                    say=saying(console.print, language),
                    tick=bar.tick,
                )
            finally:
                bar.stop()
            console.print(headline_table(metrics, language))
            if "bucket" in metrics["tuned"]["slices"]:
                console.print(bucket_table(metrics, language))
            scored, whole = metrics["rows"]["scored"], metrics["rows"]["of"]
            if scored < whole:
                console.print(phrase("sample", scored=scored, of=whole).text(language))
            where = evaluation_folder(folder, metrics["split"], **metrics["rows"])
            console.print(phrase("report", path=where / "report.html").text(language))


class _Bars:
    def __init__(self, console: Any, lang: Language) -> None:
        from tooltune.console import progress

        self.console, self.lang = console, lang
        self.bar = progress(console)
        self.bar.start()
        self.tasks: dict[str, Any] = {}

    def tick(self, name: str, done: int, of: int) -> None:
        if name not in self.tasks:
            from eval.words import phrase

            self.tasks[name] = self.bar.add_task(phrase(f"table.{name}").text(self.lang), total=of, note="")
            if not self.console.is_terminal:
                self.console.print(phrase(f"generating.{name}", of=of).text(self.lang))
        self.bar.update(self.tasks[name], completed=done)

    def stop(self) -> None:
        self.bar.stop()


app.command("score")(score_file)
app.command("compare")(compare_runs)
app.command("endpoint")(endpoint)
