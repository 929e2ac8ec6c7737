"""Typing the untyped text of XML families by the tool's schema.

A string stays as it is written, `02134` included. For another type the text is read as JSON and taken when the result
has a type that the schema names; else the text stays, which is a type error for the scorer and not a parse error.
"""

from collections.abc import Mapping
from typing import Any

from eval.formats.literals import Literals
from eval.formats.relaxed_json import relaxed_decode
from eval.formats.strict_json import Unreadable, strict_loads

_TYPES = {
    "string": "string", "str": "string", "char": "string", "enum": "string",
    "integer": "integer", "int": "integer", "long": "integer",
    "number": "number", "float": "number", "double": "number",
    "boolean": "boolean", "bool": "boolean",
    "array": "array", "list": "array", "tuple": "array",
    "object": "object", "dict": "object", "map": "object", "hashmap": "object",
    "null": "null", "none": "null",
}  # fmt: skip
_PYTHON_WORDS = {"True": True, "False": False, "None": None}


def typed(text: str, schema: Any, root: Any = None, *, python: bool = False) -> tuple[Any, str]:
    """The value that `text` has under `schema`, and a problem word (empty when the text is as it should be).

    Args:
        root: the schema that holds `$defs`, for a `$ref`.
        python: the family's template writes containers as Python does, so that is no problem.
    """
    allowed = types_of(schema, root)
    if allowed == {"string"}:
        return text, ""
    bare = text.strip()
    if bare in _PYTHON_WORDS:  # Jinja's string filter, which several templates use, writes booleans this way
        value: Any = _PYTHON_WORDS[bare]
        return (value, "") if _fits(value, allowed) else (text, "")
    try:
        value = strict_loads(text)
        return (value, "") if _fits(value, allowed) else (text, "")
    except Unreadable:
        pass
    container = bare[:1] in ("{", "[")
    if container:
        try:
            reader = Literals(bare)
            value, end = reader.value(0)
            if end == len(bare) and _fits(value, allowed):
                problems = reader.problems if python else ["python_literal", *reader.problems]
                return value, problems[0] if problems else ""
        except (Unreadable, RecursionError):
            pass
    try:
        value, end, problems, _ = relaxed_decode(bare)
        if bare[end:].strip():
            raise Unreadable("extra_data")
    except Unreadable:
        return text, "not_json" if container and not _fits("", allowed) else ""
    if not _fits(value, allowed) or isinstance(value, str):
        return text, ""
    return value, (problems or ["not_json"])[0]


def types_of(schema: Any, root: Any = None, seen: set[int] | None = None) -> set[str]:
    """The JSON types that a schema admits; empty when it does not say."""
    for _ in range(8):  # a reference may lead to a reference; a circle must not hold us
        if not isinstance(schema, Mapping):
            return set()
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        schema = root
        for step in reference[2:].split("/"):
            schema = schema.get(step) if isinstance(schema, Mapping) else None
    if not isinstance(schema, Mapping):
        return set()
    seen = set() if seen is None else seen
    if id(schema) in seen:  # a union may lead back to itself
        return set()
    seen.add(id(schema))
    found: set[str] = set()
    declared = schema.get("type")
    for name in declared if isinstance(declared, list) else [declared]:
        if isinstance(name, str) and name.lower() in _TYPES:
            found.add(_TYPES[name.lower()])
    for union in ("anyOf", "oneOf"):
        options = schema.get(union)
        for option in options if isinstance(options, list) else ():
            found |= types_of(option, root, seen)
    enum = schema.get("enum")
    if not found and isinstance(enum, list):
        found = {_type(value) for value in enum}
    if schema.get("nullable") is True and found:
        found.add("null")
    return found


def _type(value: Any) -> str:
    for kind, name in (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
        (dict, "object"),
    ):
        if isinstance(value, kind):
            return name
    return "null"


def _fits(value: Any, allowed: set[str]) -> bool:
    kind = _type(value)
    if not allowed or kind in allowed:
        return True
    if kind == "null":
        return "string" not in allowed
    return kind in ("integer", "number") and bool(allowed & {"integer", "number"})
