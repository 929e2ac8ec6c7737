"""What a run shows for itself: its pages while it trains, and its closing words in the terminal."""

import traceback
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from finetune.diagnose import RunFinding, findings
from finetune.history import History, read_history
from finetune.rate import flops_text
from finetune.table import epoch_table
from finetune.words import phrase
from tooltune.launch import by_make
from tooltune.run import peak_gib
from tooltune.words import Language, Phrase, Say

SIGNS = {"fault": ("✗", "red"), "warning": ("!", "yellow"), "good": ("✓", "green"), "note": ("·", "cyan")}
SHOWN = 5
"""Findings in the terminal; the report page has them all, with what each means."""


def write_pages(run: Path, say: Say, *, pictures: bool = False) -> None:
    """Write the report page, and the pictures of its curves when asked for.

    A page is never worth a run: what goes wrong here is said in one line, with its traceback in the run's log.
    """
    from finetune.report import write_plots, write_run_page

    try:
        write_run_page(run)
        if pictures:
            write_plots(run)
    except Exception as e:
        traceback.print_exc()
        say(phrase("run.no_page", why=f"{type(e).__name__}: {e}"))


def tell(run: Path, console: Console, lang: Language = "en") -> None:
    """Print the run's closing words."""
    history = read_history(run)
    console.print(epoch_table(history.epochs, lang))
    for finding in findings(history)[:SHOWN]:
        console.print(line(finding, lang))
    for said in closing(run, history):
        console.print(said.text(lang))


def closing(run: Path, history: History) -> Iterator[Phrase]:
    """Time, pace, memory, and where everything is."""
    from finetune.report.trained import trained

    manifest = history.manifest
    if whole := trained(history):  # of all its parts, where it was interrupted
        took = {"minutes": whole.seconds / 60, "rate": whole.samples_per_second}
        yield phrase("end.trained", **took, gib=peak_gib(manifest))
    if found := pace_text(history):
        yield found
    memory, plan = manifest["peak_memory"], manifest["planned_memory"]
    if plan:
        sizes = {"allocated": memory["gpu_allocated_gib"], "reserved": memory["gpu_reserved_gib"]}
        yield phrase("end.planned", **sizes, planned=plan["tensors_gib"], expected=plan["expected_gib"])
    best = manifest["best"]
    yield phrase("end.best", step=best["step"], metric=best["metric"], value=best["value"], folder=run / "best")
    yield phrase("end.report", path=run / "report.html")
    yield phrase("end.next", command="make eval" if by_make() else "python -m eval run")


def pace_text(history: History) -> Phrase | None:
    """Tokens a second and the share of the machine's matmul rate in the training steps; None of a run without them."""
    from finetune.report.trained import pace

    found = pace(history)
    if found is None:
        return None
    again = "" if found.hfu is None else phrase("end.again", hfu=found.hfu)
    of = flops_text(history.manifest["matmul_gflops"])
    return phrase("end.pace", tokens=found.tokens_per_second, mfu=found.mfu, again=again, of=of)


def line(finding: RunFinding, lang: Language) -> Text:
    """Sign, title and advice of a finding, as text: row ids in it may look like markup."""
    sign, colour = SIGNS[finding.level]
    words = finding.text(lang)
    return Text.assemble((f"{sign} {words.title}. ", colour), words.advice)
