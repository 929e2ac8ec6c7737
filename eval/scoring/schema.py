"""What a tool's JSON schema says about one place in its arguments.

Only what scoring asks is read: types, enum, default, required, which keys and items may stand below, and whether an
array is a set. Composed schemas (`anyOf`, `oneOf`, `allOf`) are flattened leniently: whatever one branch allows is
allowed.

`"uniqueItems": true` marks an array as set-like: its order carries no meaning and is ignored when values are compared.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import regex

from data.bounded_schema import TooMuch, finds

MISSING: Any = object()
"""Stands for "no value here"; None would be JSON's null."""

# How datasets with Python-like schemas spell the types; "any" and whatever else is unknown constrains nothing.
_ALIASES = {"float": "number", "int": "integer", "str": "string", "bool": "boolean", "dict": "object", "list": "array"}
_ALIASES |= {"tuple": "array", "double": "number", "long": "integer"}
_TYPES = {"null", "boolean", "integer", "number", "string", "array", "object"}
_NULL = frozenset({"null"})
_MAX_REFS = 32
_MAX_KEY = 200
_SECONDS = 0.1


@dataclass(frozen=True)
class Place:
    """One place of a schema, references resolved and branches merged.

    Attributes:
        types: JSON type names allowed here; None when anything goes.
        enum: the values allowed here; None when not limited.
        properties: schemas of the named keys.
        required: keys that must be there.
        additional: schema of other keys; True or False when only allowed or forbidden; None when not said.
        patterns: regular expression → schema of the keys that it finds.
        declared: whether `properties` is given at all; an object without it is a free-form map.
        prefix, items: schemas of the first items of an array, and of the others.
        set_like: the order of the array's items has no meaning (`uniqueItems`).
        root: the whole schema, in which `$ref` is looked up.
        undeclared_parameters: the root of a tool that declares no parameters: any key may stand here, as a name.
    """

    types: frozenset[str] | None = None
    enum: tuple[Any, ...] | None = None
    default: Any = MISSING
    properties: dict[str, Any] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    additional: Any = None
    patterns: dict[str, Any] = field(default_factory=dict)
    declared: bool = False
    prefix: tuple[Any, ...] = ()
    items: Any = None
    set_like: bool = False
    root: Any = None
    undeclared_parameters: bool = False

    def child(self, key: str) -> "Place | None":
        if key in self.properties:
            return read_place(self.properties[key], self.root)
        for pattern, schema in self.patterns.items():
            if _finds(pattern, key):
                return read_place(schema, self.root)
        if isinstance(self.additional, dict):
            return read_place(self.additional, self.root)
        if self.additional is True or self.undeclared_parameters or (self.additional is None and not self.declared):
            return FREE
        return None

    def child_or_free(self, key: str) -> "Place":
        """The place below `key`; a place that allows anything when the schema does not know the key."""
        return self.child(key) or FREE

    def item(self, index: int) -> "Place":
        return read_place(self.prefix[index] if index < len(self.prefix) else self.items, self.root)

    def default_of(self, key: str) -> Any:
        """The value that leaving out `key` stands for, or MISSING when it stands for none."""
        return MISSING if key in self.required else self.child_or_free(key).default


FREE = Place()
"""A place that no schema describes: anything may stand there."""


def parameters_place(parameters: Any) -> Place:
    """The root place of a tool's `parameters`: its keys are names of parameters, declared or not.

    A tool that gives no `properties` declares nothing, so no argument of it is unknown; an empty `properties` says that
    it takes none.
    """
    place = read_place(parameters if isinstance(parameters, dict) else {}, parameters)
    return place if place.declared else replace(place, declared=True, undeclared_parameters=place.additional is None)


def read_place(schema: Any, root: Any) -> Place:
    """Flatten one schema node; anything that is no schema object gives a free place."""
    if not isinstance(schema, dict):
        return FREE
    return _flatten(schema, root, [_MAX_REFS])


