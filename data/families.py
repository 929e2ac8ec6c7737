"""Rows that begin alike: families, found on sorted rows.

Training lays the rows of a family out behind one copy of what they share (finetune/shared_prefix.py); `data check`
says what that saves.
"""

from collections.abc import Sequence

SHORTEST = 32
"""Tokens. A shorter common prefix saves less than laying it out costs."""
KEPT = 0.75
"""A row joins a family only if at least this share of the family's prefix stays common."""


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids two sequences (lists or arrays) begin with alike."""
    import numpy as np

    both = min(len(one), len(other))
    (differing,) = np.nonzero(np.asarray(one[:both]) != np.asarray(other[:both]))
    return int(differing[0]) if len(differing) else both


def cut_by_prefix(leads: Sequence[Sequence[int]], shortest: int = SHORTEST) -> list[tuple[int, int]]:
    """Cut neighbouring rows into families: pairs (rows, shared ids), the shared ids 0 where a row stands alone.

    Args:
        leads: of each row the ids that may be shared.
    """
    found: list[tuple[int, int]] = []
    start = prefix = 0
    for row in range(1, len(leads) + 1):
        if row < len(leads):
            both = common(leads[start][: prefix or None], leads[row])
            if both >= shortest and (row == start + 1 or both >= KEPT * prefix):
                prefix = both
                continue
        found.append((row - start, prefix))
        start, prefix = row, 0
    return found
