"""The bridge to PyNiteFEA: our model (Z up) in, displacements, reactions and member forces out.

Pynite has Y up. A point (X, Y, Z) becomes (X, Z, -Y), forces and moments likewise. Local axes here are those of a
program with Z up: x from i to j, z up for beams and along +X for columns, y = z × x; so local z is Pynite's y and local
y is minus Pynite's z. Pynite is imported when a model is first solved.
"""

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from data.structural.engine.edits import restrained
from data.structural.engine.floor_loads import strips
from data.structural.engine.properties import properties
from data.structural.engine.result import Refusal, unstable
from data.structural.engine.state import Load, State, Tables, length

AXES = {"X": ("X", 1.0), "Y": ("Z", -1.0), "Z": ("Y", 1.0)}
MEMBER_AXES = {f: (f"F{axis}", sign) for f, (axis, sign) in AXES.items()} | {
    "local_x": ("Fx", 1.0),
    "local_y": ("Fz", -1.0),
    "local_z": ("Fy", 1.0),
}


@dataclass(frozen=True)
class SolvedPart:
    """One solved combination of a Pynite FEModel3D, and how much of it counts."""

    model: Any
    combo: str
    factor: float = 1.0


@dataclass(frozen=True)
class Solved:
    """The results of one load case or combination: a sum of solved parts; none where nothing is loaded.

    `factors` says how much of each load case is in it.
    """

    name: str
    factors: dict[str, float]
    parts: tuple[SolvedPart, ...]


def solve(state: State, names: list[str], *, p_delta: bool = False) -> dict[str, Solved]:
    """Solve the named load cases and combinations. Raises Refusal "unstable_model" when the frame is a mechanism.

    First order solves the loaded cases once and adds them up; P-Delta solves every name for itself.
    """
    t = state.tables
    factors = {name: t.combos.get(name) or {name: 1.0} for name in names}
    loaded = {x.case for x in t.loads}
    if p_delta:
        parts = _solve_each(state, factors, p_delta=True)
        return {name: Solved(name, factors[name], (parts[name],)) for name in names}
    cases = [c for c in t.cases if c in loaded and any(c in f for f in factors.values())]
    # An unloaded frame is still solved once, so that a mechanism is noticed.
    parts = _solve_each(state, {c: {c: 1.0} for c in cases} or {names[0]: {}}, p_delta=False)
    return {
        name: Solved(name, f, tuple(replace(parts[c], factor=f[c]) for c in cases if c in f))
        for name, f in factors.items()
    }


def solve_alone(state: State, name: str) -> SolvedPart:
    """One load case or combination solved as a whole, first order: its model knows the axial forces together."""
    return _solve_each(state, {name: state.tables.combos.get(name) or {name: 1.0}}, p_delta=False)[name]


def _solve_each(state: State, combos: dict[str, dict[str, float]], *, p_delta: bool) -> dict[str, SolvedPart]:
    """Pynite imposes displacements on every combination alike, so each one with a settlement gets its own model."""
    moved = {x.case for x in state.tables.loads if x.kind == "settlement"}
    shared = [n for n in combos if not moved & set(combos[n])]
    result: dict[str, SolvedPart] = {}
    for group in [shared] * bool(shared) + [[n] for n in combos if n not in shared]:
        model = assemble(state)
        for name in group:
            model.add_load_combo(name, combos[name])
        if group is not shared:
            _impose(model, state.tables, combos[group[0]])
        _analyse(model, p_delta)
        result |= {name: SolvedPart(model, name) for name in group}
    return result


