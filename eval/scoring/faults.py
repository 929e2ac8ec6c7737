"""What is wrong with a predicted call by its tool's schema alone, whatever gold says."""

from dataclasses import dataclass, field
from typing import Any

from eval.scoring.equality import equal
from eval.scoring.schema import Place, json_type


@dataclass
class Faults:
    """Counts of places in the arguments of one call.

    Attributes:
        unknown: paths of keys that the schema does not know, such as `load.unit` or `points[].w`.
        enum_violation: values of the right type outside the enum.
        wrong_type: values of a type that the schema does not allow; nothing is judged below them.
        coerced_integer: floats such as 5.0 where the schema says integer; accepted as that integer.
    """

    unknown: list[str] = field(default_factory=list)
    enum_violation: int = 0
    wrong_type: int = 0
    missing_required: int = 0
    coerced_integer: int = 0


def find_faults(arguments: dict[str, Any], place: Place) -> Faults:
    """Check a call's arguments against the root place of its tool's schema."""
    faults = Faults()
    _check(arguments, place, "", faults)
    return faults


def _check(value: Any, place: Place, path: str, faults: Faults) -> None:
    kind = json_type(value)
    if not _allowed(value, kind, place):
        faults.wrong_type += 1
        return
    if kind == "number" and place.types is not None and "number" not in place.types:
        faults.coerced_integer += 1
    if place.enum is not None and not any(equal(value, allowed, place) for allowed in place.enum):
        faults.enum_violation += 1
    if kind == "array":
        for i, item in enumerate(value):
            _check(item, place.item(i), f"{path}[]", faults)
    if kind == "object":
        faults.missing_required += len(place.required - value.keys())
        for key, item in value.items():
            below = place.child(key)
            where = f"{path}.{key}" if path else key
            if below is None:
                faults.unknown.append(where)
            else:
                _check(item, below, where, faults)


def _allowed(value: Any, kind: str, place: Place) -> bool:
    if place.types is None or kind in place.types:
        return True
    if kind == "integer":
        return "number" in place.types
    return kind == "number" and "integer" in place.types and float(value).is_integer()
