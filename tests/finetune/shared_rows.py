"""Random models of the families that share prefixes, and rows that do, as two cuts of passes lay them out."""

import random
from typing import Any

from data.render import IGNORED
from tests.tiny import random_model

FAMILIES = ("llama", "qwen2", "qwen3", "gemma3_text", "mistral")


def make(family: str) -> Any:
    """A random model of three layers, with a sliding window where the family has one."""
    sliding: dict[str, Any] = {"sliding_window": 24} if family in ("gemma3_text", "mistral") else {}
    if family == "gemma3_text":
        sliding["layer_types"] = ["sliding_attention", "full_attention", "sliding_attention"]
    return random_model(family, 3, attention="eager", **sliding)


def make_rows(seed: int = 0) -> list[dict[str, list[int]]]:
    """Three rows behind one prefix, one with two assistant turns; a row alone; two rows behind another prefix."""
    rng = random.Random(seed)

    def tokens(n: int) -> list[int]:
        return [rng.randrange(1, 100) for _ in range(n)]

    first, second = tokens(40), tokens(70)
    rows = [
        first + tokens(9),
        first + tokens(30),
        first + tokens(5),
        tokens(33),
        second + tokens(8),
        second + tokens(1),
    ]
    labels = [[IGNORED] * (len(row) - 4) + row[-4:] for row in rows]
    labels[1][45:50] = rows[1][45:50]  # an earlier turn of the assistant
    labels[5] = [IGNORED] * 70 + rows[5][70:]  # the prefix's last token predicts the first one of the suffix
    return [{"input_ids": ids, "labels": marks} for ids, marks in zip(rows, labels, strict=True)]


PASSES = {
    1000: [[(40, (9, 30, 5)), (33, ()), (70, (8, 1))]],
    83: [[(40, (9, 30))], [(45, ()), (33, ())], [(70, (8, 1))]],
}
