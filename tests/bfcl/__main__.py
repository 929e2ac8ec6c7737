"""`python -m tests.bfcl`: is this scorer's verdict BFCL's, and where not, why?"""

from pathlib import Path
from typing import Annotated

import typer

from tooltune.cli import DEBUG, Debug, errors_as_lines, new_app, start


def bfcl(
    out: Annotated[Path | None, typer.Option(help="write the whole comparison here, as Markdown")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only so many questions of each category")] = None,
    debug: Debug = DEBUG,
) -> None:
    """Check the scorer against BFCL's on thousands of right and wrong answers (minutes; needs bfcl-eval)."""
    with errors_as_lines(debug):
        from rich.console import Console

        from tests.bfcl.checker import load_bfcl
        from tests.bfcl.crosscheck import crosscheck
        from tests.bfcl.items import CATEGORIES, load_items
        from tests.bfcl.report import markdown, summary
        from tooltune.console import progress
        from tooltune.errors import JobFailed
        from tooltune.files import atomic_write

        package = load_bfcl()
        items = [item for name in CATEGORIES for item in load_items(package.data, (name,))[:limit]]
        console = Console()
        with progress(console) as bar:
            task = bar.add_task("bfcl", total=len(items), note="")
            found = crosscheck(package, items, tick=lambda: bar.advance(task))
        if out:
            with atomic_write(out) as f:
                f.write(markdown(found, items))
        console.print(summary(found), highlight=False)
        for (rule, theirs), ways in sorted(found.explained.items(), key=lambda e: -sum(e[1].values())):
            console.print(
                f"  {sum(ways.values()):6} {rule} (accepted by {'BFCL' if theirs else 'us'})", highlight=False
            )
        if found.unexplained:
            number, way, theirs, word, text = found.unexplained[0]
            raise JobFailed(
                f"no rule explains why {number} ({way}) is {'right' if theirs else f'wrong ({word})'} for BFCL alone",
                fix=f"the output: {text[:300]!r}",
            )


app = new_app()
app.command()(bfcl)

if __name__ == "__main__":
    start(app, "python -m tests.bfcl")