def json_type(value: Any) -> str:
    """The JSON type of a parsed value; a float is "number" even when it is integral, and a bool is never a number."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else kinds.get(type(value), "unknown")


def _flatten(schema: dict[str, Any], root: Any, budget: list[int]) -> Place:
    """Merge `schema` with what it refers to; `budget` bounds the nodes visited, so cyclic references end."""
    place = _plain(schema, root)
    for keyword in ("$ref", "allOf", "anyOf", "oneOf"):
        if keyword not in schema:
            continue
        nodes = [_resolve(schema["$ref"], root)] if keyword == "$ref" else schema[keyword]
        branches = []
        for node in nodes if isinstance(nodes, list) else []:
            budget[0] -= 1
            if budget[0] >= 0 and isinstance(node, dict):
                branches.append(_flatten(node, root, budget))
        if branches:
            place = _merge(place, branches, together=keyword in ("$ref", "allOf"))
    return place


def _plain(schema: dict[str, Any], root: Any) -> Place:
    """Read the keywords that stand in this node itself, ignoring malformed ones."""
    properties, patterns = schema.get("properties"), schema.get("patternProperties")
    required, additional, prefix = schema.get("required"), schema.get("additionalProperties"), schema.get("prefixItems")
    enum = (schema["const"],) if "const" in schema else schema.get("enum")
    return Place(
        types=_types(schema),
        enum=tuple(enum) if isinstance(enum, (list, tuple)) else None,
        default=schema.get("default", MISSING),
        properties=properties if isinstance(properties, dict) else {},
        required=frozenset(k for k in required if isinstance(k, str)) if isinstance(required, list) else frozenset(),
        additional=additional if isinstance(additional, (dict, bool)) else None,
        patterns=patterns if isinstance(patterns, dict) else {},
        declared=isinstance(properties, dict) or additional is False,
        prefix=tuple(prefix) if isinstance(prefix, list) else (),
        items=schema.get("items"),
        set_like=schema.get("uniqueItems") is True,
        root=root,
    )


def _types(schema: dict[str, Any]) -> frozenset[str] | None:
    given = schema.get("type")
    names = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    types = {_ALIASES.get(n, n) for n in names if isinstance(n, str)}
    if not types or not types <= _TYPES:
        return None
    return frozenset(types | {"null"}) if schema.get("nullable") is True else frozenset(types)


def _merge(base: Place, branches: list[Place], together: bool) -> Place:
    """Join `base` with branches that hold together (`allOf`, `$ref`) or of which one holds (`anyOf`, `oneOf`)."""
    properties: dict[str, Any] = dict(base.properties)
    for branch in branches:
        for key, schema in branch.properties.items():
            known = properties.get(key)
            properties[key] = schema if known is None or known == schema else {"anyOf": [known, schema]}
    types, enum = base.types, base.enum
    if types is None and (together or all(b.types is not None for b in branches)):
        types = frozenset().union(*(b.types or () for b in branches)) or None
    if enum is None and (together or all(b.enum is not None or b.types == _NULL for b in branches)):
        enum = tuple(v for b in branches for v in b.enum or ()) or None
        if enum and not together and any(b.types == _NULL for b in branches):
            enum = (*enum, None)
    additional = [p.additional for p in (base, *branches) if p.additional is not None]
    return Place(
        types=types,
        enum=enum,
        default=next((p.default for p in (base, *branches) if p.default is not MISSING), MISSING),
        properties=properties,
        required=base.required.union(*(b.required for b in branches)) if together else base.required,
        additional=next((a for a in additional if a is not False), False if additional else None),
        patterns={k: v for p in (base, *branches) for k, v in p.patterns.items()},
        declared=base.declared or any(b.declared for b in branches),
        prefix=next((p.prefix for p in (base, *branches) if p.prefix), ()),
        items=next((p.items for p in (base, *branches) if p.items is not None), None),
        set_like=base.set_like or any(b.set_like for b in branches),
        root=base.root,
    )


def _resolve(reference: Any, root: Any) -> Any:
    """Follow a local JSON pointer such as `#/$defs/Point`; None when it leads nowhere."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    node = root
    for part in reference.removeprefix("#").split("/")[1:]:
        node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return node


@lru_cache(maxsize=4096)
def _finds(pattern: str, key: str) -> bool:
    """False where the expression is none, or backtracks without end."""
    try:
        return finds(pattern, key[:_MAX_KEY], _SECONDS)
    except (regex.error, TypeError, RecursionError, TooMuch):
        return False
