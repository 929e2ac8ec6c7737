"""Tools that make load cases, loads and combinations. Loads are stored in kN and m."""

from typing import Any

from data.structural.engine.edits import restrained
from data.structural.engine.floor_loads import panels
from data.structural.engine.result import Refusal
from data.structural.engine.state import (
    Load,
    State,
    Tables,
    length,
    need_case,
    need_member,
    need_node,
    need_story,
)
from data.structural.engine.units import to_kn

Args = dict[str, Any]


def create_load_case(state: State, a: Args) -> Args:
    t = state.tables
    _new_name(t, a["name"])
    t.cases[a["name"]] = a["load_type"]
    return {"name": a["name"]}


def add_nodal_load(state: State, a: Args) -> Args:
    t = state.tables
    need_node(t, a["node_id"])
    return _add(t, a, "nodal", a["node_id"], a["direction"], (_value(a, "kN"),))


def add_nodal_moment(state: State, a: Args) -> Args:
    t = state.tables
    need_node(t, a["node_id"])
    return _add(t, a, "moment", a["node_id"], a["axis"], (_value(a, "kN-m"),))


def add_member_point_load(state: State, a: Args) -> Args:
    t = state.tables
    span = length(t, need_member(t, a["member_id"]))
    distance = a.get("position_type", "ratio") == "distance"
    place = a["position"] / span if distance else a["position"]
    if not -1e-9 <= place <= 1 + 1e-9:
        raise Refusal(
            "position_out_of_range",
            f"부재 {a['member_id']}의 길이는 {span:g}m입니다",
            f"member {a['member_id']} is {span:g} m long",
        )
    return _add(t, a, "point", a["member_id"], a["direction"], (_value(a, "kN"),), (min(max(place, 0.0), 1.0),))


def add_member_distributed_load(state: State, a: Args) -> Args:
    t = state.tables
    need_member(t, a["member_id"])
    start, end = a.get("start", 0), a.get("end", 1)
    if start >= end:
        raise Refusal("position_out_of_range", "시작 위치가 끝 위치보다 뒤입니다", "start must lie before end")
    first = to_kn(a["value"], a.get("unit", "kN/m"))
    last = to_kn(a["end_value"] if "end_value" in a else a["value"], a.get("unit", "kN/m"))
    if first == last == 0:
        raise Refusal("zero_value", "하중의 크기가 0입니다", "the load is zero")
    return _add(t, a, "line", a["member_id"], a["direction"], (first, last), (float(start), float(end)))


def add_floor_load(state: State, a: Args) -> Args:
    t = state.tables
    z = need_story(state, a["story"], above_base=True)
    distribution = a.get("distribution", "two_way")
    if not panels(t, z, distribution):
        raise Refusal("no_floor_panel", "보로 둘러싸인 바닥판이 없습니다", "no floor panel bounded by beams")
    return _add(t, a, "floor", a["story"], distribution, (_value(a, "kN/m2"),))


def add_self_weight(state: State, a: Args) -> Args:
    """Self-weight of one case; saying it again replaces the factor, as programs with one body force per case do."""
    t = state.tables
    factor = float(a.get("factor", 1.0))
    if factor == 0:
        raise Refusal("zero_value", "자중 계수가 0입니다", "the factor is zero")
    case = need_case(t, a.get("load_case"))
    t.loads = [x for x in t.loads if not (x.kind == "self_weight" and x.case == case)]
    return _add(t, a, "self_weight", "", "", (factor,))


def add_temperature_load(state: State, a: Args) -> Args:
    t = state.tables
    for member in a["member_ids"]:
        need_member(t, member)
    if a["delta_t"] == 0:
        raise Refusal("zero_value", "온도 변화가 0입니다", "the temperature change is zero")
    for member in a["member_ids"]:
        _add(t, a, "temperature", member, "", (float(a["delta_t"]),))
    return {"load_case": need_case(t, a.get("load_case")), "member_ids": sorted(a["member_ids"])}


def set_support_settlement(state: State, a: Args) -> Args:
    """An imposed displacement (mm); only where a support holds that direction."""
    t, node = state.tables, a["node_id"]
    need_node(t, node)
    if a["direction"] not in restrained(t.supports.get(node, "")):
        raise Refusal(
            "not_a_support", f"절점 {node}은(는) 그 방향의 지점이 아닙니다", f"node {node} is not a support there"
        )
    if a["value"] == 0:
        raise Refusal("zero_value", "침하량이 0입니다", "the settlement is zero")
    return _add(t, a, "settlement", node, a["direction"], (float(a["value"]),))


