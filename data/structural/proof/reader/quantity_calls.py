"""Calls that put an amount in a direction on something: loads, moments, moves, settlements, springs."""

from typing import Any

from data.structural.proof.reader.conversation import Conversation
from data.structural.proof.reader.numbers import FORCES, Number
from data.structural.proof.reader.request_mentions import Direction, Ids

BEAM_LOADS = ("add_member_point_load", "add_member_distributed_load")
DIRECTED = ("add_nodal_load", "add_nodal_moment", *BEAM_LOADS)


def check_load(call: dict[str, Any], seen: Conversation) -> str:
    """Value, unit, direction, sign and target of a load or moment; "" when the conversation supports them."""
    a = call["arguments"]
    amounts = _amounts(call, seen)
    if not amounts:
        return f"no number {abs(a['value']):g} {a.get('unit', 'kN')} in the text"
    axis = a.get("direction") or a["axis"]
    directed = [n for n in amounts if _direction_holds(call, axis, n, seen)]
    if not directed:
        return f"direction {axis} with value {a['value']:g} is not what the text says"
    key, kind = ("node_id", "node") if "node_id" in a else ("member_id", "member")
    if not any(a[key] in allowed_ids(n, kind, seen) for n in directed):
        return f"{key} {a[key]} does not go with {a['value']:g} in the text"
    return ""


def check_floor(call: dict[str, Any], seen: Conversation) -> str:
    """Value, unit and sign of a floor load (positive is downward)."""
    a = call["arguments"]
    amounts = _amounts(call, seen)
    if not amounts:
        return f"no number {abs(a['value']):g} {a.get('unit', 'kN/m2')} in the text"
    lifted = any(n.value < 0 for n in amounts) or any(d.sign > 0 for d in seen.now.directions)
    return "" if (a["value"] < 0) == lifted else "a floor load is positive downward"


def check_settlement(call: dict[str, Any], seen: Conversation) -> str:
    """An imposed displacement in mm: sinking is negative Z unless the text names another direction."""
    a = call["arguments"]
    lengths = seen.numbers(lambda n: n.unit in ("mm", "cm", "m") or not n.unit)
    amounts = [n for n in lengths if same((n.metres or 0) * (1000 if n.unit else 1), abs(a["value"]), sign=False)]
    directions = seen.directions()
    for n in amounts:
        near = paired(n, amounts, directions) or [Direction("Z", -1, -1, -1)]
        if any(d.axis == a["direction"] and _sign_holds(a["value"], n.value, d.sign) for d in near):
            return _target(a, n, seen)
    return f"no settlement of {a['value']:g} mm in {a['direction']} in the text"


def check_spring(call: dict[str, Any], seen: Conversation) -> str:
    """Stiffness in kN/m (kN/mm and kN/cm are converted), direction and node."""
    a = call["arguments"]
    found = seen.numbers(lambda n: bool(n.force) or not n.unit)
    factors = (1.0, 1000.0, 100.0, 9.80665)
    amounts = [n for n in found if any(same(n.value * f, a["stiffness"]) for f in factors)]
    if not amounts:
        return f"no stiffness {a['stiffness']:g} in the text"
    if a["direction"] not in seen.axes():
        return f"direction {a['direction']} is not in the text"
    return _target(a, amounts[0], seen)


def check_offset(call: dict[str, Any], seen: Conversation) -> str:
    """dx, dy, dz in m, each with its length and its direction; "올려" is up here and "내려" down."""
    a = call["arguments"]
    lengths = seen.numbers(lambda n: n.metres is not None)
    directions = list(seen.directions())
    if not directions:
        up, down = seen.matches("올려|올리|높여|raise|lift"), seen.matches("내려|내리|낮춰|lower")
        directions = [Direction("Z", 1 if up else -1, -1, -1)] if up or down else []
    for key in ("dx", "dy", "dz"):
        value = a.get(key, 0)
        if not value:
            continue
        good = [n for n in lengths if n.metres is not None and same(n.metres, value, sign=False)]
        if not any(
            d.axis == key[1].upper() and _sign_holds(value, n.value, d.sign)
            for n in good
            for d in paired(n, lengths, directions)
        ):
            return f"{key} {value:g} is not what the text says"
    return ""


def allowed_ids(n: Number, kind: str, seen: Conversation) -> set[int]:
    """The ids that can go with an amount: by order when there are as many groups as amounts, else by nearness."""
    groups = seen.ids(kind)
    everyone = {i for g in groups for i in g.ids}
    amounts = [m for m in seen.now.numbers if m.force] or [m for m in seen.now.numbers if not m.unit]
    if n not in amounts or len(groups) == 0 or groups[0].start < 0 or len(amounts) == 1:
        return everyone
    labelled = [g for g in groups if g.kind == kind] or groups
    if len(everyone) == len(amounts) and seen.matches("각각|respectively|각기|차례로"):
        return {[i for g in groups for i in g.ids][amounts.index(n)]}
    if len(labelled) == 1:
        return set(labelled[0].ids)
    if len(labelled) == len(amounts):
        return set(labelled[amounts.index(n)].ids)
    before = [g for g in groups if g.start < n.start]
    return _group_ids(before[-1:] or groups[:1])


