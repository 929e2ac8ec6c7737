"""Tools that analyse and report. What has not been analysed yet is analysed when it is asked for (first order).

Results are those of the model as it stands: every edit discards them. Values are rounded to six significant digits.
"""

from itertools import pairwise
from typing import Any

from data.structural.engine import modes as vibration
from data.structural.engine.edits import SAME_PLACE
from data.structural.engine.properties import properties
from data.structural.engine.result import Refusal
from data.structural.engine.solver import Solved, attached, displacement, member_force, reaction, solve
from data.structural.engine.state import State, need_case, need_load_name, need_member, need_node, need_story

Args = dict[str, Any]
SAMPLES = 21
"""Stations along a member where its largest and smallest force are looked for."""


class Unsolved(Exception):
    """Raised in place of a solution when the state is run without numerical work."""


SIMPLE = "간이 검토 / simplified check"


def run_static_analysis(state: State, a: Args) -> Args:
    t = state.tables
    wanted = a.get("load_names") or [*t.cases, *t.combos]
    if not wanted:
        raise Refusal("unknown_load_name", "하중조건이 없습니다", "there is no load case")
    for name in wanted:
        need_load_name(t, name)
    p_delta = bool(a.get("p_delta", False))
    found = _solve(state, list(dict.fromkeys(wanted)), p_delta)
    state.results.setdefault("static", {}).update(found)
    state.results["last"] = wanted[-1] if a.get("load_names") else t.current or wanted[0]
    peaks = {name: _round(_largest_shift(state, s)) for name, s in found.items()}
    return {"analysed": list(found), "p_delta": p_delta, "max_displacement_m": peaks}


def run_modal_analysis(state: State, a: Args) -> Args:
    found = _modes(state, a["num_modes"], again=True)
    x, y = found.effective["X"], found.effective["Y"]
    return {
        "frequencies_hz": [_round(f) for f in found.frequencies],
        "periods_s": [_round(1 / f) for f in found.frequencies],
        "mass_ratio": {"X": _round(sum(x)), "Y": _round(sum(y))},
    }


def run_response_spectrum_analysis(state: State, a: Args) -> Args:
    """Base shear of all modes up to 30. Site amplification is taken as 1.0 and said so: no table is asserted here.

    S_DS = S·2.5·Fa·2/3 and S_D1 = S·Fv·2/3 (KDS 41 17 00) with Fa = Fv = 1; S = 1 g when the request gives none.
    """
    found = _compute_modes(state, 30)
    s, r = a.get("effective_ground_acceleration", 1.0), a.get("response_modification", 1.0)
    ie = a.get("importance_factor", 1.0)
    s_ds, s_d1 = s * 2.5 * 2 / 3, s * 2 / 3
    accelerations = [vibration.spectrum(1 / f, s_ds, s_d1) * ie / r for f in found.frequencies]
    method = a.get("modal_combination", "CQC")
    shear = vibration.base_shear(found, a["direction"], accelerations, method)
    note = "간이: 지반증폭계수 Fa=Fv=1.0 가정 / simplified: Fa=Fv=1.0"
    if "effective_ground_acceleration" not in a:
        note += "; S=1g 기준 / per S=1g"
    return {
        "direction": a["direction"],
        "base_shear_kn": _round(shear),
        "modes": len(found.frequencies),
        "mass_ratio": _round(sum(found.effective[a["direction"]])),
        "combination": method,
        "note": note,
    }


def run_buckling_analysis(state: State, a: Args) -> Args:
    name = _load_name(state, a)
    if not state.solves:
        raise Unsolved
    factors = vibration.buckling_factors(state, name, a["num_modes"])
    payload: Args = {"load_name": name, "factors": [_round(f) for f in factors]}
    if not factors:
        payload["note"] = "압축력이 없어 좌굴하지 않습니다 / nothing is in compression"
    return payload


def get_displacement(state: State, a: Args) -> Args:
    need_node(state.tables, a["node_id"])
    if a["node_id"] not in attached(state.tables):
        raise Refusal("loose_node", "부재에 연결되지 않은 절점입니다", "no member reaches this node")
    solved = _solved(state, a)
    return _answer(a, solved, displacement(solved, a["node_id"]))


