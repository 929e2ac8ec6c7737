"""The structural model in memory: what the tools read and change. No analysis, no dependency."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from data.structural.engine.model import ModelSpec, Point
from data.structural.engine.properties import CrossSection, Material, kind_of_grade, material, parse_section
from data.structural.engine.result import Refusal


@dataclass(frozen=True)
class Member:
    """A frame member from node i to node j; kind is "beam", "column" or "brace"."""

    i: int
    j: int
    section: str
    kind: str = "beam"


@dataclass(frozen=True)
class Load:
    """One load, in kN and m.

    Attributes:
        kind: nodal, moment, point, line, floor, self_weight, temperature or settlement.
        case: the load case it belongs to.
        target: node or member number; storey name for floor; "" for self_weight.
        direction: X, Y, Z or local_x, local_y, local_z; distribution for floor; "" where it has none.
        values: kN, kN-m, kN/m (start, end), kN/m2, factor, K or mm.
        place: along a member from its i-end: a ratio (point) or two ratios (line).
    """

    kind: str
    case: str
    target: int | str
    direction: str
    values: tuple[float, ...]
    place: tuple[float, ...] = ()


@dataclass
class Tables:
    """Everything that a request can change, and so everything that `undo` restores. The values are immutable."""

    nodes: dict[int, Point] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    supports: dict[int, str] = field(default_factory=dict)
    springs: dict[tuple[int, str], float] = field(default_factory=dict)
    releases: dict[tuple[int, str], bool] = field(default_factory=dict)
    materials: dict[str, Material] = field(default_factory=dict)
    sections: dict[str, CrossSection] = field(default_factory=dict)
    cases: dict[str, str] = field(default_factory=dict)
    combos: dict[str, dict[str, float]] = field(default_factory=dict)
    loads: list[Load] = field(default_factory=list)
    current: str = ""

    def copy(self) -> "Tables":
        """A copy that later changes do not touch."""
        copies: dict[str, Any] = {k: v if isinstance(v, str) else v.copy() for k, v in vars(self).items()}
        return Tables(**copies)


@dataclass
class State:
    """The tables now, the tables before each edit, the storeys, and what was asked besides edits.

    Attributes:
        tables: the model as it stands.
        levels: storey name → elevation (m), base first. Storeys are given by the spec and not editable.
        history: one copy of the tables before each edit; `undo` pops them.
        actions: calls that changed nothing (analyses, queries, exports), as (tool, arguments), in order.
        results: what the last analyses left (see `queries.py`); emptied by every edit.
        solves: whether queries do their numerical work; see `execute`.
    """

    tables: Tables
    levels: dict[str, float]
    history: list[Tables] = field(default_factory=list)
    actions: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    solves: bool = True


def build(spec: ModelSpec) -> State:
    """The state that a spec describes, with nothing to undo."""
    materials = {grade: material(kind_of_grade(grade), grade) for grade in spec.materials}
    sections = {}
    for name in spec.sections:
        shape, dims = parse_section(name)
        kind = "concrete" if name.startswith(("RC-", "C-")) else "steel"
        grade = next((g for g, m in materials.items() if m.kind == kind), None)
        if grade is None:
            raise ValueError(f"the section {name!r} needs a {kind} grade among the materials")
        sections[name] = CrossSection(shape, dims, grade)
    use = {"column": spec.column_section, "beam": spec.beam_section}
    nodes = spec.nodes()
    tables = Tables(
        nodes=nodes,
        members={n: Member(i, j, use[kind], kind) for n, (i, j, kind) in spec.members().items()},
        supports={n: spec.base for n, p in nodes.items() if p[2] == 0.0},
        materials=materials,
        sections=sections,
        cases=dict(spec.cases),
        combos={name: dict(factors) for name, factors in spec.combos.items()},
        current=spec.current,
    )
    return State(tables, spec.levels)


def runs(numbers: Iterable[int]) -> str:
    """Numbers in short: `1-6,9,12-14`; evenly spaced ones as `10-60/10`."""
    todo, parts = sorted(numbers), []
    while todo:
        step = todo[1] - todo[0] if len(todo) > 2 and todo[2] - todo[1] == todo[1] - todo[0] else 1
        end = 1
        while end < len(todo) and todo[end] - todo[end - 1] == step:
            end += 1
        if end < 3:
            end = 2 if end == 2 and step == 1 else 1
        parts.append(f"{todo[0]}-{todo[end - 1]}" + (f"/{step}" if step > 1 else "") if end > 1 else f"{todo[0]}")
        todo = todo[end:]
    return ",".join(parts)


def names(values: Iterable[str]) -> str:
    """Names in short: three or more that count up share a prefix: `LCB1-3`."""
    groups: dict[str, list[int]] = {}
    plain: list[str] = []
    for value in values:
        match = re.fullmatch(r"(.*?[A-Za-z_])([1-9]\d*)", value)
        if match:
            if match[1] not in groups:
                groups[match[1]] = []
                plain.append(match[1] + "\0")
            groups[match[1]].append(int(match[2]))
        else:
            plain.append(value)
    return " ".join(p[:-1] + runs(groups[p[:-1]]) if p.endswith("\0") else p for p in plain)


def state_line(model: ModelSpec | State) -> str:
    """The model in one line for the system prompt; `*` marks the current load case.

    `nodes 1-18 (supports 1-6); members 1-26 (columns 1-12); stories 1F 2F RF; cases DL* LL; combos LCB1-3; …`
    """
    state = build(model) if isinstance(model, ModelSpec) else model
    t = state.tables
    columns = runs(n for n, m in t.members.items() if m.kind == "column")
    parts = [
        f"nodes {runs(t.nodes) or 'none'}" + (f" (supports {runs(t.supports)})" if t.supports else ""),
        f"members {runs(t.members) or 'none'}" + (f" (columns {columns})" if columns else ""),
        f"stories {' '.join(state.levels)}",
        f"cases {' '.join(c + '*' * (c == t.current) for c in t.cases) or 'none'}",
        f"combos {names(t.combos) or 'none'}",
        f"sections {' '.join(t.sections) or 'none'}",
        f"materials {' '.join(t.materials) or 'none'}",
    ]
    return "; ".join(parts)


def need_node(t: Tables, node: int) -> Point:
    """The node's coordinates, or a refusal."""
    if node not in t.nodes:
        known = runs(t.nodes)
        raise Refusal("no_such_node", f"절점 {node}이(가) 없습니다 ({known})", f"no node {node} ({known})")
    return t.nodes[node]


