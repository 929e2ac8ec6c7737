"""How many rows of which kind each split and bucket holds. Everything that decides the mix is in this file."""

from dataclasses import dataclass

KINDS = ("single", "parallel", "multi_tool", "multi_turn", "missing", "ambiguous", "irrelevant", "invalid")
NO_CALL = KINDS[4:]


@dataclass(frozen=True)
class Bucket:
    """A group of rows of one split.

    Attributes:
        name: `train`, or the bucket of the test (T1 in-distribution, T2 unseen phrasing, T3 unseen composition,
            T4 unseen tools, T5 no call).
        kinds: kind of row → how many.
        pool: whose held-out grammar rules may be used: train (none), val or test.
        held: the least number of held-out rules that a row of this bucket shows.
        compose: chains and pairs of phenomena that training never has.
    """

    name: str
    kinds: dict[str, int]
    pool: str = "train"
    held: int = 0
    compose: bool = False


SPLITS: dict[str, tuple[Bucket, ...]] = {
    "train": (
        Bucket(
            "train",
            {
                "single": 740,
                "parallel": 260,
                "multi_tool": 320,
                "multi_turn": 180,
                "missing": 200,
                "ambiguous": 80,
                "irrelevant": 80,
                "invalid": 140,
            },
        ),
    ),
    "validation": (
        Bucket("T1", {"single": 42, "parallel": 9, "multi_tool": 4, "multi_turn": 5}),
        Bucket("T2", {"single": 68, "parallel": 11, "multi_turn": 11}, "val", held=2),
        Bucket("T3", {"multi_tool": 30, "parallel": 15}, "val", compose=True),
        Bucket("T5", {"missing": 20, "ambiguous": 8, "irrelevant": 14, "invalid": 13}, "val", held=1),
    ),
    "test": (
        Bucket("T1", {"single": 35, "parallel": 8, "multi_tool": 3, "multi_turn": 4}),
        Bucket("T2", {"single": 60, "parallel": 10, "multi_turn": 10}, "test", held=2),
        Bucket("T3", {"multi_tool": 20, "parallel": 12, "single": 8}, "test", compose=True),
        Bucket("T4", {"heldout": 30}),
        Bucket("T5", {"missing": 18, "ambiguous": 7, "irrelevant": 13, "invalid": 12}, "test", held=1),
    ),
}
LANGUAGES = {"ko": 0.80, "mixed": 0.08, "en": 0.12}
# Phenomena that a row is asked to show, where its slots allow it.
WANTS = {
    "": 0.42,
    "unit": 0.12,
    "number_form": 0.1,
    "unit_conversion": 0.13,
    "correction": 0.09,
    "distractor": 0.05,
    "typo": 0.04,
    "spacing": 0.03,
    "wrong_particle": 0.03,
    "full_width": 0.01,
}
# How the tools of a training or T1 row are written: as they are, under other names, or without parameter descriptions.
STYLES = {"": 0.78, "renamed": 0.13, "no_descriptions": 0.09}


def quota(bucket: Bucket) -> list[str]:
    """The kind of every row of a bucket, spread evenly so that any prefix has about the mix of the whole."""
    total = sum(bucket.kinds.values())
    left = dict(bucket.kinds)
    order = []
    for i in range(1, total + 1):
        behind = max(
            left,
            key=lambda k: (
                (bucket.kinds[k] * i / total - (bucket.kinds[k] - left[k]), bucket.kinds[k]) if left[k] else (-9, 0)
            ),
        )
        left[behind] -= 1
        order.append(behind)
    return order
