"""Figures that others published, beside ours: what a GPU result is read against.

Another card, other rows and often an older library: no ratio is made of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.report.numbers import figure
from benchmarks.report.tables import Cell, Table, median, shape_name, summary_of
from benchmarks.report.words import say
from tooltune.words import Phrase


@dataclass(frozen=True)
class Anchor:
    """A published figure.

    Attributes:
        what: as the table calls it.
        model: part of the model's name, in lower case.
        shape: of ours that stands beside it.
        arms: of ours that do what was done there, as `train` and as `planner` call them.
        card: theirs; empty where the source names none.
        tokens: a second; None where the source has none.
        memory: peak, in the source's own unit.
    """

    what: Phrase
    model: str
    shape: str
    arms: tuple[str, ...]
    card: str
    tokens: float | None
    memory: str


ANCHORS = (
    Anchor(say("anchor.chunked"), "qwen2.5-1.5b", "1x1024", ("unsloth",), "RTX 3050 Ti", 499, "2.95 GB"),
    Anchor(say("anchor.plain"), "qwen2.5-1.5b", "1x1024", ("hf-trainer", "full"), "RTX 4080", 2483, "4.36 GiB"),
    Anchor(say("anchor.notebook"), "gemma-3-270m", "1x2048", ("unsloth",), "", None, "10.5 GB"),
)


@dataclass(frozen=True)
class Ours:
    """What one arm took on one shape."""

    model: str
    shape: str
    name: Cell
    arm: str
    tokens: float | None
    reserved_gib: float | None


def anchors(result: dict[str, Any]) -> Table | None:
    """The published figures with a figure of this result beside each; None where it has none that belongs there."""
    if result["device"]["kind"] != "cuda" or result["kind"] not in ("train", "planner"):
        return None
    rows: list[list[Cell]] = [
        [
            anchor.what,
            anchor.card or "–",
            figure(anchor.tokens),
            anchor.memory,
            ours.arm,
            ours.name,
            figure(ours.tokens),
            f"{figure(ours.reserved_gib)} GiB",
        ]
        for anchor in ANCHORS
        for ours in _ours(result)
        if anchor.model in ours.model.lower() and anchor.shape == ours.shape and ours.arm in anchor.arms
    ]
    theirs = [("published", False), ("card", False), ("tokens", True), ("memory_used", True)]
    mine = [("arm", False), ("shape", False), ("tokens", True), ("memory_reserved", True)]
    columns = [(say(f"column.{key}"), figures) for key, figures in [*theirs, *mine]]
    return Table(say("table.anchors", device=result["device"]["name"]), columns, rows) if rows else None


def _ours(result: dict[str, Any]) -> Iterator[Ours]:
    if result["kind"] == "planner":
        for case in result["arms"]:
            if case["status"] == "ok":
                name = shape_name(case)
                yield Ours(case["model"], case["shape"], name, case["engine"], None, case["reserved_gib"])
        return
    for shape in result["shapes"]:
        for arm in shape["arms"]:
            if result["valid"] and summary_of(arm, "tokens_per_second"):
                yield Ours(
                    result["config"]["model"]["name"],
                    shape["shape"],
                    shape_name(shape),
                    arm["arm"],
                    median(arm, "tokens_per_second"),
                    median(arm, "peak_reserved_gib"),
                )
