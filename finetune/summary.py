"""What a run shows for itself: its pages while it trains, and its closing words in the terminal."""

import traceback
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from finetune.diagnose import RunFinding, findings
from finetune.history import History, read_history
from finetune.rate import flops_text
from finetune.table import epoch_table
from tooltune.run import peak_gib

SIGNS = {"fault": ("✗", "red"), "warning": ("!", "yellow"), "good": ("✓", "green"), "note": ("·", "cyan")}
SHOWN = 5
"""Findings in the terminal; the report page has them all, with what each means."""


def write_pages(run: Path, say: Callable[[str], None], *, pictures: bool = False) -> None:
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
        say(f"The report page could not be written ({type(e).__name__}: {e}); the run is not affected")


def tell(run: Path, console: Console) -> None:
    """Print the run's closing words."""
    history = read_history(run)
    console.print(epoch_table(history.epochs))
    for finding in findings(history)[:SHOWN]:
        console.print(line(finding))
    end, manifest = history.end, history.manifest
    assert end is not None  # the trainer logs it last
    memory = manifest["peak_memory"]
    console.print(
        f"Trained in {end['train_runtime'] / 60:.1f} min, {end['train_samples_per_second']} samples/s; "
        f"peak memory {peak_gib(manifest)} GiB"
    )
    if text := pace_text(history):
        console.print(text)
    plan = manifest["planned_memory"]
    if plan:
        console.print(
            f"GPU tensors {memory['gpu_allocated_gib']:.2f} GiB (planned {plan['tensors_gib']:.2f}), "
            f"reserved {memory['gpu_reserved_gib']:.2f} (expected in use {plan['expected_gib']:.2f})"
        )
    best = manifest["best"]
    console.print(f"Best: step {best['step']} ({best['metric']} {best['value']:.4f}), in {run / 'best'}")
    console.print(f"Report: {run / 'report.html'}")
    console.print("Next: make eval")


def pace_text(history: History) -> str | None:
    """Tokens a second and the share of the machine's matmul rate in the training steps; None of a run without them."""
    from finetune.report.trained import pace

    found = pace(history)
    if found is None:
        return None
    again = "" if found.hfu is None else f" ({found.hfu:.0%} with what is recomputed)"
    of = flops_text(history.manifest["matmul_gflops"])
    return f"In its steps {found.tokens_per_second:,.0f} tokens/s, MFU {found.mfu:.0%}{again} of {of}"


def line(finding: RunFinding) -> Text:
    """Sign, title and advice of a finding, as text: row ids in it may look like markup."""
    sign, colour = SIGNS[finding.level]
    words = finding.text("en")
    return Text.assemble((f"{sign} {words.title}. ", colour), words.advice)
