"""Optimal assignment: the pairs of rows and columns with the largest total weight."""

from collections.abc import Sequence

MAX_WORK = 3_000_000
"""Up to small² · large steps (144 × 144, or 12 rows × 20,000 columns: a second or two) the result is optimal."""


def best_pairs(weights: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Pair rows with columns, each used at most once, so that the sum of weights is largest.

    Every row or every column is paired, whichever are fewer. Weights are exact integers of any size. Beyond MAX_WORK
    steps the pairs are taken greedily, heaviest first: still valid, perhaps not the best.

    Args:
        weights: a rectangular table, rows × columns.

    Returns:
        (row, column) pairs in row order.
    """
    if not weights or not weights[0]:
        return []
    if len(weights) > len(weights[0]):
        return sorted((i, j) for j, i in best_pairs(list(zip(*weights, strict=True))))
    if len(weights) ** 2 * len(weights[0]) > MAX_WORK:
        return _greedy(weights)
    return _hungarian(weights)


def _hungarian(weights: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """The Hungarian method (Kuhn 1955, Munkres 1957) by shortest augmenting paths with potentials; rows ≤ columns.

    Column `columns` is an artificial start. `row_of[j]` is the row that holds column j. For each new row the tree of
    tight columns grows by the smallest slack until it reaches a free column; then the path back to the start changes
    hands.
    """
    rows, columns = len(weights), len(weights[0])
    start = columns
    row_price, column_price = [0] * rows, [0] * (columns + 1)
    row_of: list[int] = [-1] * (columns + 1)
    for row in range(rows):
        row_of[start] = row
        slack: dict[int, int] = {}
        previous: dict[int, int] = {}
        outside = set(range(columns))
        tree = [start]
        here = start
        while row_of[here] >= 0:
            r = row_of[here]
            line, price = weights[r], row_price[r]
            for j in outside:
                gap = price - line[j] - column_price[j]
                if j not in slack or gap < slack[j]:
                    slack[j], previous[j] = gap, here
            here = min(outside, key=lambda j: (slack[j], j))
            step = slack[here]
            for j in tree:
                row_price[row_of[j]] -= step
                column_price[j] -= step
            for j in outside:
                slack[j] -= step
            outside.remove(here)
            tree.append(here)
        while here != start:
            row_of[here] = row_of[previous[here]]
            here = previous[here]
        row_of[start] = -1
    return sorted((row_of[j], j) for j in range(columns) if row_of[j] >= 0)


def _greedy(weights: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Take the heaviest cell whose row and column are still free, until the rows are used up."""
    cells = sorted(((-w, i, j) for i, line in enumerate(weights) for j, w in enumerate(line)))
    rows: set[int] = set()
    columns: set[int] = set()
    pairs = []
    for _, i, j in cells:
        if i not in rows and j not in columns:
            rows.add(i)
            columns.add(j)
            pairs.append((i, j))
    return sorted(pairs)
