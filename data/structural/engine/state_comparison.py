"""Two states side by side, in kN and m: what execution accuracy is measured with."""

import json
from dataclasses import dataclass
from typing import Any

from data.structural.engine.state import Load, State
from data.structural.engine.tool_schemas import parameters

SET_LIKE = ("node_ids", "member_ids", "ids", "names", "content", "load_names")


@dataclass(frozen=True)
class Sameness:
    """How far two states agree.

    Attributes:
        strict: equal in every table, loads as a multiset: two loads of 5 are not one of 10.
        summed: equal once loads of one kind, place, direction and case are added up: here they are.
        differences: the tables that differ under `strict`, by name.
    """

    strict: bool
    summed: bool
    differences: list[str]


def canonical_state(state: State) -> dict[str, Any]:
    """The state as JSON data in a fixed order: numbers to nine digits, ids sorted, loads in kN and m sorted.

    `actions` are the analyses, queries and exports asked for, defaults dropped, as a sorted multiset.
    """
    t = state.tables
    return {
        "nodes": {str(n): [_digits(v) for v in p] for n, p in sorted(t.nodes.items())},
        "members": {str(n): [m.i, m.j, m.section, m.kind] for n, m in sorted(t.members.items())},
        "supports": {str(n): s for n, s in sorted(t.supports.items())},
        "springs": {f"{n} {axis}": _digits(k) for (n, axis), k in sorted(t.springs.items())},
        "releases": sorted(f"{n} {end}" for n, end in t.releases),
        "materials": {n: [m.kind, m.grade] for n, m in sorted(t.materials.items())},
        "sections": {n: [s.shape, [_digits(d) for d in s.dims], s.material] for n, s in sorted(t.sections.items())},
        "cases": dict(sorted(t.cases.items())),
        "current": t.current,
        "combos": {n: {c: _digits(f) for c, f in sorted(fs.items())} for n, fs in sorted(t.combos.items())},
        "loads": sorted(_load(x) for x in t.loads),
        "actions": sorted(json.dumps(_action(state, *a), ensure_ascii=False, sort_keys=True) for a in state.actions),
    }


def same_state(a: State, b: State) -> Sameness:
    """Compare two states; see Sameness for the two readings of the loads."""
    return compare(comparable(a), comparable(b))


def comparable(state: State) -> dict[str, Any]:
    """What `compare` looks at: the canonical state, and the loads added up.

    Raises:
        ArithmeticError: a number is beyond what a float can hold.
    """
    return canonical_state(state) | {"sums": _summed(state)}


def compare(a: dict[str, Any], b: dict[str, Any]) -> Sameness:
    """Compare two states as `comparable` writes them."""
    differences = [key for key in a if key != "sums" and a[key] != b[key]]
    return Sameness(not differences, a["sums"] == b["sums"] and not set(differences) - {"loads"}, differences)


def _load(x: Load) -> list[str]:
    """One load as sortable text: kind, case, target, direction, values, place."""
    return [x.kind, x.case, str(x.target), x.direction, _numbers(x.values), _numbers(x.place)]


def _summed(state: State) -> dict[tuple[str, ...], str]:
    """Loads added up over all but their values; sums that vanish are left out."""
    total: dict[tuple[str, ...], list[float]] = {}
    for x in state.tables.loads:
        kind, case, target, direction, _, place = _load(x)
        values = total.setdefault((kind, case, target, direction, place), [0.0] * len(x.values))
        for i, v in enumerate(x.values):
            values[i] += v
    return {key: _numbers(tuple(v)) for key, v in total.items() if any(abs(x) > 1e-12 for x in v)}


def _action(state: State, name: str, arguments: dict[str, Any]) -> list[Any]:
    """A call with schema defaults dropped, sets sorted and the load it falls back on left as it is."""
    defaults = {k: p.get("default") for k, p in parameters()[name]["properties"].items()}
    defaults |= {"p_delta": False, "modal_combination": "CQC"}
    kept = {k: v for k, v in arguments.items() if v != defaults.get(k)}
    return [name, {k: sorted(v) if k in SET_LIKE else _plain(v) for k, v in sorted(kept.items())}]


def _plain(value: Any) -> Any:
    return _digits(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(f"{_digits(v):.9g}" for v in values)


def _digits(value: float) -> float:
    return float(f"{float(value):.9g}") + 0.0