def assemble(state: State) -> Any:
    """A Pynite model of everything that is connected, with all loads by load case and no combination yet."""
    from Pynite import FEModel3D

    t = state.tables
    if not t.members:
        raise Refusal("unstable_model", "부재가 없습니다", "the model has no members")
    model = FEModel3D()
    for n in attached(t):
        x, y, z = t.nodes[n]
        model.add_node(str(n), x, z, -y)
        support, held = t.supports.get(n, ""), restrained(t.supports.get(n, ""))
        turned = support == "fixed"
        model.def_support(str(n), "X" in held, "Z" in held, "Y" in held, turned, turned, turned)
    for (n, axis), stiffness in t.springs.items():
        if str(n) in model.nodes and axis not in restrained(t.supports.get(n, "")):
            model.def_support_spring(str(n), f"D{AXES[axis][0]}", stiffness)
    for name, m in t.materials.items():
        model.add_material(name, m.e, m.e / (2 * (1 + m.nu)), m.nu, m.unit_weight)
    for name in {m.section for m in t.members.values()}:
        p = properties(t.sections[name])
        model.add_section(name, p.area, p.i_weak, p.i_strong, p.j)
    for n, member in t.members.items():
        a, b = t.nodes[member.i], t.nodes[member.j]
        rising = abs(a[0] - b[0]) < 1e-9 and abs(a[1] - b[1]) < 1e-9 and b[2] > a[2]
        section = t.sections[member.section]
        model.add_member(str(n), str(member.i), str(member.j), section.material, member.section, 180.0 * rising)
        ends = [(n, end) in t.releases for end in ("i", "j")]
        if any(ends):
            model.def_releases(str(n), Ryi=ends[0], Rzi=ends[0], Ryj=ends[1], Rzj=ends[1])
    for load in t.loads:
        _apply(model, state, load)
    return model


def attached(t: Tables) -> list[int]:
    """Nodes that a member reaches; a loose node would make the stiffness matrix singular."""
    return sorted({n for m in t.members.values() for n in (m.i, m.j)})


def displacement(solved: Solved, node: int) -> dict[str, float]:
    """DX, DY, DZ (m) and RX, RY, RZ (rad) of a node."""

    def of(part: SolvedPart) -> tuple[float, ...]:
        n, c = part.model.nodes[str(node)], part.combo
        return n.DX[c], -n.DZ[c], n.DY[c], n.RX[c], -n.RZ[c], n.RY[c]

    return _sum(solved, ("DX", "DY", "DZ", "RX", "RY", "RZ"), of)


def reaction(solved: Solved, node: int) -> dict[str, float]:
    """FX, FY, FZ (kN) and MX, MY, MZ (kN-m) that a support, spring or not, exerts on the structure."""

    def of(part: SolvedPart) -> tuple[float, ...]:
        n, c = part.model.nodes[str(node)], part.combo
        return n.RxnFX[c], -n.RxnFZ[c], n.RxnFY[c], n.RxnMX[c], -n.RxnMZ[c], n.RxnMY[c]

    return _sum(solved, ("FX", "FY", "FZ", "MX", "MY", "MZ"), of)


def member_force(state: State, solved: Solved, member: int, ratio: float) -> dict[str, float]:
    """N (tension +), Vy, Vz, T (kN, kN-m), My (strong axis, sagging +) and Mz at a ratio of the member's length."""

    def of(part: SolvedPart) -> tuple[float, ...]:
        m, c = part.model.members[str(member)], part.combo
        x = m.L() * ratio
        shear, moment = (-m.shear("Fz", x, c), m.shear("Fy", x, c)), (-m.moment("Mz", x, c), m.moment("My", x, c))
        return -m.axial(x, c), *shear, m.torque(x, c), *moment

    forces = _sum(solved, ("N", "Vy", "Vz", "T", "My", "Mz"), of)
    forces["N"] -= _thermal(state, solved, member)
    return forces


def _sum(solved: Solved, keys: tuple[str, ...], of: Callable[[SolvedPart], tuple[float, ...]]) -> dict[str, float]:
    total = dict.fromkeys(keys, 0.0)
    for part in solved.parts:
        for key, value in zip(keys, of(part), strict=True):
            total[key] += part.factor * float(value)
    return total


def base_resultant(state: State, solved: Solved) -> list[float]:
    """All reactions as one force (kN) at the origin and its moment (kN-m): [FX, FY, FZ, MX, MY, MZ]."""
    total, here = [0.0] * 6, set(attached(state.tables))
    for n in sorted((set(state.tables.supports) | {n for n, _ in state.tables.springs}) & here):
        r = list(reaction(solved, n).values())
        arm = cross(state.tables.nodes[n], (r[0], r[1], r[2]))
        total = [s + v for s, v in zip(total, [*r[:3], *(m + a for m, a in zip(r[3:], arm, strict=True))], strict=True)]
    return total