def get_reaction(state: State, a: Args) -> Args:
    t = state.tables
    held = sorted(set(t.supports) | {n for n, _ in t.springs})
    if "node_id" in a:
        need_node(t, a["node_id"])
        if a["node_id"] not in held:
            raise Refusal(
                "not_a_support", f"절점 {a['node_id']}은(는) 지점이 아닙니다", f"node {a['node_id']} is not a support"
            )
        held = [a["node_id"]]
    solved = _solved(state, a)
    here = set(attached(t))
    values = {n: reaction(solved, n) for n in held if n in here}
    if "node_id" in a:
        if not values:
            raise Refusal("loose_node", "부재에 연결되지 않은 절점입니다", "no member reaches this node")
        return _answer(a, solved, values[a["node_id"]])
    total = {c: sum(v[c] for v in values.values()) for c in ("FX", "FY", "FZ", "MX", "MY", "MZ")}
    if "component" in a:
        c = a["component"]
        per_node = {str(n): _round(v[c]) for n, v in values.items()}
        return {"load_name": solved.name, "component": c, "total": _round(total[c]), "nodes": per_node}
    return {
        "load_name": solved.name,
        "total": {c: _round(total[c]) for c in ("FX", "FY", "FZ")},
        "supports": len(values),
    }


def get_member_force(state: State, a: Args) -> Args:
    need_member(state.tables, a["member_id"])
    solved = _solved(state, a)
    if "position" in a:
        return _answer(a, solved, member_force(state, solved, a["member_id"], a["position"]))
    stations = [member_force(state, solved, a["member_id"], i / (SAMPLES - 1)) for i in range(SAMPLES)]
    shown = [a["component"]] if "component" in a else list(stations[0])
    ends = {c: {"max": _round(max(s[c] for s in stations)), "min": _round(min(s[c] for s in stations))} for c in shown}
    return {"load_name": solved.name, "member_id": a["member_id"], **ends}


def get_story_drift(state: State, a: Args) -> Args:
    """Largest drift of each storey's vertical lines; a storey is named by its upper floor."""
    solved = _solved_for_drift(state, a)
    return {"load_name": solved.name, "direction": a["direction"], "drift": _drifts(state, a, solved)}


def check_story_drift(state: State, a: Args) -> Args:
    """A comparison with the ratio that the request gives. No code limit is asserted: without a ratio, no verdict."""
    solved = _solved_for_drift(state, a)
    drift = _drifts(state, a, solved)
    payload: Args = {"load_name": solved.name, "direction": a["direction"], "drift": drift, "kind": SIMPLE}
    if "limit_ratio" in a:
        payload["limit_ratio"] = a["limit_ratio"]
        payload["ok_within_limit"] = all(abs(d["ratio"]) <= a["limit_ratio"] for d in drift.values())
    else:
        payload["note"] = "허용값이 주어지지 않아 판정하지 않았습니다 / no limit given, no verdict"
    return payload


def check_member_design(state: State, a: Args) -> Args:
    """Elastic edge stress over nominal strength, labelled as no code check. Concrete members are only listed."""
    t = state.tables
    wanted = a.get("member_ids") or sorted(t.members)
    for member in wanted:
        need_member(t, member)
    solved = _solved(state, a)
    rows = {str(m): _stress_ratio(state, solved, m) for m in wanted}
    steel = {m: r for m, r in rows.items() if r is not None}
    payload: Args = {"kind": SIMPLE, "code": a["code"], "load_name": solved.name, "checked": len(steel)}
    if steel:
        worst = max(steel, key=lambda m: steel[m])
        payload |= {"worst_member": int(worst), "elastic_stress_ratio": _round(steel[worst])}
    if len(steel) < len(rows):
        payload["not_checked"] = sorted(int(m) for m, r in rows.items() if r is None)
    payload["note"] = "탄성 응력비이며 설계기준 검토가 아닙니다 / elastic stress ratio, not a code check"
    return payload


def show_diagram(state: State, a: Args) -> Args:
    if a["diagram"] == "mode_shape":
        if "load_name" in a:
            raise Refusal("bad_arguments", "모드형상에는 하중이 없습니다", "a mode shape has no load")
        mode = a.get("mode", 1)
        known = state.results.get("num_modes", mode)
        found = _modes(state, mode, again=False) if mode <= known else None
        if found is None or mode > len(found.frequencies):
            raise Refusal("no_such_mode", f"모드 {mode}은(는) 해석되지 않았습니다", f"mode {mode} was not analysed")
        return {"diagram": "mode_shape", "mode": mode, "frequency_hz": _round(found.frequencies[mode - 1])}
    if "mode" in a:
        raise Refusal("bad_arguments", "mode는 모드형상에만 씁니다", "mode is for mode shapes only")
    return {"diagram": a["diagram"], "load_name": _solved(state, a).name}


