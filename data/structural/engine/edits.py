"""Tools that change geometry, supports, materials and sections: (state, arguments) → payload."""

from typing import Any

from data.structural.engine.model import Point
from data.structural.engine.properties import (
    CrossSection,
    check_dimensions,
    kind_of_grade,
    material,
    section_name,
)
from data.structural.engine.result import Refusal
from data.structural.engine.state import Member, State, Tables, length, need_member, need_node, need_section

Args = dict[str, Any]
SAME_PLACE = 1e-6
"""Two nodes closer than this (m) are the same place."""


def add_node(state: State, a: Args) -> Args:
    t = state.tables
    node = a.get("node_id") or max(t.nodes, default=0) + 1
    if node in t.nodes:
        raise Refusal("duplicate_id", f"절점 {node}이(가) 이미 있습니다", f"node {node} exists already")
    t.nodes[node] = _free_place(t, _point(a["x"], a["y"], a["z"]))
    return {"node_id": node}


def move_node(state: State, a: Args) -> Args:
    t = state.tables
    x, y, z = need_node(t, a["node_id"])
    dx, dy, dz = _offset(a)
    point = t.nodes[a["node_id"]] = _free_place(t, _point(x + dx, y + dy, z + dz))
    return {"node_id": a["node_id"], "x": point[0], "y": point[1], "z": point[2]}


def add_member(state: State, a: Args) -> Args:
    t = state.tables
    start, end = need_node(t, a["start_node"]), need_node(t, a["end_node"])
    if a["start_node"] == a["end_node"]:
        raise Refusal("zero_length", "시작 절점과 끝 절점이 같습니다", "start and end node are the same")
    need_section(t, a["section"])
    member = a.get("member_id") or max(t.members, default=0) + 1
    if member in t.members:
        raise Refusal("duplicate_id", f"부재 {member}이(가) 이미 있습니다", f"member {member} exists already")
    if (found := _member_between(t, a["start_node"], a["end_node"])) is not None:
        raise Refusal("duplicate_member", f"두 절점 사이에 부재 {found}이(가) 있습니다", f"member {found} joins them")
    kind = a.get("member_type") or _kind(start, end)
    t.members[member] = Member(a["start_node"], a["end_node"], a["section"], kind)
    return {"member_id": member, "length": round(length(t, t.members[member]), 6)}


def copy_members(state: State, a: Args) -> Args:
    t = state.tables
    for member in a["member_ids"]:
        need_member(t, member)
    offset = _offset(a)
    created = []
    for k in range(1, a.get("count", 1) + 1):
        for source in [t.members[m] for m in a["member_ids"]]:
            i, j = (_node_for(t, n, offset, k) for n in (source.i, source.j))
            if (found := _member_between(t, i, j)) is not None:
                raise Refusal("duplicate_member", f"그 위치에 부재 {found}이(가) 있습니다", f"member {found} is there")
            created.append(max(t.members) + 1)
            t.members[created[-1]] = Member(i, j, source.section, source.kind)
    return {"member_ids": created}


def delete_entities(state: State, a: Args) -> Args:
    t, kind = state.tables, a["entity_type"]
    field, other = ("ids", "names") if kind in ("node", "member") else ("names", "ids")
    if not a.get(field) or a.get(other):
        raise Refusal("bad_arguments", f"{kind} 삭제에는 {field}만 지정합니다", f"deleting a {kind} takes {field} only")
    if kind == "node":
        for node in a["ids"]:
            need_node(t, node)
        gone = set(a["ids"])
        _drop_members(t, {n for n, m in t.members.items() if m.i in gone or m.j in gone})
        t.loads = [x for x in t.loads if not (x.kind in ("nodal", "moment", "settlement") and x.target in gone)]
        t.springs = {key: k for key, k in t.springs.items() if key[0] not in gone}
        for node in gone:
            del t.nodes[node]
            t.supports.pop(node, None)
    elif kind == "member":
        for member in a["ids"]:
            need_member(t, member)
        _drop_members(t, set(a["ids"]))
    else:
        _delete_names(t, kind, a["names"])
    return {"deleted": sorted(a[field])}


def set_support(state: State, a: Args) -> Args:
    t, kind = state.tables, a["support_type"]
    if "roller_direction" in a and kind != "roller":
        raise Refusal("bad_arguments", "roller_direction은 롤러에만 씁니다", "roller_direction is for rollers only")
    for node in a["node_ids"]:
        need_node(t, node)
        if kind == "free" and node not in t.supports:
            raise Refusal("not_a_support", f"절점 {node}은(는) 지점이 아닙니다", f"node {node} is not a support")
    for node in a["node_ids"]:
        if kind == "free":
            del t.supports[node]
        else:
            t.supports[node] = f"roller_{a.get('roller_direction', 'X')}" if kind == "roller" else kind
    return {"node_ids": sorted(a["node_ids"]), "support_type": kind}


def set_spring_support(state: State, a: Args) -> Args:
    t = state.tables
    need_node(t, a["node_id"])
    if a["direction"] in restrained(t.supports.get(a["node_id"], "")):
        raise Refusal("already_restrained", "이미 구속된 방향입니다", "that direction is restrained already")
    t.springs[a["node_id"], a["direction"]] = float(a["stiffness"])
    return {"node_id": a["node_id"]}