def need_member(t: Tables, member: int) -> Member:
    """The member, or a refusal."""
    if member not in t.members:
        known = runs(t.members)
        raise Refusal("no_such_member", f"부재 {member}이(가) 없습니다 ({known})", f"no member {member} ({known})")
    return t.members[member]


def need_case(t: Tables, case: str | None) -> str:
    """The named load case, or the current one when none is named, or a refusal."""
    if case is None:
        if not t.current:
            raise Refusal("no_current_case", "현재 하중조건이 없습니다", "there is no current load case")
        return t.current
    if case not in t.cases:
        known = ", ".join(t.cases)
        raise Refusal(
            "unknown_load_case", f"하중조건 {case}이(가) 없습니다 ({known})", f"no load case {case} ({known})"
        )
    return case


def need_load_name(t: Tables, name: str) -> str:
    """The name of a load case or combination, or a refusal."""
    if name not in t.cases and name not in t.combos:
        raise Refusal("unknown_load_name", f"하중 {name}이(가) 없습니다", f"no load case or combination {name}")
    return name


def need_section(t: Tables, section: str) -> str:
    """The name of a registered section, or a refusal."""
    if section not in t.sections:
        raise Refusal("unknown_section", f"단면 {section}이(가) 등록되지 않았습니다", f"section {section} is unknown")
    return section


def need_story(state: State, story: str, *, above_base: bool) -> float:
    """Elevation (m) of a storey; with `above_base` the base level is refused, having no floor and no storey below."""
    known = list(state.levels)
    if story not in state.levels:
        shown = ", ".join(known)
        raise Refusal("no_such_story", f"층 {story}이(가) 없습니다 ({shown})", f"no storey {story} ({shown})")
    if above_base and story == known[0]:
        raise Refusal("no_such_story", f"{story}은(는) 기초 레벨입니다", f"{story} is the base level")
    return state.levels[story]


def length(t: Tables, member: Member) -> float:
    """Distance (m) between a member's nodes."""
    a, b = t.nodes[member.i], t.nodes[member.j]
    return float(sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) ** 0.5)
