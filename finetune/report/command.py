"""`python -m finetune report`: a run's page and pictures, and two runs over each other."""

import webbrowser
from typing import Annotated

import typer

from finetune.words import phrase
from tooltune.cli import DEBUG, Debug, PageLang, errors_as_lines


def report_command(
    run: Annotated[str | None, typer.Argument(help="a run's name or folder; the newest when left out")] = None,
    other: Annotated[str | None, typer.Argument(help="another run, plotted over it and compared with it")] = None,
    lang: PageLang = None,
    open: Annotated[bool, typer.Option("--open/--no-open", help="show the page in the browser")] = True,
    debug: Debug = DEBUG,
) -> None:
    """Write a run's report.html and plots/*.png, and open the page."""
    with errors_as_lines(debug):
        from finetune.report import write_plots, write_run_page
        from tooltune.console import say as said
        from tooltune.run import find_run, looking
        from tooltune.words import saying, system_language

        say = saying(said, lang or system_language())
        folder = find_run(run)
        compared = find_run(other) if other else None
        with looking(folder):
            page = write_run_page(folder, other=compared, lang=lang or "ko")
            pictures = write_plots(folder, lang=lang or "ko")
        say(phrase("written", path=page))
        if pictures:
            say(phrase("written", path=phrase("written.pictures", n=len(pictures), folder=pictures[0].parent)))
        if open:
            webbrowser.open(page.resolve().as_uri())