def create_load_combination(state: State, a: Args) -> Args:
    t = state.tables
    for case in a["factors"]:
        need_case(t, case)
    _new_name(t, a["name"])
    t.combos[a["name"]] = {case: float(f) for case, f in a["factors"].items()}
    return {"name": a["name"]}


def generate_code_combinations(state: State, a: Args) -> Args:
    """Combinations from the load cases' types.

    strength: KDS 41 12 00 (1.7.1): 1.4D; 1.2D+1.6L+0.5(Lr|S); 1.2D+1.6(Lr|S)+(1.0L|0.5W); 1.2D±1.0W+1.0L+0.5(Lr|S);
    1.2D±1.0E+1.0L+0.2S; 0.9D±1.0W; 0.9D±1.0E. allowable: plain sums with factor 1.0, a simplification that the
    payload names. Names go on from the highest LCBn.
    """
    t = state.tables
    by_type: dict[str, list[str]] = {}
    for case, kind in t.cases.items():
        by_type.setdefault(kind, []).append(case)
    if "dead" not in by_type:
        raise Refusal("unknown_load_case", "고정하중 조건이 없습니다", "there is no dead load case")
    strength = a.get("method", "strength") == "strength"
    found = _strength(by_type) if strength else _plain_sums(by_type)
    taken = [int(n[3:]) for n in t.combos if n.startswith("LCB") and n[3:].isdigit()]
    first = max(taken, default=0) + 1
    made = {f"LCB{first + i}": factors for i, factors in enumerate(found)}
    t.combos.update(made)
    payload: Args = {"names": list(made)}
    if not strength:
        payload["note"] = "간이: 계수 1.0의 단순 조합 / simplified: factor 1.0 sums"
    return payload


def _strength(by_type: dict[str, list[str]]) -> list[dict[str, float]]:
    def part(kind: str, factor: float) -> dict[str, float]:
        return dict.fromkeys(by_type.get(kind, []), factor)

    def signed(kind: str) -> list[dict[str, float]]:
        return [{case: sign} for case in by_type.get(kind, []) for sign in (1.0, -1.0)]

    dead, live = part("dead", 1.2), part("live", 1.0)
    roofs: list[str] = [kind for kind in ("roof_live", "snow") if kind in by_type]
    wind, quake = signed("wind"), signed("seismic")
    found = [part("dead", 1.4)]
    if live or roofs:
        found += [dead | part("live", 1.6) | part(roof, 0.5) for roof in roofs or [""]]
    for roof in roofs:
        found += [dead | part(roof, 1.6) | live]
        found += [dead | part(roof, 1.6) | {c: 0.5 * f for c, f in w.items()} for w in wind]
    found += [dead | w | live | part(roof, 0.5) for w in wind for roof in roofs or [""]]
    found += [dead | e | live | part("snow", 0.2) for e in quake]
    found += [part("dead", 0.9) | side for side in wind + quake]
    return [f for i, f in enumerate(found) if f not in found[:i]]


def _plain_sums(by_type: dict[str, list[str]]) -> list[dict[str, float]]:
    dead = dict.fromkeys(by_type["dead"], 1.0)
    live = dict.fromkeys(by_type.get("live", []), 1.0)
    sides = [{c: s} for kind in ("wind", "seismic") for c in by_type.get(kind, []) for s in (1.0, -1.0)]
    found = [dead, dead | live, *(dead | live | side for side in sides), *(dead | side for side in sides)]
    return [f for i, f in enumerate(found) if f not in found[:i]]


def _value(a: Args, default: str) -> float:
    value = to_kn(a["value"], a.get("unit", default))
    if value == 0:
        raise Refusal("zero_value", "하중의 크기가 0입니다", "the load is zero")
    return value


def _add(
    t: Tables,
    a: Args,
    kind: str,
    target: int | str,
    direction: str,
    values: tuple[float, ...],
    place: tuple[float, ...] = (),
) -> Args:
    case = need_case(t, a.get("load_case"))
    t.loads.append(Load(kind, case, target, direction, values, place))
    return {"load_case": case, "loads": sum(x.case == case for x in t.loads)}


def _new_name(t: Tables, name: str) -> None:
    if not name.strip():
        raise Refusal("bad_arguments", "이름이 비어 있습니다", "the name is empty")
    if name in t.cases or name in t.combos:
        raise Refusal("duplicate_name", f"{name}이(가) 이미 있습니다", f"{name} exists already")
