"""Tool lists in any spelling to OpenAI function schemas; Python-ish types to JSON Schema.

A parameter is required where the schema lists it, and in the flat form (`{arg: {"type": "str, optional"}}`, which has
no list) where it is neither called optional nor has a default.
"""

import re
from contextlib import suppress
from typing import Any

from data.formats.literals import check_depth, decode
from data.validate import schema_elsewhere
from data.words import fault, phrase
from tooltune.errors import InputError

_TYPES = {
    "string": "string str text char character uuid date time datetime",
    "integer": "integer int long short byte bigint",
    "number": "number float double decimal numeric",
    "boolean": "boolean bool",
    "object": "object dict dictionary map mapping hashmap hashtable json struct",
    "array": "array list arraylist tuple set sequence iterable vector queue",
    "null": "null none nonetype",
}
_JSON_TYPE = {spelling: kind for kind, spellings in _TYPES.items() for spelling in spellings.split()}
_GENERIC = re.compile(r"([A-Za-z_.]+)\s*[\[<(](.*)[\]>)]")
_INSIDE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_NAMED = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")


def tools_of(value: Any) -> list[dict[str, Any]]:
    """A row's tools: a list, one tool, or either written as JSON or as a Python literal; with or without the wrapper.

    Raises:
        InputError: a tool has no name, or something is not what it should be.
    """
    if isinstance(value, str):
        value = decode(value, phrase("value.tools")) if value.strip() else []
    if isinstance(value, dict):
        value = [value] if "name" in value or "function" in value else _listed(value)
    if value is None:
        return []
    if not isinstance(value, list):
        raise fault("tools.list")
    check_depth(value, "the tools")
    return [_tool(tool, i) for i, tool in enumerate(value)]


def _listed(value: dict[str, Any]) -> Any:
    """The list in an object that holds one, as MCP's answer does."""
    if value and not value.keys() & {"functions", "tools"}:
        raise fault("tools.object")
    return value.get("functions") or value.get("tools")


def json_schema(schema: Any) -> Any:
    """A parameter schema with its types as JSON Schema spells them; keywords besides types stay as they are."""
    if isinstance(schema, str):
        return type_schema(schema)[0]
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict):
        raise fault("tool.parameter", value=f"{schema!r:.40}")
    if schema.get("properties") == []:  # PHP writes an empty object so
        schema = schema | {"properties": {}}
    kind = schema.get("type")
    out: dict[str, Any] = {}
    if isinstance(kind, str):
        out = type_schema(kind)[0]
    elif isinstance(kind, list):
        out = {"type": [t for k in kind for t in [type_schema(str(k))[0].get("type")] if isinstance(t, str)]}
    given = {k: v for k, v in schema.items() if v is not None or k in ("default", "const")}  # Arrow fills with null
    out |= {k: _keyword(k, v) for k, v in given.items() if k not in ("type", "required", "optional")}
    if isinstance(schema.get("items"), list):
        out["prefixItems"] = out.pop("items")
    if "type" not in out and isinstance(kind, str) and kind.strip().lower() not in ("", "any", "object"):
        out["description"] = f"{out.get('description') or ''} ({kind})".strip()
    if isinstance(out.get("properties"), dict):
        out["required"] = _required(schema)
    elif isinstance(schema.get("required"), list):
        out["required"] = schema["required"]
    return out


