"""The structural models that requests are about. Each split has its own; a request never crosses over."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeVar

from data.structural.engine.model import EXAMPLE, ModelSpec

T = TypeVar("T")
_BAYS = {"train": (5, 6, 7.5, 8, 9), "validation": (5.5, 6.5, 8.4), "test": (4.5, 7, 7.2)}
_HEIGHTS = {"train": (3.5, 4, 4.2, 3.3), "validation": (3.4, 3.8), "test": (3.6, 3.9)}
_STEEL = {
    "train": (
        "H-400x200x8x13",
        "H-300x300x10x15",
        "H-500x200x10x16",
        "H-350x175x7x11",
        "H-250x250x9x14",
        "H-600x200x11x17",
        "H-450x200x9x14",
        "H-300x150x6.5x9",
    ),
    "validation": ("H-390x300x10x16", "H-244x175x7x11", "H-346x174x6x9"),
    "test": ("H-488x300x11x18", "H-294x200x8x12", "H-588x300x12x20", "H-200x200x8x12"),
}
_CONCRETE = {
    "train": ("RC-400x600", "RC-500x500", "RC-300x500", "RC-400x400", "RC-600x600"),
    "validation": ("RC-450x650", "RC-550x550"),
    "test": ("RC-350x700", "RC-650x650", "RC-400x800"),
}
_CASES = (("WX", "wind"), ("WY", "wind"), ("EX", "seismic"), ("EY", "seismic"), ("SL", "snow"))
_NAMES = {  # how an office names its load cases; every split has one style of its own
    "train": (
        {},
        {},
        {"DL": "DEAD", "LL": "LIVE", "WX": "WINDX", "WY": "WINDY", "EX": "EQX", "EY": "EQY", "SL": "SNOW"},
    ),
    "validation": ({}, {"DL": "D", "LL": "L", "WX": "W1", "WY": "W2", "EX": "E1", "EY": "E2", "SL": "S"}),
    "test": ({}, {"DL": "DL1", "LL": "LL1", "WX": "WX1", "WY": "WY1", "EX": "EX1", "EY": "EY1", "SL": "SL1"}),
}
COUNTS = {"train": 60, "validation": 16, "test": 20}


@dataclass(frozen=True)
class Frame:
    """A model to speak of.

    Attributes:
        spec: the engine's description.
        stories: the floors that are named.
    """

    id: str
    spec: ModelSpec
    stories: tuple[str, ...]

    @property
    def per_level(self) -> int:
        return (len(self.spec.bays_x) + 1) * (len(self.spec.bays_y) + 1)

    @cached_property
    def nodes(self) -> list[int]:
        return list(self.spec.nodes())

    @property
    def supports(self) -> list[int]:
        return self.nodes[: self.per_level]

    @property
    def free_nodes(self) -> list[int]:
        return self.nodes[self.per_level :]

    @cached_property
    def columns(self) -> list[int]:
        return [number for number, (_, _, kind) in self.spec.members().items() if kind == "column"]

    @cached_property
    def beams(self) -> list[int]:
        return [number for number, (_, _, kind) in self.spec.members().items() if kind == "beam"]

    @property
    def members(self) -> list[int]:
        return self.columns + self.beams

    @property
    def cases(self) -> list[str]:
        return list(self.spec.cases)

    def length(self, member: int) -> float:
        """The length of a member in m."""
        points, (start, end, _) = self.spec.nodes(), self.spec.members()[member]
        return round(math.dist(points[start], points[end]), 6)

    def case_of(self, kind: str) -> str:
        """The first load case of a type, or the empty string."""
        return next((name for name, type_ in self.spec.cases.items() if type_ == kind), "")


def make_frame(split: str, number: int) -> Frame:
    """The numbered model of a split; the same on every machine."""
    rng = random.Random(f"model:{split}:{number}")

    def at(options: Sequence[T]) -> T:
        return options[int(rng.random() * len(options))]

    bay = _BAYS[split]
    stories = at((1, 2, 2, 2, 3))
    names = {1: ("RF",), 2: ("2F", "RF"), 3: ("2F", "3F", "RF")}[stories]
    style = at(_NAMES[split])
    lateral = [(style.get(n, n), t) for n, t in _CASES]
    start = int(rng.random() * 3)
    dead, live = style.get("DL", "DL"), style.get("LL", "LL")
    cases = ((dead, "dead"), (live, "live"), *sorted((lateral[start : start + 3]), key=lambda c: c[0]))
    quake = next((n for n, t in cases if t in ("seismic", "wind")), live)
    combos = {"LCB1": {dead: 1.4}, "LCB2": {dead: 1.2, live: 1.6}, "LCB3": {dead: 1.2, live: 1.0, quake: 1.0}}
    if rng.random() < 0.4:
        combos["LCB4"] = {dead: 0.9, quake: 1.0}
    steel, concrete = at(_STEEL[split]), at(_CONCRETE[split])
    other = at([s for s in _STEEL[split] if s != steel])
    first = at((1, 1, 1, 101, 11))
    spec = ModelSpec(
        bays_x=[at(bay) for _ in range(at((1, 2, 2, 3)))],
        bays_y=[at(bay) for _ in range(at((1, 1, 2)))],
        heights=[at(_HEIGHTS[split]) for _ in range(stories)],
        first_node=first,
        first_member=first,
        base=at(("fixed", "fixed", "pinned")),
        sections=[steel, other, concrete] if rng.random() < 0.3 else [steel, concrete],
        column_section=steel,
        beam_section=steel,
        materials=["SM355", "C24"] if rng.random() < 0.6 else ["SM275", "C27"],
        cases=dict(cases),
        current=at((dead, dead, live)),
        combos=combos,
        stories=list(names),
    )
    return Frame(f"{split}-{number:02d}", spec, names)


def spec_of(meta: dict[str, Any]) -> ModelSpec:
    """The frame that a row is about: its `meta.model`, or the one that `meta.model_id` names (of a training row, or the
    example of the hand-written ones).

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is none of this dataset.
    """
    return ModelSpec.from_dict(meta["model"]) if "model" in meta else _made(meta["model_id"])


@cache
def _made(model_id: str) -> ModelSpec:
    if model_id == "example":
        return EXAMPLE
    split, number = model_id.split("-")
    if int(number) >= COUNTS[split]:
        raise ValueError(f"no model {model_id}")
    return make_frame(split, int(number)).spec
