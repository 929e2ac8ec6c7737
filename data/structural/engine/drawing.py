"""A frame in text: an elevation of every line of frames along X, then what stands in its tables.

Plain ASCII lines: a Korean terminal gives box-drawing characters two columns.
"""

from collections.abc import Iterable, Iterator

from data.structural.engine.properties import CrossSection
from data.structural.engine.state import Load, State, Tables, runs

SUPPORTS = {"fixed": "#", "pinned": "^"}
"""The mark behind a node's number; any roller has `o`."""
UNITS = {"moment": "kN-m", "line": "kN/m", "floor": "kN/m2", "self_weight": "", "temperature": "K", "settlement": "mm"}
"""By kind of load; kN for the others."""


def drawing(state: State) -> str:
    """The frame as lines: nodes by number, members in brackets, the storeys at the left, then the tables.

    `4#` is a fixed node, `4^` a pinned one, `4o` a roller. Not to scale. Members along Y, and others that no elevation
    shows, are listed.
    """
    t = state.tables
    return "\n".join([*_elevations(state), "", *_properties(t), *_loads(t)])


def _elevations(state: State) -> Iterator[str]:
    t = state.tables
    drawn: set[int] = set()
    for y in sorted({point[1] for point in t.nodes.values()}):
        yield f"Y = {y:g} m"
        yield from _elevation(state, y, drawn)
    rest = [f"({n}) {m.i}-{m.j}" for n, m in sorted(t.members.items()) if n not in drawn]
    if rest:
        yield "other members: " + ", ".join(rest)


def _elevation(state: State, y: float, drawn: set[int]) -> Iterator[str]:
    """One plane, from the top down; the members that it shows are added to `drawn`."""
    t = state.tables
    plane = {n: p for n, p in t.nodes.items() if p[1] == y}
    xs, zs = sorted({p[0] for p in plane.values()}), sorted({p[2] for p in plane.values()}, reverse=True)
    marks = {n: f"{n}{_mark(t.supports[n]) if n in t.supports else ''}" for n in plane}
    digits = max(len(f"{n}") for n in plane)
    width = digits + max((len(f"{n}") for n in t.members), default=0) + 6
    canvas = [[" "] * (width * len(xs)) for _ in range(2 * len(zs) - 1)]
    at = {n: (2 * zs.index(p[2]), width * xs.index(p[0])) for n, p in plane.items()}
    for number, member in sorted(t.members.items()):
        if member.i in at and member.j in at:
            label = f"({number})"
            indent = digits + (width - digits - len(label)) // 2
            if _line(canvas, at[member.i], at[member.j], label, indent):
                drawn.add(number)
    for n, (row, column) in at.items():
        _put(canvas, row, column, marks[n])
    names = {level: name for name, level in state.levels.items()}
    labels = [f"{names.get(z, '')} {z:g} m".strip() for z in zs]
    for row, cells in enumerate(canvas):
        label = labels[row // 2] if row % 2 == 0 else ""
        yield f"{label:>{max(map(len, labels)) + 2}}  {''.join(cells)}".rstrip()


def _mark(support: str) -> str:
    return SUPPORTS.get(support, "o")


def _line(canvas: list[list[str]], start: tuple[int, int], end: tuple[int, int], label: str, indent: int) -> bool:
    """Draw a level or upright member between two (row, column); False where it is neither, or its place is taken.

    Its label stands in the first bay or storey, where no node on its way covers it.
    """
    (row, column), (last_row, last_column) = sorted((start, end))
    if row == last_row:
        cells, sign, place = [(row, c) for c in range(column, last_column)], "-", (row, column + indent)
    elif column == last_column:
        cells, sign, place = [(r, column) for r in range(row + 1, last_row)], "|", (row + 1, column + 1)
    else:
        return False
    if any(canvas[r][c] != " " for r, c in cells):
        return False
    for r, c in cells:
        canvas[r][c] = sign
    _put(canvas, *place, label)
    return True


def _put(canvas: list[list[str]], row: int, column: int, text: str) -> None:
    canvas[row][column : column + len(text)] = text


def _properties(t: Tables) -> Iterator[str]:
    for support in dict.fromkeys(t.supports.values()):
        yield f"support {support}: {runs(n for n, s in t.supports.items() if s == support)}"
    for (node, axis), stiffness in sorted(t.springs.items()):
        yield f"spring at {node}: {axis} {stiffness:g}"
    for member, end in sorted(t.releases):
        yield f"release of {member}: {end}"
    for name, section in t.sections.items():
        used = runs(n for n, m in t.members.items() if m.section == name)
        yield f"section {name} ({_material(t, section)}): {used or 'not used'}"
    cases = (f"{name}{'*' if name == t.current else ''} ({kind})" for name, kind in t.cases.items())
    yield f"load cases: {', '.join(cases) or 'none'}"
    for name, factors in t.combos.items():
        yield f"combination {name}: " + " + ".join(f"{factor:g} {case}" for case, factor in factors.items())


def _material(t: Tables, section: CrossSection) -> str:
    return t.materials[section.material].grade if section.material in t.materials else section.material


def _loads(t: Tables) -> Iterator[str]:
    yield from (f"load {load.case}: {_load(load)}" for load in t.loads)


def _load(load: Load) -> str:
    values = _numbers(dict.fromkeys(load.values))
    place = f"at {_numbers(load.place)}" if load.place else ""
    words = (load.kind.replace("_", " "), str(load.target), load.direction, values, UNITS.get(load.kind, "kN"), place)
    return " ".join(word for word in words if word)


def _numbers(values: Iterable[float]) -> str:
    return " to ".join(f"{value:g}" for value in values)