def drop_nulls(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Take out of arguments what is null where the schema has no null, and say whether there was such a thing.

    Arrow gives each object the keys of all others in its column, with null.
    """
    found, properties = False, schema.get("properties")
    if not isinstance(properties, dict) or schema.get("additionalProperties"):
        return False
    for key, inner in list(value.items()):
        known = properties.get(key) if properties else {}
        if inner is None and key not in (schema.get("required") or []) and (known is None or _typed(known)):
            del value[key]
            found = True
        elif isinstance(inner, dict) and isinstance(known, dict):
            found = drop_nulls(inner, known) or found
    return found


def _typed(schema: Any) -> bool:
    """Whether a schema has one type, which is not null."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    return isinstance(kind, str) and kind != "null" and schema.get("nullable") is not True


def type_schema(text: str) -> tuple[dict[str, Any], bool]:
    """The schema of a type in words ("List[int]", "str, optional", "dict"), and whether it says optional.

    A type that JSON does not know ("any", "Callable") gives an empty schema, which every value satisfies.
    """
    text = text.strip()[:200]
    bare = re.sub(r"[,\s(]*\boptional\b[)\s]*$", "", text, flags=re.IGNORECASE).strip()
    optional = bare != text
    if len(either := _split(bare, "|")) > 1:
        bare = f"Union[{', '.join(either)}]"
    generic = _GENERIC.fullmatch(bare)
    if not generic:
        kind = _JSON_TYPE.get(bare.lower().rsplit(".", 1)[-1])
        return ({"type": kind} if kind else {}), optional
    head, inner = generic.group(1).lower().rsplit(".", 1)[-1], _split(generic.group(2))
    if head == "optional":
        return type_schema(inner[0])[0] if inner else {}, True
    if head == "literal":
        with suppress(InputError):
            return {"enum": decode(f"[{generic.group(2)}]", "")}, optional
    if head == "union":
        choices = [type_schema(part)[0] for part in inner]
        return ({"anyOf": choices} if choices and all(choices) else {}), optional
    kind = _JSON_TYPE.get(head)
    if kind == "array" and inner and (items := type_schema(inner[0])[0]):
        return {"type": "array", "items": items}, optional
    return ({"type": kind} if kind else {}), optional


def _tool(tool: Any, i: int) -> dict[str, Any]:
    if isinstance(tool, str):
        tool = decode(tool, f"tools[{i}]")
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"].strip():
        raise fault("tool.unnamed", i=i)
    found = [function[k] for k in ("parameters", "input_schema", "inputSchema") if function.get(k)]
    if not found and (key := schema_elsewhere(function)):
        raise fault("tool.no_parameters", i=i, key=key)
    parameters = _parameters(found[0] if found else {}, i)
    if not parameters.get("required") and isinstance(function.get("required"), list):
        parameters["required"] = function["required"]
    description = function.get("description")
    made = {
        "name": function["name"].strip(),
        "description": description if isinstance(description, str) else "",
        "parameters": parameters,
    }
    return {"type": "function", "function": made}


def _parameters(value: Any, i: int) -> dict[str, Any]:
    if isinstance(value, str):
        value = decode(value, f"tools[{i}].parameters")
    if not isinstance(value, dict):
        raise fault("tool.parameters", i=i)
    if isinstance(value.get("properties"), str) and value.get("type") in ("object", "dict"):
        value = value | {"properties": decode(value["properties"], f"tools[{i}].parameters.properties")}
    if _flat(value):
        value = {"properties": value, "required": [k for k, v in value.items() if not _optional(v)]}
    schema = json_schema({"type": "object", "properties": {}} | value)
    assert isinstance(schema, dict)
    return schema


def _flat(parameters: dict[str, Any]) -> bool:
    """Whether this maps parameter names to their types directly, without being a JSON schema."""
    known = parameters.get("properties") or {}
    if not isinstance(parameters.get("type", ""), str) or not isinstance(known, dict):
        return True  # parameters that are called "type" or "properties"
    if {"type", "properties", "anyOf", "oneOf", "allOf", "$ref"} & parameters.keys():
        return False
    named = parameters.keys() - {"description", "title", "$schema", "$defs"}
    return bool(named) and all(isinstance(parameters[k], (dict, str)) for k in named)


def _optional(schema: Any) -> bool:
    """Whether a parameter of the flat form may be left out."""
    text = schema if isinstance(schema, str) else schema.get("type") if isinstance(schema, dict) else ""
    says = isinstance(text, str) and type_schema(text)[1]
    return says or (isinstance(schema, dict) and ("default" in schema or schema.get("required") is False))


def _required(schema: dict[str, Any]) -> list[Any]:
    """The required list, with what the properties themselves say (`"required": true`, `"optional": true`)."""
    listed: list[Any] = schema["required"] if isinstance(schema.get("required"), list) else []
    properties = {k: v for k, v in schema["properties"].items() if isinstance(v, dict)}
    drop = {k for k, v in properties.items() if v.get("optional") is True}
    more = [k for k, v in properties.items() if v.get("required") is True and k not in listed]
    return [k for k in [*listed, *more] if not (isinstance(k, str) and k in drop)]


def _keyword(key: str, value: Any) -> Any:
    if key in _NAMED and isinstance(value, dict):
        return {name: json_schema(inner) for name, inner in value.items() if inner is not None}
    if key in _INSIDE and isinstance(value, (dict, str)):
        return json_schema(value)
    if (key in _LISTS or key == "items") and isinstance(value, list):
        return [json_schema(inner) for inner in value]
    return value


def _split(text: str, mark: str = ",") -> list[str]:
    """The parts of "a, List[b, c]" between marks outside brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "[<(") - (char in "]>)")
        if char == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part for part in parts if part.strip()]
