"""Which tool was called where which was right."""

from collections import Counter
from collections.abc import Iterable

from eval.scoring.sample import SampleScore


def confusion_table(scores: Iterable[SampleScore]) -> dict[str, dict[str, int]]:
    """Count pairs of calls: gold name → called name → number, rows and columns sorted, zeros left out.

    "(none)" as a row has each sample without gold calls once, (none) → (none) where it is right; as a column a gold
    call without any. Calls beyond gold's number are the row "(extra)". Calls of the same name are paired first, so a
    row's other columns are true mix-ups.
    """
    counts = Counter((gold, called) for score in scores for gold, called in score.confusion)
    table: dict[str, dict[str, int]] = {}
    for (gold, called), number in sorted(counts.items()):
        table.setdefault(gold, {})[called] = number
    return table