def paired(n: Number, amounts: list[Number], directions: list[Direction]) -> list[Direction]:
    """The directions that can go with an amount: the only one, by order when the counts agree, else the nearest."""
    if len(directions) <= 1:
        return directions
    if len(directions) == len(amounts) and n in amounts:
        return [directions[amounts.index(n)]]
    gap = {i: max(d.start - n.end, n.start - d.end) for i, d in enumerate(directions)}
    least = min(gap.values())
    return [d for i, d in enumerate(directions) if gap[i] <= least + 1]


def same(a: float, b: float, *, sign: bool = True) -> bool:
    """Equal to a millionth; with sign=False, in size only."""
    a, b = (a, b) if sign else (abs(a), abs(b))
    return abs(a - b) <= 1e-6 * max(1.0, abs(a), abs(b))


def _group_ids(groups: list[Ids]) -> set[int]:
    return {i for g in groups for i in g.ids}


def _amounts(call: dict[str, Any], seen: Conversation) -> list[Number]:
    """Numbers that can be the call's value: right size, right unit of force; without units only where none is said."""
    a = call["arguments"]
    base = a.get("unit", "kN").split("/")[0].split("-")[0]
    found = seen.numbers(lambda n: bool(n.force)) or seen.numbers(lambda n: not n.unit)
    if seen.now.numbers and not any(n.force for n in seen.now.numbers) and not seen.made:
        found = [n for n in seen.now.numbers if not n.unit] or found
    elif seen.made and not any(n.force for n in seen.now.numbers):
        found = found + [n for n in seen.now.numbers if not n.unit] + _made_amounts(seen)
    good = [n for n in found if (n.force or "kN") == base]
    if "end_value" in a:
        return _slope(a["value"], a["end_value"], good, triangle=seen.matches("삼각|triang"))
    return [n for n in good if same(n.value, a["value"], sign=False)]


def _slope(first: float, last: float, good: list[Number], *, triangle: bool) -> list[Number]:
    """The number that carries the direction; both ends are said in order, a triangle's zero need not be."""
    if triangle and 0 in (first, last):
        return [n for n in good if same(n.value, first or last, sign=False)]
    for i, n in enumerate(good):
        for m in good[i + 1 :]:
            alike = (n.value < 0) == (m.value < 0) or 0 in (n.value, m.value)
            one_side = first * last >= 0
            if same(n.value, first, sign=False) and same(m.value, last, sign=False) and alike == one_side:
                return [n if first else m]
    return []


def _made_amounts(seen: Conversation) -> list[Number]:
    """Values of earlier calls, for "the same", "twice as much", "half of it" and "the other way"."""
    result = []
    for call in seen.made:
        a = call["arguments"]
        if "value" not in a:
            continue
        factor = 2.0 if seen.matches("두 배|2\\s?배|twice|double") else 0.5 if seen.matches("절반|half") else 1.0
        unit = a.get("unit", "kN")
        value = -a["value"] if seen.matches("반대|opposite|reverse") else a["value"]
        result.append(Number(value * factor, unit if unit.startswith(FORCES) else "kN", -1, -1, value < 0))
    return result


def _direction_holds(call: dict[str, Any], axis: str, n: Number, seen: Conversation) -> bool:
    a = call["arguments"]
    value = a["value"] or a.get("end_value", 0)
    directions, amounts = seen.directions(), [m for m in seen.now.numbers if m.force] or seen.now.forces
    near = paired(n, amounts, directions)
    if call["name"] in BEAM_LOADS and not _claimed(n, amounts, seen.now.directions):
        near = [*near, Direction("Z", -1, -1, -1)]
    if call["name"] == "add_nodal_moment" and seen.matches("시계|clockwise"):
        return any(d.axis == axis for d in near)
    return any(d.axis == axis and _sign_holds(value, n.value, d.sign) for d in near)


def _claimed(n: Number, amounts: list[Number], directions: list[Direction]) -> bool:
    """Whether some direction stands nearer to this amount than to every other."""
    for d in directions:
        gaps = {m.start: max(d.start - m.end, m.start - d.end) for m in amounts or [n]}
        if gaps.get(n.start, -1) == min(gaps.values()):
            return True
    return False


def _sign_holds(value: float, spoken: float, direction: int) -> bool:
    """One negation makes it negative, wherever it stands; an upward word makes it positive."""
    if direction > 0:
        return (value < 0) == (spoken < 0)
    return (value < 0) == (direction < 0 or spoken < 0)


def _target(a: dict[str, Any], n: Number, seen: Conversation) -> str:
    return "" if a["node_id"] in allowed_ids(n, "node", seen) else f"node_id {a['node_id']} is not in the text"
