"""`python -m finetune preview`: rows as they are trained; `python -m finetune explain`: one row of a run's losses."""

from pathlib import Path
from typing import Annotated, Any

import typer

from finetune.arguments import config_from
from finetune.words import phrase
from tooltune.cli import DEBUG, LANG, BaseModel, Debug, PageLang, TerminalLang, errors_as_lines
from tooltune.words import system_language


def preview_command(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[PRESET|FILE] [KEY=VALUE ...]", help="as for train")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="rows to show, spread over the training split")] = 4,
    html: Annotated[Path | None, typer.Option(help="write a page instead of printing")] = None,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Show rows as the model sees them, each token coloured by what it is to the loss."""
    with errors_as_lines(debug):
        from data.load import evenly_spaced
        from finetune.inspect.preview import show, to_html, to_terminal
        from finetune.rows import describe_rows, prepare, read_rows
        from tooltune.console import Terminal, say
        from tooltune.files import writable

        if html:
            writable(html)
        _, config = config_from(arguments, say, lang)
        facts: list[Any] = []
        prepared = prepare(config, read_rows(config, lang), facts.append)
        for name, rendered in (("train", prepared.train), ("validation", prepared.validation)):
            facts.append(describe_rows(name, rendered, config.data.max_length))
        shown = [show(example, prepared.tokenizer) for example in evenly_spaced(prepared.train.examples, rows)]
        if html:
            to_html(shown, facts, html)
            say(phrase("written", path=html).text(lang))
        else:
            to_terminal(shown, facts, Terminal(), lang)


def explain_command(
    run: Annotated[str | None, typer.Argument(help="a run's name or folder; the newest when left out")] = None,
    row: Annotated[str | None, typer.Option(help="the row's id; the first of the split when left out")] = None,
    adapter: Annotated[str, typer.Option(help="best, last, or base (the model before training)")] = "best",
    split: Annotated[str, typer.Option(help="validation, train or test")] = "validation",
    model: BaseModel = None,
    html: Annotated[Path | None, typer.Option(help="write a page instead of printing")] = None,
    lang: PageLang = None,
    debug: Debug = DEBUG,
) -> None:
    """Show the probability of every right token of a row, its loss, and how they add up to eval_loss."""
    with errors_as_lines(debug):
        from finetune.inspect.explain_page import to_html
        from finetune.inspect.explain_terminal import to_terminal
        from finetune.inspect.explained import explain
        from finetune.inspect.subject import load_weights, read_subject
        from tooltune.console import quiet
        from tooltune.files import writable
        from tooltune.run import find_run

        if html:
            writable(html)
        folder = find_run(run)
        subject = read_subject(folder, row, adapter=adapter, split=split)
        with quiet(folder / "log.txt") as console:
            weights = load_weights(subject, console.print, model)
            explained = explain(weights, subject.tokenizer, subject.example)
            if html:
                to_html(explained, subject, html, lang=lang or "ko")
                console.print(phrase("written", path=html).text(lang or system_language()))
            else:
                to_terminal(explained, subject, console, lang or system_language())