def cross(a: tuple[float, float, float], b: tuple[float, float, float]) -> tuple[float, float, float]:
    """The vector product a × b."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _analyse(model: Any, p_delta: bool) -> None:
    """Run Pynite quietly; anything it raises, and any displacement that is no number, is an unstable model.

    The sparse solver, though frames are small: dense LAPACK's threads made a row four times slower on two busy cores.
    """
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if p_delta:
                model.analyze_PDelta()
            else:
                model.analyze_linear()
        except Exception as e:  # Pynite raises bare Exception for singular matrices and for divergence alike
            raise unstable(str(e)) from None
    shifts = [d for n in model.nodes.values() for table in (n.DX, n.DY, n.DZ) for d in table.values()]
    if not all(abs(d) < 1e3 for d in shifts):
        raise unstable()


def _impose(model: Any, t: Tables, factors: dict[str, float]) -> None:
    total: dict[tuple[int, str], float] = {}
    for load in t.loads:
        if load.kind == "settlement" and load.case in factors:
            key = (int(load.target), load.direction)
            total[key] = total.get(key, 0.0) + factors[load.case] * load.values[0] / 1000
    for (node, direction), value in total.items():
        axis, sign = AXES[direction]
        if str(node) in model.nodes:
            model.def_node_disp(str(node), f"D{axis}", sign * value)


def _apply(model: Any, state: State, load: Load) -> None:
    t, target = state.tables, str(load.target)
    if load.kind in ("nodal", "moment"):
        axis, sign = AXES[load.direction]
        if target in model.nodes:
            model.add_node_load(target, ("F" if load.kind == "nodal" else "M") + axis, sign * load.values[0], load.case)
    elif load.kind == "point":
        axis, sign = MEMBER_AXES[load.direction]
        x = load.place[0] * length(t, t.members[int(load.target)])
        model.add_member_pt_load(target, axis, sign * load.values[0], x, load.case)
    elif load.kind == "line":
        axis, sign = MEMBER_AXES[load.direction]
        span = length(t, t.members[int(load.target)])
        (first, last), (a, b) = load.values, load.place
        model.add_member_dist_load(target, axis, sign * first, sign * last, a * span, b * span, load.case)
    elif load.kind == "floor":
        for s in strips(t, state.levels[target], load.values[0], load.direction):
            span = length(t, t.members[s.member])
            ends = (s.start * span, s.end * span)
            model.add_member_dist_load(str(s.member), "FY", -s.first, -s.last, *ends, load.case)
    elif load.kind == "self_weight":
        for n, m in t.members.items():
            w = -load.values[0] * weight_per_length(t, m.section)
            model.add_member_dist_load(str(n), "FY", w, w, 0, length(t, m), load.case)
    elif load.kind == "temperature":
        _push_ends(model, t, load)


def weight_per_length(t: Tables, section: str) -> float:
    """Self-weight of a member with that section, kN/m."""
    s = t.sections[section]
    return properties(s).area * t.materials[s.material].unit_weight


def thermal_force(t: Tables, member: int, delta_t: float) -> float:
    """E·A·α·ΔT (kN): the force that would hold a heated member to its length."""
    section = t.sections[t.members[member].section]
    m = t.materials[section.material]
    return m.e * properties(section).area * m.alpha * delta_t


def _push_ends(model: Any, t: Tables, load: Load) -> None:
    """A heated member pushes its end nodes apart; `member_force` takes the same force off again."""
    member = t.members[int(load.target)]
    a, b = t.nodes[member.i], t.nodes[member.j]
    force, span = thermal_force(t, int(load.target), load.values[0]), length(t, member)
    for node, sense in ((member.i, -1.0), (member.j, 1.0)):
        for k, name in enumerate("XYZ"):
            axis, sign = AXES[name]
            push = sense * sign * force * (b[k] - a[k]) / span
            if push:
                model.add_node_load(str(node), f"F{axis}", push, load.case)


def _thermal(state: State, solved: Solved, member: int) -> float:
    heats = [x for x in state.tables.loads if x.kind == "temperature" and x.target == member]
    return sum(solved.factors.get(x.case, 0.0) * thermal_force(state.tables, member, x.values[0]) for x in heats)
