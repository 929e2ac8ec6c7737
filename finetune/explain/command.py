"""`python -m finetune explain`: one row of a run, token by token."""

from pathlib import Path
from typing import Annotated

import typer

from tooltune.cli import DEBUG, Debug, Lang, errors_as_lines


def explain_command(
    run: Annotated[str | None, typer.Argument(help="a run's name or folder; the newest when left out")] = None,
    row: Annotated[str | None, typer.Option(help="the row's id; the first of the split when left out")] = None,
    adapter: Annotated[str, typer.Option(help="best, last, or base (the model before training)")] = "best",
    split: Annotated[str, typer.Option(help="validation, train or test")] = "validation",
    html: Annotated[Path | None, typer.Option(help="write a page instead of printing")] = None,
    lang: Lang = "ko",
    debug: Debug = DEBUG,
) -> None:
    """Show the probability of every right token of a row, its loss, and how they add up to eval_loss."""
    with errors_as_lines(debug):
        from finetune.explain import explain, read_subject, to_html, to_terminal
        from finetune.explain.subject import load_weights
        from tooltune.console import quiet
        from tooltune.files import writable
        from tooltune.run import find_run

        if html:
            writable(html)
        folder = find_run(run)
        subject = read_subject(folder, row, adapter=adapter, split=split)
        with quiet(folder / "log.txt") as console:
            model = load_weights(subject, console.print)
            explained = explain(model, subject.tokenizer, subject.example)
            if html:
                to_html(explained, subject, html, lang=lang)
                console.print(f"Written: {html}")
            else:
                to_terminal(explained, subject, console)
