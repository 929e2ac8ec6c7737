"""Systematic damage to gold calls: one argument changed at a time, so that a reader can be asked to notice."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

ID, IDS = ("node_id", "member_id", "start_node", "end_node"), ("node_ids", "member_ids", "ids")
SIGNED = ("value", "end_value", "dx", "dy", "dz", "delta_t")
AXES = ("direction", "axis", "component", "roller_direction")
SUFFIX = {"add_nodal_load": "", "add_member_point_load": "", "add_nodal_moment": "-m"}
SUFFIX |= {"add_member_distributed_load": "/m", "add_floor_load": "/m2"}
Calls = list[dict[str, Any]]


def corruptions(calls: Calls) -> Iterator[tuple[str, Calls]]:
    """Every (kind, damaged calls); kind is "id", "value", "sign", "unit" or "axis"."""
    for i, call in enumerate(calls):
        for kind, key, value in _changes(call):
            damaged = copy.deepcopy(calls)
            damaged[i]["arguments"][key] = value
            yield kind, damaged


def swaps(sentence: str, calls: Calls) -> Iterator[Calls]:
    """Calls in which one number has become another number of the same sentence: ids, sizes and places mixed up."""
    said = sorted({float(x) for x in re.findall(r"\d+(?:\.\d+)?", sentence)} - {0.0})
    gold = _multiset(calls)
    for i, call in enumerate(calls):
        for key, value in call["arguments"].items():
            if isinstance(value, bool | str | list | dict):
                continue
            for other in said:
                if other == abs(value) or (isinstance(value, int) and key in ID and other != int(other)):
                    continue
                damaged = copy.deepcopy(calls)
                damaged[i]["arguments"][key] = int(other) if key in ID else other * (-1 if value < 0 else 1)
                if _multiset(damaged) != gold:
                    yield damaged


def _changes(call: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    a = call["arguments"]
    for key, value in a.items():
        if key in ID:
            yield from (("id", key, value + 1), ("id", key, value + 10))
        elif key in IDS:
            yield "id", key, [*value[:-1], value[-1] + 1]
        elif key in AXES and value[-1] in "XYZxyz":
            for other in "XYZ":
                if other != value[-1].upper() and value[:-1] + other.lower() not in ("Vx", "Mx"):
                    yield "axis", key, value[:-1] + (other if value[-1].isupper() else other.lower())
        elif key == "dimensions":
            yield from (("value", key, [value[0] + 1, *value[1:]]), ("unit", key, [d / 1000 for d in value]))
        elif key == "factors":
            case = next(iter(value))
            yield from (("value", key, value | {case: value[case] + 0.1}), ("sign", key, value | {case: -value[case]}))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            if value:
                yield "value", key, value * 10
            yield "value", key, value + 1 if isinstance(value, int) else round(value * 1.3, 4)
            if key in SIGNED and value:
                yield "sign", key, -value
    if call["name"] in SUFFIX:
        suffix = SUFFIX[call["name"]]
        for unit in ("kN", "N", "kgf", "tonf"):
            if unit + suffix != a.get("unit", "kN" + suffix):
                yield "unit", "unit", unit + suffix


def _multiset(calls: Calls) -> list[str]:
    return sorted(json.dumps(c, sort_keys=True) for c in calls)
