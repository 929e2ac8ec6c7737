"""Gold calls as they are compared: alternatives made explicit, nesting bounded.

A value in a gold call is itself, unless it is the marker

    {"any_of": [v1, v2, …]}                     any of these values is right
    {"any_of": [v1], "optional": true}          … and so is leaving the parameter out

An object is a marker when it has a non-empty list under `any_of` and no key besides `any_of` and `optional` (true or
false). The alternatives are plain values, never markers, so an argument that really is `{"any_of": [1]}` is written
`{"any_of": [{"any_of": [1]}]}`.

A record's gold must satisfy its schema and therefore cannot carry markers; its alternatives stand in `meta.acceptable`:

    {"create_load_case": {"name": ["풍하중", "W"], "note": {"any_of": ["x"], "optional": true}}}

tool name → parameter → further right values, besides the one in the gold call. For a parameter that the gold call
leaves out, the listed values are allowed and leaving it out stays right.
"""

from dataclasses import dataclass
from typing import Any

from eval.parsed import ToolCall
from tooltune.errors import InputError

MAX_DEPTH = 64
"""Levels of nesting that are compared. Below them a predicted value equals nothing, and a gold value is refused."""


@dataclass(frozen=True)
class AnyOf:
    """A gold value with alternatives; `optional`: the parameter may also be left out."""

    options: tuple[Any, ...]
    optional: bool = False


class TooDeep:
    """Stands for a predicted value below MAX_DEPTH; equal to nothing."""


@dataclass(frozen=True)
class GoldCall:
    """A call that the model should make; argument values may hold AnyOf."""

    name: str
    arguments: dict[str, Any]


def read_gold(calls: Any, acceptable: Any = None, where: str = "") -> list[GoldCall]:
    """Make `[{"name", "arguments"}]` and `meta.acceptable` ready for comparison.

    Raises:
        InputError: a gold call or `acceptable` has another shape, or a value is nested deeper than MAX_DEPTH.
    """
    if not isinstance(calls, list):
        raise InputError("gold must be a list of calls", where=where, fix="write [] when the right answer is text")
    table = _read_acceptable(acceptable, where)
    return [_read_call(call, table, where) for call in calls]


def spelled_out(call: GoldCall) -> list[dict[str, Any]]:
    """Arguments without markers in which every alternative stands once."""
    most = max([1, *(_most(value) for value in call.arguments.values())])
    return [{key: _picked(value, k) for key, value in call.arguments.items()} for k in range(most)]


def _most(value: Any) -> int:
    if isinstance(value, AnyOf):
        return len(value.options)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max(map(_most, inner), default=1)


def _picked(value: Any, k: int) -> Any:
    if isinstance(value, AnyOf):
        return value.options[min(k, len(value.options) - 1)]
    if isinstance(value, dict):
        return {key: _picked(inner, k) for key, inner in value.items()}
    return [_picked(inner, k) for inner in value] if isinstance(value, list) else value


def prune(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Copy a predicted value, with TooDeep for everything nested more than `depth` levels."""
    if not isinstance(value, (dict, list)):
        return value
    if depth == 0:
        return TooDeep()
    if isinstance(value, list):
        return [prune(v, depth - 1) for v in value]
    return {k: prune(v, depth - 1) for k, v in value.items()}


def prune_call(call: ToolCall) -> ToolCall:
    return ToolCall(call.name, prune(call.arguments))


def _read_call(call: Any, table: dict[str, dict[str, AnyOf]], where: str) -> GoldCall:
    name = call.get("name") if isinstance(call, dict) else None
    arguments = call.get("arguments") if isinstance(call, dict) else None
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise InputError(
            "a gold call must be an object with a name and arguments",
            where=where,
            fix='write {"name": "f", "arguments": {…}}',
        )
    read = {key: _read_value(value, MAX_DEPTH - 1, where) for key, value in arguments.items()}
    for key, extra in table.get(name, {}).items():
        if key not in read:
            read[key] = AnyOf(extra.options, optional=True)
        elif isinstance(read[key], AnyOf):
            read[key] = AnyOf(read[key].options + extra.options, read[key].optional or extra.optional)
        else:
            read[key] = AnyOf((read[key], *extra.options), extra.optional)
    return GoldCall(name, read)


def _read_value(value: Any, depth: int, where: str) -> Any:
    if not isinstance(value, (dict, list)):
        return value
    if depth == 0:
        raise InputError(f"a gold value is nested deeper than {MAX_DEPTH} levels", where=where)
    if isinstance(value, list):
        return [_read_value(v, depth - 1, where) for v in value]
    return _marker(value) or {k: _read_value(v, depth - 1, where) for k, v in value.items()}


def _marker(value: dict[str, Any]) -> AnyOf | None:
    options, optional = value.get("any_of"), value.get("optional", False)
    if isinstance(options, list) and options and isinstance(optional, bool) and value.keys() <= {"any_of", "optional"}:
        return AnyOf(tuple(prune(v) for v in options), optional)
    return None


def _read_acceptable(acceptable: Any, where: str) -> dict[str, dict[str, AnyOf]]:
    table: dict[str, dict[str, AnyOf]] = {}
    for tool, parameters in _object(acceptable or {}, where).items():
        table[tool] = {}
        for key, listed in _object(parameters, where).items():
            extra = AnyOf(tuple(prune(v) for v in listed)) if isinstance(listed, list) else None
            if isinstance(listed, dict):
                extra = _marker(listed)
            if extra is None:
                raise _bad_acceptable(where)
            table[tool][key] = extra
    return table


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad_acceptable(where)
    return value


def _bad_acceptable(where: str) -> InputError:
    return InputError(
        "meta.acceptable must map tool name → parameter → list of right values",
        where=where,
        fix='write {"f": {"name": ["a", "b"]}}',
    )


def order_key(value: Any) -> tuple[Any, ...]:
    """A hashable key that sorts any two values and tells different ones apart, of whatever types."""
    if isinstance(value, dict):
        return (5, tuple((k, order_key(v)) for k, v in sorted(value.items())))
    if isinstance(value, list):
        return (4, tuple(order_key(v) for v in value))
    if isinstance(value, AnyOf):
        return (6, tuple(order_key(v) for v in value.options), value.optional)
    if isinstance(value, str):
        return (3, value)
    if isinstance(value, bool):
        return (1, value)
    return (2, value, type(value).__name__) if isinstance(value, (int, float)) else (0, type(value).__name__)
