"""Vibration, response spectrum and buckling on Pynite's stiffness matrices.

Mass is our own: half of each member's self mass at its nodes, plus the gravity loads of the dead load cases. Pynite
3.2.0's modal analysis gives wrong frequencies when mass comes from member loads; lumped mass with static condensation
does not.
"""

import math
from dataclasses import dataclass
from typing import Any

from data.structural.engine.floor_loads import strips
from data.structural.engine.result import Refusal, unstable
from data.structural.engine.solver import assemble, attached, solve_alone, weight_per_length
from data.structural.engine.state import State, length
from data.structural.engine.units import GRAVITY

DAMPING = 0.05


@dataclass(frozen=True)
class Modes:
    """Natural frequencies (Hz), rising, and what is needed to use them.

    Attributes:
        frequencies: (n,) Hz.
        shapes: (translations, n) mass-normalised mode shapes.
        effective: axis → (n,) effective modal mass / total mass of that axis.
        participation: axis → (n,) Γ for unit-mass modes, √t.
        total_mass: t.
    """

    frequencies: list[float]
    shapes: Any
    effective: dict[str, list[float]]
    participation: dict[str, list[float]]
    total_mass: float


def nodal_masses(state: State) -> dict[int, float]:
    """Node → mass (t)."""
    t = state.tables
    weight: dict[int, float] = dict.fromkeys(attached(t), 0.0)

    def share(member: int, total: float, centre: float) -> None:
        weight[t.members[member].j] += total * centre
        weight[t.members[member].i] += total * (1 - centre)

    for n, m in t.members.items():
        share(n, weight_per_length(t, m.section) * length(t, m), 0.5)
    for load in t.loads:
        if t.cases[load.case] != "dead":
            continue
        if load.kind == "nodal" and load.direction == "Z" and load.target in weight:
            weight[int(load.target)] += max(-load.values[0], 0.0)
        elif load.kind == "point" and load.direction == "Z":
            share(int(load.target), max(-load.values[0], 0.0), load.place[0])
        elif load.kind == "line" and load.direction == "Z":
            span = length(t, t.members[int(load.target)])
            share(int(load.target), *_trapezoid(load.values, load.place, span, -1.0))
        elif load.kind == "floor":
            for s in strips(t, state.levels[str(load.target)], load.values[0], load.direction):
                span = length(t, t.members[s.member])
                share(s.member, *_trapezoid((s.first, s.last), (s.start, s.end), span, 1.0))
    return {n: w / GRAVITY for n, w in weight.items()}


def modes(state: State, count: int) -> Modes:
    """The lowest `count` modes, or as many as the masses allow."""
    import numpy as np
    from scipy.linalg import eigh

    model, stiffness, free = _stiffness(state)
    masses = nodal_masses(state)
    ids = [int(n) for n in model.nodes]
    translations = [d for d in free if d % 6 < 3 and masses[ids[d // 6]] > 0]
    rest = [d for d in free if d not in set(translations)]
    if not translations:
        raise Refusal("no_mass", "질량이 있는 자유 절점이 없습니다", "no free node has mass")
    k = stiffness[np.ix_(translations, translations)]
    if rest:
        coupling = stiffness[np.ix_(rest, translations)]
        k = k - coupling.T @ _solve_stable(stiffness[np.ix_(rest, rest)], coupling)
    m = np.array([masses[ids[d // 6]] for d in translations])
    count = min(count, len(translations))
    values, shapes = eigh((k + k.T) / 2, np.diag(m), subset_by_index=(0, count - 1))
    if values[0] <= 1e-9 * np.max(np.diag(k) / m):
        raise unstable()
    axes = np.array([d % 6 for d in translations])
    participation, effective = {}, {}
    for axis, position in (("X", 0), ("Y", 2)):
        moving = m * (axes == position)
        participation[axis] = (shapes.T @ moving).tolist()
        effective[axis] = [g * g / float(moving.sum()) if moving.any() else 0.0 for g in participation[axis]]
    frequencies = (np.sqrt(values) / (2 * math.pi)).tolist()
    return Modes(frequencies, shapes, effective, participation, float(m[axes == 1].sum()))


def spectrum(period: float, s_ds: float, s_d1: float) -> float:
    """Design spectral acceleration (g) at a period (s): a rise from 0.4 S_DS, a plateau, then S_D1 / T."""
    corner = s_d1 / s_ds
    start = 0.2 * corner
    if period < start:
        return s_ds * (0.4 + 0.6 * period / start)
    return s_ds if period <= corner else s_d1 / period


def base_shear(found: Modes, axis: str, acceleration: list[float], method: str) -> float:
    """Combined base shear (kN) from each mode's spectral acceleration (g), by "SRSS" or "CQC" with 5 % damping."""
    shears = [g * g * a * GRAVITY for g, a in zip(found.participation[axis], acceleration, strict=True)]
    if method == "SRSS":
        return math.sqrt(sum(v * v for v in shears))
    total = 0.0
    for i, vi in enumerate(shears):
        for j, vj in enumerate(shears):
            r = found.frequencies[j] / found.frequencies[i]
            z = DAMPING
            rho = 8 * z * z * (1 + r) * r**1.5 / ((1 - r * r) ** 2 + 4 * z * z * r * (1 + r) ** 2)
            total += rho * vi * vj
    return math.sqrt(max(total, 0.0))


def buckling_factors(state: State, name: str, count: int) -> list[float]:
    """The smallest positive λ with det(K + λ·Kg) = 0, one cubic element a member; empty when nothing is compressed."""
    import numpy as np
    from scipy.linalg import eigh

    solved = solve_alone(state, name)
    _, stiffness, free = _stiffness(state)
    geometric = np.asarray(solved.model.Kg(name, sparse=False, first_step=False), dtype=float)
    index = np.ix_(free, free)
    k, g = stiffness[index], geometric[index]
    if np.abs(g).max() < 1e-9:
        return []
    inverse = eigh(-(g + g.T) / 2, (k + k.T) / 2, eigvals_only=True)
    factors = [float(1 / v) for v in inverse[::-1] if v > 1e-9 * np.abs(inverse).max()]
    return factors[:count]


def _stiffness(state: State) -> tuple[Any, Any, list[int]]:
    """Pynite's model, its dense K and the free degrees of freedom; per node: X, Y (up), Z, rotations."""
    import numpy as np

    model = assemble(state)
    name = "_"
    model.add_load_combo(name, {})
    from Pynite import Analysis

    Analysis._prepare_model(model)
    stiffness = np.asarray(model.Ke(name, check_stability=False, sparse=False), dtype=float)
    flags = ("support_DX", "support_DY", "support_DZ", "support_RX", "support_RY", "support_RZ")
    held = [getattr(n, flag) for n in model.nodes.values() for flag in flags]
    return model, stiffness, [i for i, h in enumerate(held) if not h]


def _solve_stable(a: Any, b: Any) -> Any:
    import numpy as np

    try:
        return np.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        raise unstable() from None


def _trapezoid(values: tuple[float, ...], place: tuple[float, ...], span: float, sign: float) -> tuple[float, float]:
    """Total (kN) and centre (ratio) of a line load whose downward part counts; `sign` makes downward positive."""
    first, last = (max(sign * v, 0.0) for v in values)
    total = (first + last) / 2 * (place[1] - place[0]) * span
    if not total:
        return 0.0, 0.5
    inner = (first + 2 * last) / (3 * (first + last))
    return total, place[0] + inner * (place[1] - place[0])
