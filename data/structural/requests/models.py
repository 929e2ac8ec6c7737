"""The structural models that requests are about. Each split has its own; a request never crosses over."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from data.structural.engine.model import ModelSpec
from data.structural.language.speaker import T

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
class Model:
    """A regular frame: nodes x first, then y, storey by storey; columns, then X- and Y-beams of each storey."""

    id: str
    bays_x: tuple[float, ...]
    bays_y: tuple[float, ...]
    heights: tuple[float, ...]
    first_node: int
    first_member: int
    support: str
    sections: tuple[str, ...]
    materials: tuple[str, ...]
    load_cases: tuple[tuple[str, str], ...]
    current: str
    combos: dict[str, dict[str, float]] = field(hash=False)
    stories: tuple[str, ...] = ()

    @property
    def per_level(self) -> int:
        return (len(self.bays_x) + 1) * (len(self.bays_y) + 1)

    @property
    def nodes(self) -> list[int]:
        return list(range(self.first_node, self.first_node + self.per_level * (len(self.heights) + 1)))

    @property
    def supports(self) -> list[int]:
        return self.nodes[: self.per_level]

    @property
    def free_nodes(self) -> list[int]:
        return self.nodes[self.per_level :]

    @property
    def columns(self) -> list[int]:
        return list(range(self.first_member, self.first_member + self.per_level * len(self.heights)))

    @property
    def beams(self) -> list[int]:
        nx, ny = len(self.bays_x), len(self.bays_y)
        start = self.first_member + len(self.columns)
        return list(range(start, start + (nx * (ny + 1) + ny * (nx + 1)) * len(self.heights)))

    @property
    def members(self) -> list[int]:
        return self.columns + self.beams

    @property
    def cases(self) -> list[str]:
        return [name for name, _ in self.load_cases]

    def length(self, member: int) -> float:
        """The length of a member in m."""
        if member in self.columns:
            return self.heights[(member - self.first_member) // self.per_level]
        nx, ny = len(self.bays_x), len(self.bays_y)
        place = (member - self.beams[0]) % (nx * (ny + 1) + ny * (nx + 1))
        if place < nx * (ny + 1):
            return self.bays_x[place % nx]
        return self.bays_y[(place - nx * (ny + 1)) // (nx + 1)]

    def ends(self, member: int) -> tuple[int, int]:
        """The i- and j-node of a member."""
        nx, ny, level = len(self.bays_x), len(self.bays_y), self.per_level
        if member in self.columns:
            start = self.first_node + member - self.first_member
            return start, start + level
        storey, place = divmod(member - self.beams[0], nx * (ny + 1) + ny * (nx + 1))
        base = self.first_node + (storey + 1) * level
        if place < nx * (ny + 1):
            start = base + place // nx * (nx + 1) + place % nx
            return start, start + 1
        start = base + place - nx * (ny + 1)
        return start, start + nx + 1

    def case_of(self, kind: str) -> str:
        """The first load case of a type, or the empty string."""
        return next((name for name, type_ in self.load_cases if type_ == kind), "")

    @property
    def spec(self) -> ModelSpec:
        """The engine's description of this model: what a row's `meta.model` holds."""
        return ModelSpec(
            bays_x=list(self.bays_x),
            bays_y=list(self.bays_y),
            heights=list(self.heights),
            first_node=self.first_node,
            first_member=self.first_member,
            base=self.support,
            sections=list(self.sections),
            column_section=self.sections[0],
            beam_section=self.sections[0],
            materials=list(self.materials),
            cases=dict(self.load_cases),
            current=self.current,
            combos=self.combos,
            stories=list(self.stories),
        )


def make_model(split: str, number: int) -> Model:
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
    return Model(
        id=f"{split}-{number:02d}",
        bays_x=tuple(at(bay) for _ in range(at((1, 2, 2, 3)))),
        bays_y=tuple(at(bay) for _ in range(at((1, 1, 2)))),
        heights=tuple(at(_HEIGHTS[split]) for _ in range(stories)),
        first_node=first,
        first_member=first,
        support=at(("fixed", "fixed", "pinned")),
        sections=(steel, other, concrete) if rng.random() < 0.3 else (steel, concrete),
        materials=("SM355", "C24") if rng.random() < 0.6 else ("SM275", "C27"),
        load_cases=cases,
        current=at((dead, dead, live)),
        combos=combos,
        stories=names,
    )
