"""Signatures: a line for each schema as MCP servers, pydantic and people write them; the bundled data's stay as they
were."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.template import apply, project_template, signature
from tests.tiny import make_tokenizer
from tooltune.files import read_jsonl

REF = {"$ref": "#/$defs/K"}
NULL = {"type": "null"}
OBJECT = {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}
PARAMETERS: dict[str, tuple[Any, str]] = {
    # plain types
    "integer": ({"type": "integer"}, "int"),
    "number": ({"type": "number", "minimum": 0}, "num"),
    "boolean": ({"type": "boolean"}, "bool"),
    "upper case (Gemini)": ({"type": "STRING"}, "str"),
    "unknown type": ({"type": "date"}, "date"),
    "no type": ({"description": "anything"}, "any"),
    "true": (True, "any"),
    "empty": ({}, "any"),
    "null": (NULL, "null"),
    # choices
    "enum": ({"type": "string", "enum": ["a", "b"]}, "a|b"),
    "enum of integers": ({"enum": [1, 2]}, "1|2"),
    "enum of numbers as text": ({"type": "string", "enum": ["1", "-2.5"]}, '"1"|"-2.5"'),
    "enum with null": ({"type": ["string", "null"], "enum": [None, "a"]}, "a|null"),
    "enum of booleans": ({"enum": [True, False, None]}, "true|false|null"),
    "enum with the text null": ({"enum": ["null", None]}, '"null"|null'),
    "enum with signs": ({"enum": ["a|b", "x, y", "N/m2", "KDS 41:2022"]}, '"a|b"|"x, y"|N/m2|KDS 41:2022'),
    "enum with an empty text": ({"enum": ["", "a"]}, '""|a'),
    "enum of type names": ({"enum": ["int", "text"]}, '"int"|text'),
    "empty enum": ({"type": "string", "enum": []}, "str"),
    "Hangul": ({"enum": ["보", "기둥"]}, "보|기둥"),
    "const": ({"const": "one"}, "one"),
    "const null": ({"const": None}, "null"),
    "oneOf const": ({"oneOf": [{"const": "a", "title": "A"}, {"const": "b"}]}, "a|b"),
    "typed oneOf const": ({"type": "string", "oneOf": [{"const": "a"}, {"const": "b"}]}, "a|b"),
    # null and unions
    "type list": ({"type": ["integer", "null"]}, "int|null"),
    "type list, null first": ({"type": ["null", "string"]}, "str|null"),
    "type list with array": ({"type": ["array", "string"], "items": {"type": "string"}}, "[str]|str"),
    "Optional": ({"anyOf": [{"type": "integer"}, NULL], "default": None}, "int|null"),
    "Optional enum": ({"anyOf": [{"type": "string", "enum": ["a", "b"]}, NULL]}, "a|b|null"),
    "Optional of Any": ({"anyOf": [{}, NULL]}, "any|null"),
    "Optional of Optional": ({"anyOf": [{"type": ["string", "null"]}, NULL]}, "str|null"),
    "nullable (OpenAPI)": ({"type": "string", "nullable": True, "enum": ["a"]}, "a|null"),
    "Union": ({"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "integer"}]}, "int|str"),
    "anyOf that only demands": ({"type": "string", "anyOf": [{"minLength": 3}, {"pattern": "^a"}]}, "str"),
    # arrays
    "list": ({"type": "array", "items": {"type": "string"}}, "[str]"),
    "list of enum": ({"type": "array", "items": {"enum": ["r", "g"]}}, "[r|g]"),
    "list of anything": ({"type": "array"}, "[any]"),
    "list without type": ({"items": {"type": "integer"}}, "[int]"),
    "list of lists": ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, "[[num]]"),
    "tuple": ({"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}]}, "[num, str]"),
    "tuple (draft 7)": ({"type": "array", "items": [{"type": "number"}, {"type": "number"}]}, "[num, num]"),
    # objects
    "object": (OBJECT, "{x: num}"),
    "object without type": ({"properties": {"x": {"type": "number"}}}, "{x?: num}"),
    "object of anything": ({"type": "object", "additionalProperties": True}, "object"),
    "dict": ({"type": "object", "additionalProperties": {"type": "number"}}, "{str: num}"),
    "dict without type": ({"additionalProperties": {"type": "string"}}, "{str: str}"),
    "fields and more": (OBJECT | {"additionalProperties": {"type": "string"}}, "{x: num, str: str}"),
    "fields and nothing more": (OBJECT | {"additionalProperties": False}, "{x: num}"),
    "pattern": ({"type": "object", "patternProperties": {"^S": {"type": "integer"}}}, "{str: int}"),
    "field called items": ({"type": "object", "properties": {"items": {"type": "string"}}}, "{items?: str}"),
    "field called required": ({"properties": {"required": {"type": "boolean"}}}, "{required?: bool}"),
    "list of objects or null": ({"anyOf": [{"type": "array", "items": OBJECT}, NULL]}, "[{x: num}]|null"),
    "choice of objects": (
        {"oneOf": [OBJECT, {"type": "object", "properties": {"y": {"type": "string"}}}]},
        "{x: num}|{y?: str}",
    ),
    "common fields and a choice": (OBJECT | {"oneOf": [OBJECT | {"required": []}]}, "{x: num, x?: num}"),
    "fields, one of two demanded": (OBJECT | {"anyOf": [{"required": ["x"]}, {"required": ["y"]}]}, "{x: num}"),
    # references and allOf
    "reference": (REF, "r|g"),
    "Optional reference": ({"anyOf": [REF, NULL]}, "r|g|null"),
    "list of references": ({"type": "array", "items": REF}, "[r|g]"),
    "definitions (draft 7)": ({"$ref": "#/definitions/P"}, "{x: num}"),
    "reference with ~1": ({"$ref": "#/$defs/a~1b"}, "bool"),
    "reference with %3C (TypeScript)": ({"$ref": "#/definitions/Pick%3CFoo%2C%22a%22%3E"}, "{x: num}"),
    "reference to an anchor": ({"$ref": "#K"}, "any"),
    "reference that leads nowhere": ({"$ref": "#/$defs/none"}, "any"),
    "reference to a document": ({"$ref": "https://example.org/k.json"}, "any"),
    "reference to a field": ({"$ref": "#/properties/first"}, "int"),
    "allOf of one (pydantic 1)": ({"allOf": [REF], "default": "r"}, "r|g"),
    "allOf of type and limits": ({"allOf": [{"type": "string"}, {"minLength": 1}]}, "str"),
    "allOf of type and choice": ({"allOf": [{"type": "string"}, {"enum": ["a"]}]}, "a"),
    "allOf of objects": (
        {"allOf": [{"$ref": "#/definitions/P"}, {"properties": {"z": {"type": "string"}}, "required": ["z"]}]},
        "{x: num, z: str}",
    ),
    "allOf that demands": ({"allOf": [{"properties": {"z": {"type": "string"}}}, {"required": ["z"]}]}, "{z: str}"),
}


def tool(parameter: Any) -> dict[str, Any]:
    """A function with one parameter of interest, and definitions to refer to."""
    return {
        "name": "f",
        "parameters": {
            "type": "object",
            "properties": {"first": {"type": "integer"}, "p": parameter},
            "required": ["first"],
            "$defs": {"K": {"type": "string", "enum": ["r", "g"]}, "a/b": {"type": "boolean"}},
            "definitions": {"P": OBJECT, 'Pick<Foo,"a">': OBJECT},
        },
    }


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.parametrize(("parameter", "kind"), PARAMETERS.values(), ids=PARAMETERS)
def test_kind_of_a_parameter(parameter: Any, kind: str) -> None:
    assert signature(tool(parameter)) == f"f(first: int, p?: {kind})"


@pytest.mark.parametrize(
    ("function", "line"),
    [
        ({"name": "f"}, "f()"),
        ({"name": "f", "description": None, "parameters": None}, "f()"),
        ({"name": "f", "description": "a\nb", "parameters": {"type": "object", "properties": {}}}, "f() # a b"),
        ({"name": "f", "description": 5, "parameters": {}}, "f()"),
        ({"name": "f", "parameters": REF | {"$defs": {"K": OBJECT}}}, "f(x: num)"),
        ({"name": "f", "parameters": {"allOf": [OBJECT]}}, "f(x: num)"),
        (
            {"name": "f", "parameters": {"oneOf": [OBJECT, {"properties": {"y": {"type": "string"}}}]}},
            "f(x: num | y?: str)",
        ),
        ({"name": "f", "parameters": {"properties": {"a": {"type": "string", "required": True}}}}, "f(a: str)"),
        ({"name": "f", "parameters": {"properties": {"a": {"type": "string"}}, "required": None}}, "f(a?: str)"),
    ],
)
def test_whole_functions(function: dict[str, Any], line: str) -> None:
    assert signature(function) == line


def test_the_template_writes_the_same_line_for_a_server(tokenizer: Any) -> None:
    """With nothing but the saved template, which is all that a server has."""
    for details in (False, True):
        template = project_template(tokenizer, "signature", details=details)
        functions = [tool(parameter) for parameter, _ in PARAMETERS.values()]
        tools = [{"type": "function", "function": function} for function in functions]
        text = apply(template, tokenizer, [{"role": "user", "content": "x"}], tools, generation_prompt=True)
        lines = "\n".join(signature(function, details=details) for function in functions)
        assert f"Tools:\n{lines}\nCall:" in text


NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/Node"}},
    "required": ["value"],
}
TREE = {"$defs": {"Node": NODE}, "properties": {"root": {"$ref": "#/$defs/Node"}}}
MUTUAL = {
    "$defs": {
        "A": {"properties": {"b": {"type": "array", "items": {"$ref": "#/$defs/B"}}}},
        "B": {"properties": {"a": {"anyOf": [{"$ref": "#/$defs/A"}, NULL]}}},
    },
    "properties": {"a": {"$ref": "#/$defs/A"}},
}
SELF = {"properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}
LOOP = {"$defs": {"L": {"$ref": "#/$defs/L"}}, "properties": {"l": {"$ref": "#/$defs/L"}}}


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        (TREE, "f(root?: {value: int, next?: Node})"),
        (MUTUAL, "f(a?: {b?: [{a?: A|null}]})"),
        (SELF, "f(children?: [any])"),
        (LOOP, "f(l?: L)"),
    ],
)
def test_references_that_contain_themselves_end(schema: Any, line: str) -> None:
    assert signature({"name": "f", "parameters": schema}) == line
    assert signature({"name": "f", "parameters": schema}, details=True) == line


def test_definitions_that_all_refer_to_each_other_stay_short() -> None:
    """As blocks of a page do: written out in full they would be some 20! long."""
    names = [f"D{i}" for i in range(20)]
    fields = {name: {"$ref": f"#/$defs/{name}"} for name in names}
    schema = {"$defs": {name: {"properties": fields} for name in names}, "properties": fields}
    line = signature({"name": "f", "parameters": schema})
    assert len(line) < 20_000 and line.count("{") <= 64


def test_details() -> None:
    schema = {
        "properties": {
            "day": {"type": "string", "description": "YYYY-MM-DD,\nof the flight"},
            "seats": {"type": "integer", "default": 1},
            "class": {"enum": ["a", "b"], "default": "a"},
            "note": {"type": "string", "default": ""},
            "none": {"type": ["string", "null"], "default": None},
            "at": {"$ref": "#/$defs/At"},
            "legs": {"type": "array", "items": {"$ref": "#/$defs/At"}, "description": "in order"},
            "description": {"type": "string", "description": 5},
        },
        "required": ["day"],
        "$defs": {"At": {"properties": {"x": {"type": "number", "description": "in m"}}}},
    }
    function = {"name": "book", "description": "Books.", "parameters": schema}
    assert signature(function, details=True).split("\n") == [
        'book(day: str, seats?: int = 1, class?: a|b = a, note?: str = "", none?: str|null, at?: {x?: num}, '
        "legs?: [{x?: num}], description?: str) # Books.",
        "  day: YYYY-MM-DD, of the flight",
        "  at.x: in m",
        "  legs: in order",
        "  legs[].x: in m",
    ]
    assert " = " not in signature(function) and "\n" not in signature(function)


def _before(schema: Any) -> str:
    """A kind as models were trained to read it when signatures knew the plain forms only."""
    if "enum" in schema:
        return "|".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"[{_before(schema['items'])}]"
    if schema.get("type") == "object" and schema.get("properties"):
        return "{" + _fields(schema) + "}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return "{str: " + _before(schema["additionalProperties"]) + "}"
    names = {"integer": "int", "number": "num", "string": "str", "boolean": "bool"}
    return names.get(schema.get("type"), schema.get("type", "any"))


def _fields(schema: Any) -> str:
    needed = schema.get("required", [])
    pairs = schema.get("properties", {}).items()
    return ", ".join(f"{name}{'' if name in needed else '?'}: {_before(value)}" for name, value in pairs)


def test_bundled_tools_read_as_they_did_for_every_model_trained_so_far() -> None:
    data = Path(__file__).parents[2] / "data" / "structural"
    found = {}
    for split in ("train", "validation", "test"):
        for _, row in read_jsonl(data / f"{split}.jsonl"):
            found |= {json.dumps(t, sort_keys=True): t["function"] for t in row["tools"]}
    assert len(found) > 300
    for function in found.values():
        expected = f"{function['name']}({_fields(function['parameters'])}) # {function['description']}"
        assert signature(function) == expected