def export_results(state: State, a: Args) -> Args:
    if set(a["content"]) - {"modal"}:
        _solved(state, {})
    if "modal" in a["content"]:
        _modes(state, 1, again=False)
    return {"file": f"{a.get('file_name', 'results')}.{a['format']}", "content": a["content"]}


def _load_name(state: State, a: Args) -> str:
    """The load asked for, else the last one analysed, else the current load case."""
    if "load_name" in a:
        return need_load_name(state.tables, a["load_name"])
    return state.results.get("last") or need_case(state.tables, None)


def _solved(state: State, a: Args) -> Solved:
    name = _load_name(state, a)
    known = state.results.setdefault("static", {})
    if name not in known:
        known.update(_solve(state, [name], False))
    found: Solved = known[name]
    return found


def _solve(state: State, names: list[str], p_delta: bool) -> dict[str, Solved]:
    if not state.solves:
        raise Unsolved
    return solve(state, names, p_delta=p_delta)


def _compute_modes(state: State, count: int) -> vibration.Modes:
    if not state.solves:
        raise Unsolved
    return vibration.modes(state, count)


def _modes(state: State, count: int, *, again: bool) -> vibration.Modes:
    if again:
        state.results["num_modes"] = count
    if again or "modal" not in state.results:
        state.results["modal"] = _compute_modes(state, count)
    found: vibration.Modes = state.results["modal"]
    return found


def _solved_for_drift(state: State, a: Args) -> Solved:
    if "story" in a:
        need_story(state, a["story"], above_base=True)
    return _solved(state, a)


def _drifts(state: State, a: Args, solved: Solved) -> dict[str, Any]:
    """Storey → {"drift_m", "ratio"}: the largest relative displacement between nodes above one another."""
    t, axis = state.tables, f"D{a['direction']}"
    at = {t.nodes[n]: displacement(solved, n)[axis] for n in attached(t)}
    result: dict[str, Any] = {}
    for (_, low), (name, high) in pairwise(state.levels.items()):
        if a.get("story", name) != name:
            continue
        above = {p: d for p, d in at.items() if abs(p[2] - high) < SAME_PLACE}
        pairs = [d - at[p[0], p[1], low] for p, d in above.items() if (p[0], p[1], low) in at]
        if not pairs:
            raise Refusal("no_result", f"{name}에 위아래로 이어진 절점이 없습니다", f"no vertical line in {name}")
        worst = max(pairs, key=abs)
        result[name] = {"drift_m": _round(worst), "ratio": _round(worst / (high - low))}
    return result


def _stress_ratio(state: State, solved: Solved, member: int) -> float | None:
    """Largest |N|/A + |My|/W + |Mz|/W over the nominal strength; None for concrete."""
    section = state.tables.sections[state.tables.members[member].section]
    material = state.tables.materials[section.material]
    if material.kind != "steel":
        return None
    p, ratios = properties(section), []
    for i in range(5):
        f = member_force(state, solved, member, i / 4)
        stress = abs(f["N"]) / p.area + abs(f["My"]) / p.w_strong + abs(f["Mz"]) / p.w_weak
        ratios.append(stress / 1000 / material.strength)
    return max(ratios)


def _largest_shift(state: State, solved: Solved) -> float:
    shifts = (displacement(solved, n) for n in attached(state.tables))
    return max((abs(d[c]) for d in shifts for c in ("DX", "DY", "DZ")), default=0.0)


def _answer(a: Args, solved: Solved, values: dict[str, float]) -> Args:
    shown = {a["component"]: values[a["component"]]} if "component" in a else values
    target: Args = {k: a[k] for k in ("node_id", "member_id", "position") if k in a}
    return {"load_name": solved.name, **target, **{c: _round(v) for c, v in shown.items()}}


def _round(value: float) -> float:
    """Six significant digits; below 1e-9 (m, rad, kN, kN-m) it is round-off, and zero."""
    return float(f"{value:.6g}") if abs(value) > 1e-9 else 0.0
