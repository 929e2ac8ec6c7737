"""The description of a regular 3-D frame: small enough to store with every record, complete enough to rebuild it."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

Point = tuple[float, float, float]


@dataclass(frozen=True)
class ModelSpec:
    """A regular frame. Lengths in m, Z up; the defaults are the example frame of the documentation.

    Nodes are numbered x first, then y, storey by storey from the base; members storey by storey, all columns first,
    then for each floor its X-beams and its Y-beams.

    Attributes:
        bays_x, bays_y: bay widths along X and Y.
        heights: storey heights from the base up.
        first_node, node_step, first_member: numbering, so that models differ in their ids.
        base: support of every base node, "fixed" or "pinned".
        sections: registered section names (`H-…`, `B-…`, `P-…`, `RC-…`, `C-…`).
        column_section, beam_section: the ones in use.
        materials: registered grades; a section takes the first one of its kind (`RC-`/`C-` concrete, else steel).
        cases: load case name → type ("dead", "live", …); current: the case used when a call names none.
        combos: combination name → {case: factor}.
        stories: names of the floors above the base; base_story: the name of the base level.
    """

    bays_x: list[float] = field(default_factory=lambda: [6.0, 6.0])
    bays_y: list[float] = field(default_factory=lambda: [5.0])
    heights: list[float] = field(default_factory=lambda: [4.0, 3.5])
    first_node: int = 1
    node_step: int = 1
    first_member: int = 1
    base: str = "fixed"
    sections: list[str] = field(
        default_factory=lambda: ["H-400x200x8x13", "H-300x300x10x15", "H-500x200x10x16", "RC-400x600"]
    )
    column_section: str = "H-300x300x10x15"
    beam_section: str = "H-400x200x8x13"
    materials: list[str] = field(default_factory=lambda: ["SM355", "C24"])
    cases: dict[str, str] = field(
        default_factory=lambda: {"DL": "dead", "LL": "live", "WX": "wind", "EX": "seismic", "EY": "seismic"}
    )
    current: str = "DL"
    combos: dict[str, dict[str, float]] = field(
        default_factory=lambda: {
            "LCB1": {"DL": 1.4},
            "LCB2": {"DL": 1.2, "LL": 1.6},
            "LCB3": {"DL": 1.2, "LL": 1.0, "EX": 1.0},
        }
    )
    stories: list[str] = field(default_factory=lambda: ["2F", "RF"])
    base_story: str = "1F"

    def __post_init__(self) -> None:
        if not (self.bays_x and self.bays_y and self.heights):
            raise ValueError("a frame needs at least one bay in X, one in Y and one storey")
        if min([*self.bays_x, *self.bays_y, *self.heights]) <= 0:
            raise ValueError("bay widths and storey heights must be positive")
        if len(self.stories) != len(self.heights):
            raise ValueError(f"{len(self.heights)} storeys need {len(self.heights)} names, not {len(self.stories)}")
        if self.base not in ("fixed", "pinned"):
            raise ValueError(f"base must be 'fixed' or 'pinned', not {self.base!r}")
        if self.first_node < 1 or self.node_step < 1 or self.first_member < 1:
            raise ValueError("numbers start at 1 or above, and the step is at least 1")
        if missing := {self.column_section, self.beam_section} - set(self.sections):
            raise ValueError(f"sections in use are not registered: {', '.join(sorted(missing))}")
        if self.current not in self.cases:
            raise ValueError(f"the current load case {self.current!r} is not among the load cases")
        for name, factors in self.combos.items():
            if not set(factors) <= set(self.cases):
                raise ValueError(f"the combination {name!r} uses a load case that does not exist")

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "ModelSpec":
        """The spec from its JSON object; unknown keys raise ValueError, missing ones take the defaults."""
        known = {f.name for f in fields(cls)}
        if unknown := set(value) - known:
            raise ValueError(f"unknown keys of a model: {', '.join(sorted(unknown))}")
        return cls(**value)

    def to_dict(self) -> dict[str, Any]:
        """The spec as JSON data, complete."""
        return asdict(self)

    @property
    def levels(self) -> dict[str, float]:
        """Storey name → elevation (m), from the base up."""
        return dict(zip((self.base_story, *self.stories), running_sums(self.heights), strict=True))

    def nodes(self) -> dict[int, Point]:
        """Node number → (x, y, z) in m."""
        xs, ys = running_sums(self.bays_x), running_sums(self.bays_y)
        points = [(x, y, z) for z in self.levels.values() for y in ys for x in xs]
        return {self.first_node + i * self.node_step: p for i, p in enumerate(points)}

    def members(self) -> dict[int, tuple[int, int, str]]:
        """Member number → (start node, end node, kind), kind being "column" or "beam"."""
        nx, ny = len(self.bays_x) + 1, len(self.bays_y) + 1

        def node(level: int, row: int, column: int) -> int:
            return self.first_node + self.node_step * (level * nx * ny + row * nx + column)

        floors = range(1, len(self.heights) + 1)
        grid = [(r, c) for r in range(ny) for c in range(nx)]
        found = [(node(f - 1, r, c), node(f, r, c), "column") for f in floors for r, c in grid]
        for f in floors:
            found += [(node(f, r, c), node(f, r, c + 1), "beam") for r, c in grid if c + 1 < nx]
            found += [(node(f, r, c), node(f, r + 1, c), "beam") for r, c in grid if r + 1 < ny]
        return {self.first_member + i: m for i, m in enumerate(found)}


def running_sums(widths: list[float]) -> list[float]:
    """Grid coordinates (m) from bay widths, or elevations from heights, starting at 0."""
    result = [0.0]
    for width in widths:
        result.append(round(result[-1] + width, 9))
    return result


EXAMPLE = ModelSpec()
