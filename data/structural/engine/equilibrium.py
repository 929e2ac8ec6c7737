"""Does the applied load come out at the supports? The expected force is worked out from the call's own words.

The unit table and the local axes are written again here, apart from the rest of the engine, so that a slip in one
of the two shows up as a difference.
"""

from typing import Any

from data.structural.engine.floor_loads import panels
from data.structural.engine.model import Point
from data.structural.engine.properties import properties
from data.structural.engine.result import Refusal
from data.structural.engine.solver import base_resultant, cross, solve
from data.structural.engine.state import Load, State

KN = {"kN": 1.0, "N": 0.001, "kgf": 0.00980665, "tonf": 9.80665}
UNIT_VECTORS: dict[str, Point] = {"X": (1.0, 0.0, 0.0), "Y": (0.0, 1.0, 0.0), "Z": (0.0, 0.0, 1.0)}
TOLERANCE = 1e-6
Resultant = list[float]
"""Force (kN) at the origin and its moment (kN-m): [FX, FY, FZ, MX, MY, MZ]."""


def expected(state: State, call: dict[str, Any]) -> Resultant:
    """The resultant of one load call, from its arguments and the geometry alone."""
    name, a, t = call["name"], call["arguments"], state.tables
    scale = KN[a["unit"].split("/")[0].split("-")[0]] if "unit" in a else 1.0
    value = scale * a.get("value", 0.0)
    if name == "add_nodal_load":
        return _at(t.nodes[a["node_id"]], _times(UNIT_VECTORS[a["direction"]], value))
    if name == "add_nodal_moment":
        return [0.0, 0.0, 0.0, *_times(UNIT_VECTORS[a["axis"]], value)]
    if name == "add_member_point_load":
        i, j = _ends(state, a["member_id"])
        ratio = a["position"] / _distance(i, j) if a.get("position_type") == "distance" else a["position"]
        return _at(_between(i, j, ratio), _times(_axis(i, j, a["direction"]), value))
    if name == "add_member_distributed_load":
        i, j = _ends(state, a["member_id"])
        last = scale * a.get("end_value", a["value"])
        start, end = a.get("start", 0.0), a.get("end", 1.0)
        axis, piece = _axis(i, j, a["direction"]), _distance(i, j) * (end - start)
        # A trapezoid is two triangles, their forces at a third from either end.
        first = _at(_between(i, j, start + (end - start) / 3), _times(axis, value * piece / 2))
        second = _at(_between(i, j, start + (end - start) * 2 / 3), _times(axis, last * piece / 2))
        return _plus(first, second)
    if name == "add_floor_load":
        z = state.levels[a["story"]]
        total = [0.0] * 6
        for p in panels(t, z, a.get("distribution", "two_way")):
            total = _plus(total, _at((p.x + p.lx / 2, p.y + p.ly / 2, z), (0.0, 0.0, -value * p.lx * p.ly)))
        return total
    if name == "add_self_weight":
        total = [0.0] * 6
        for member, m in t.members.items():
            i, j = _ends(state, member)
            section = t.sections[m.section]
            weight = properties(section).area * t.materials[section.material].unit_weight * _distance(i, j)
            total = _plus(total, _at(_between(i, j, 0.5), (0.0, 0.0, -a.get("factor", 1.0) * weight)))
        return total
    return [0.0] * 6


def imbalance(state: State, loads: list[Load], applied: Resultant) -> str:
    """Solve the state's frame under `loads` only; say how reactions and `applied` differ, "" when they balance."""
    t = state.tables.copy()
    case = "equilibrium"
    t.cases, t.combos, t.current = {case: "dead"}, {}, case
    t.loads = [Load(x.kind, case, x.target, x.direction, x.values, x.place) for x in loads]
    frame = State(t, state.levels)
    try:
        reactions = base_resultant(frame, solve(frame, [case])[case])
    except Refusal as refusal:
        return str(refusal)
    largest = max(1.0, *(abs(v) for v in applied))
    gaps = [abs(r + f) for r, f in zip(reactions, applied, strict=True)]
    if max(gaps) <= TOLERANCE * largest:
        return ""
    worst = gaps.index(max(gaps))
    name = ("FX", "FY", "FZ", "MX", "MY", "MZ")[worst]
    return f"reactions and load differ in {name}: {reactions[worst]:g} against {-applied[worst]:g}"


def _ends(state: State, member: int) -> tuple[Point, Point]:
    m = state.tables.members[member]
    return state.tables.nodes[m.i], state.tables.nodes[m.j]


def _axis(i: Point, j: Point, name: str) -> Point:
    """The unit vector of a global axis, or of a local one: x along, z up (columns: z along +X), y = z × x."""
    if name in UNIT_VECTORS:
        return UNIT_VECTORS[name]
    span = _distance(i, j)
    x = ((j[0] - i[0]) / span, (j[1] - i[1]) / span, (j[2] - i[2]) / span)
    upright = abs(x[0]) < 1e-9 and abs(x[1]) < 1e-9
    side = cross((1.0, 0.0, 0.0) if upright else (0.0, 0.0, 1.0), x)
    y = _times(side, 1 / _distance((0.0, 0.0, 0.0), side))
    return {"local_x": x, "local_y": y, "local_z": cross(x, y)}[name]


def _at(place: Point, force: Point) -> Resultant:
    return [*force, *cross(place, force)]


def _between(i: Point, j: Point, ratio: float) -> Point:
    return (i[0] + ratio * (j[0] - i[0]), i[1] + ratio * (j[1] - i[1]), i[2] + ratio * (j[2] - i[2]))


def _distance(i: Point, j: Point) -> float:
    return float(((i[0] - j[0]) ** 2 + (i[1] - j[1]) ** 2 + (i[2] - j[2]) ** 2) ** 0.5)


def _times(v: Point, factor: float) -> Point:
    return v[0] * factor, v[1] * factor, v[2] * factor


def _plus(a: Resultant, b: Resultant) -> Resultant:
    return [x + y for x, y in zip(a, b, strict=True)]