def set_end_release(state: State, a: Args) -> Args:
    t = state.tables
    for member in a["member_ids"]:
        need_member(t, member)
    for member in a["member_ids"]:
        for end in ("i", "j") if a["end"] == "both" else (a["end"],):
            if a["release"] == "pinned":
                t.releases[member, end] = True
            else:
                t.releases.pop((member, end), None)
    return {"member_ids": sorted(a["member_ids"])}


def define_material(state: State, a: Args) -> Args:
    t, grade = state.tables, a["grade"]
    if a["material_type"] != kind_of_grade(grade):
        raise Refusal("grade_mismatch", f"{grade}은(는) 그 재료의 규격이 아닙니다", f"{grade} is not that material")
    name = str(a.get("name", grade))
    if name in t.materials:
        raise Refusal("duplicate_name", f"재료 {name}이(가) 이미 있습니다", f"material {name} exists already")
    t.materials[name] = material(a["material_type"], grade)
    return {"name": name}


def define_section(state: State, a: Args) -> Args:
    t, dims = state.tables, tuple(float(d) for d in a["dimensions"])
    check_dimensions(a["shape"], dims)
    chosen = a.get("material")
    if chosen is not None and chosen not in t.materials:
        raise Refusal("unknown_material", f"재료 {chosen}이(가) 등록되지 않았습니다", f"material {chosen} is unknown")
    if chosen is None:
        kind = "concrete" if a["shape"] in ("rectangle", "circle") else "steel"
        chosen = next((n for n, m in t.materials.items() if m.kind == kind), next(iter(t.materials), None))
    if chosen is None:
        raise Refusal("unknown_material", "등록된 재료가 없습니다", "no material is defined")
    name = a.get("name") or section_name(a["shape"], dims)
    if name in t.sections:
        raise Refusal("duplicate_name", f"단면 {name}이(가) 이미 있습니다", f"section {name} exists already")
    t.sections[name] = CrossSection(a["shape"], dims, chosen)
    return {"name": name}


def assign_section(state: State, a: Args) -> Args:
    t = state.tables
    need_section(t, a["section"])
    for member in a["member_ids"]:
        need_member(t, member)
    for member in a["member_ids"]:
        old = t.members[member]
        t.members[member] = Member(old.i, old.j, a["section"], old.kind)
    return {"member_ids": sorted(a["member_ids"]), "section": a["section"]}


def restrained(support: str) -> set[str]:
    """Translations (X, Y, Z) that a support kind holds: a roller lets go of its own direction only."""
    return {"X", "Y", "Z"} - {support.removeprefix("roller_")} if support else set()


def node_at(t: Tables, point: Point) -> int | None:
    """The node at a place, if there is one."""
    near = (n for n, p in t.nodes.items() if all(abs(a - b) < SAME_PLACE for a, b in zip(p, point, strict=True)))
    return next(near, None)


def _free_place(t: Tables, point: Point) -> Point:
    """The point, or a refusal where a node is there."""
    if (found := node_at(t, point)) is not None:
        raise Refusal("node_exists_here", f"같은 위치에 절점 {found}이(가) 있습니다", f"node {found} is at that place")
    return point


def _point(x: float, y: float, z: float) -> Point:
    return round(float(x), 9), round(float(y), 9), round(float(z), 9)


def _offset(a: Args) -> Point:
    offset = _point(a.get("dx", 0), a.get("dy", 0), a.get("dz", 0))
    if not any(offset):
        raise Refusal("no_offset", "이동량이 없습니다", "the offset is zero")
    return offset


def _node_for(t: Tables, node: int, offset: Point, times: int) -> int:
    """The node at `node` + `times` · offset, made when it does not exist."""
    x, y, z = t.nodes[node]
    point = _point(x + times * offset[0], y + times * offset[1], z + times * offset[2])
    if (found := node_at(t, point)) is None:
        found = max(t.nodes) + 1
        t.nodes[found] = point
    return found


def _member_between(t: Tables, i: int, j: int) -> int | None:
    return next((n for n, m in t.members.items() if {m.i, m.j} == {i, j}), None)


def _kind(a: Point, b: Point) -> str:
    """What a member is when the request does not say: vertical column, horizontal beam, else brace."""
    if abs(a[2] - b[2]) < SAME_PLACE:
        return "beam"
    upright = abs(a[0] - b[0]) < SAME_PLACE and abs(a[1] - b[1]) < SAME_PLACE
    return "column" if upright else "brace"


def _drop_members(t: Tables, gone: set[int]) -> None:
    for member in gone:
        del t.members[member]
    t.loads = [x for x in t.loads if not (x.kind in ("point", "line", "temperature") and x.target in gone)]
    t.releases = {key: v for key, v in t.releases.items() if key[0] not in gone}


def _delete_names(t: Tables, kind: str, names: list[str]) -> None:
    table: dict[str, Any] = t.cases if kind == "load_case" else t.combos
    code, ko = ("unknown_load_case", "하중조건") if kind == "load_case" else ("unknown_combination", "하중조합")
    for name in names:
        if name not in table:
            raise Refusal(code, f"{ko} {name}이(가) 없습니다", f"no {kind.replace('_', ' ')} {name}")
    for name in set(names):
        del table[name]
    if kind == "load_case":
        t.loads = [x for x in t.loads if x.case not in names]
        kept = {n: {c: f for c, f in factors.items() if c not in names} for n, factors in t.combos.items()}
        t.combos = {n: factors for n, factors in kept.items() if factors}
        if t.current in names:
            t.current = next(iter(t.cases), "")
