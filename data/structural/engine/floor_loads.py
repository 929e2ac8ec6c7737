"""Area loads to the beams around a floor: rectangular panels, their tributary shapes, line loads on members."""

from dataclasses import dataclass

from data.structural.engine.state import Tables, length

ON_LEVEL = 1e-6


@dataclass(frozen=True)
class FloorPanel:
    """A rectangle of floor with its corner at (x, y), lx by ly (m), and the members along its X-edges and Y-edges."""

    x: float
    y: float
    lx: float
    ly: float
    x_edges: tuple[int, ...]
    y_edges: tuple[int, ...]


@dataclass(frozen=True)
class Strip:
    """A load q (kN/m, downward) on a member that varies linearly between two ratios of its length."""

    member: int
    start: float
    end: float
    first: float
    last: float


def panels(t: Tables, z: float, distribution: str) -> list[FloorPanel]:
    """The panels at elevation z whose carrying edges all have a beam between the panel's corners."""
    reached = {n for m in t.members.values() for n in (m.i, m.j)}
    corners = {t.nodes[n][:2]: n for n in sorted(reached) if abs(t.nodes[n][2] - z) < ON_LEVEL}
    beams = {frozenset((m.i, m.j)): n for n, m in t.members.items()}

    def edges(x: float, y: float, x2: float, y2: float) -> FloorPanel | None:
        if (x2, y2) not in corners:
            return None
        a, b, c, d = corners[x, y], corners[x2, y], corners[x, y2], corners[x2, y2]
        x_edges = [beams.get(frozenset(pair)) for pair in ((a, b), (c, d))]
        y_edges = [beams.get(frozenset(pair)) for pair in ((a, c), (b, d))]
        needed = {"one_way_x": y_edges, "one_way_y": x_edges}.get(distribution, x_edges + y_edges)
        if not all(needed):
            return None
        return FloorPanel(x, y, x2 - x, y2 - y, tuple(filter(None, x_edges)), tuple(filter(None, y_edges)))

    found = []
    for x, y in corners:
        right = sorted(cx for cx, cy in corners if cy == y and cx > x)
        up = sorted(cy for cx, cy in corners if cx == x and cy > y)
        found.append(next(filter(None, (edges(x, y, x2, y2) for x2 in right for y2 in up)), None))
    return [panel for panel in found if panel]


def strips(t: Tables, z: float, value: float, distribution: str) -> list[Strip]:
    """Line loads of an area load of `value` kN/m². Their sum is value · area.

    one_way_x spans in X, so the Y-edges carry half each; two_way splits along 45° lines from the corners.
    """
    result = []
    for p in panels(t, z, distribution):
        if distribution == "one_way_x":
            result += [Strip(m, 0, 1, value * p.lx / 2, value * p.lx / 2) for m in p.y_edges]
        elif distribution == "one_way_y":
            result += [Strip(m, 0, 1, value * p.ly / 2, value * p.ly / 2) for m in p.x_edges]
        else:
            half = min(p.lx, p.ly) / 2
            for member in p.x_edges + p.y_edges:
                ratio, peak = half / length(t, t.members[member]), value * half
                result.append(Strip(member, 0, ratio, 0, peak))
                if ratio < 0.5:
                    result.append(Strip(member, ratio, 1 - ratio, peak, peak))
                result.append(Strip(member, 1 - ratio, 1, peak, 0))
    return result
