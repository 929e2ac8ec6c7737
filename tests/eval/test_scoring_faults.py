"""What the schema alone says of a call, and which values nothing supports."""

import pytest

from eval.scoring.faults import Faults, find_faults
from eval.scoring.gold import AnyOf, prune
from eval.scoring.grounding import count_ungrounded, read_evidence
from eval.scoring.schema import FREE, parameters_place

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "value": {"type": "number"},
        "direction": {"type": "string", "enum": ["X", "Y", "Z"]},
        "grade": {"type": "number", "enum": [1.0, 1.2]},
        "fixed": {"type": "boolean"},
        "point": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
        "points": {"type": "array", "items": {"$ref": "#/$defs/point"}},
        "factors": {"type": "object", "additionalProperties": {"type": "number"}},
        "notes": {"type": "object"},
        "either": {"anyOf": [{"type": "string", "enum": ["all"]}, {"type": "integer"}, {"type": "null"}]},
        "tree": {"$ref": "#/$defs/tree"},
        "tags": {"type": "object", "patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": False},
    },
    "required": ["id"],
    "additionalProperties": False,
    "$defs": {
        "point": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}},
        "tree": {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}, "n": {"type": "integer"}}},
    },
}
PLACE = parameters_place(SCHEMA)


@pytest.mark.parametrize(
    ("arguments", "faults"),
    [
        ({"id": 1, "value": 3, "direction": "X", "grade": 1, "fixed": False}, Faults()),
        ({"id": 1, "direction": " X"}, Faults()),
        ({"id": 1, "speed": 2}, Faults(unknown=["speed"])),
        ({"id": 1, "ID": 2, "id ": 3}, Faults(unknown=["ID", "id "])),
        ({"id": 1, "point": {"x": 1, "z": 0}}, Faults(unknown=["point.z"])),
        ({"id": 1, "points": [{"x": 1}, {"w": 1, "y": 2}]}, Faults(unknown=["points[].w"])),
        ({"id": 1, "factors": {"DL": 1.2, "LL": 1}}, Faults()),
        ({"id": 1, "factors": {"DL": "1.2"}}, Faults(wrong_type=1)),
        ({"id": 1, "notes": {"anything": [1, {"goes": None}]}}, Faults()),
        ({"id": 1, "tags": {"x-a": "b"}}, Faults()),
        ({"id": 1, "tags": {"y": "b"}}, Faults(unknown=["tags.y"])),
        ({"id": 1, "tree": {"next": {"next": {"n": 1, "m": 2}}}}, Faults(unknown=["tree.next.next.m"])),
        ({}, Faults(missing_required=1)),
        ({"id": 1, "point": {}}, Faults(missing_required=1)),
        ({"id": 1, "direction": "W"}, Faults(enum_violation=1)),
        ({"id": 1, "direction": "x"}, Faults(enum_violation=1)),
        ({"id": 1, "grade": 1.1}, Faults(enum_violation=1)),
        ({"id": 1, "direction": 3}, Faults(wrong_type=1)),
        ({"id": "1"}, Faults(wrong_type=1)),
        ({"id": True}, Faults(wrong_type=1)),
        ({"id": 1, "value": True, "fixed": 1}, Faults(wrong_type=2)),
        ({"id": 1, "value": None}, Faults(wrong_type=1)),
        ({"id": 1.5}, Faults(wrong_type=1)),
        ({"id": float("inf")}, Faults(wrong_type=1)),
        ({"id": 5.0}, Faults(coerced_integer=1)),
        ({"id": 1, "value": 5.0}, Faults()),
        ({"id": 10**5000, "value": 10**5000}, Faults()),
        ({"id": 1, "either": None}, Faults()),
        ({"id": 1, "either": 4}, Faults()),
        ({"id": 1, "either": 4.5}, Faults(wrong_type=1)),
    ],
)
def test_faults(arguments, faults):
    assert find_faults(arguments, PLACE) == faults


def test_a_tool_without_properties_declares_nothing():
    for schema in ({}, {"type": "object"}, {"type": "object", "additionalProperties": True}, None):
        assert find_faults({"a": 1}, parameters_place(schema)) == Faults(), schema
    for schema in ({"type": "object", "properties": {}}, {"type": "object", "additionalProperties": False}):
        assert find_faults({"a": 1}, parameters_place(schema)).unknown == ["a"], schema


def test_a_choice_that_may_be_null_is_a_choice():
    choice = {"enum": ["a", "b"]}
    for optional in (
        {"anyOf": [choice, {"type": "null"}]},
        {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/c"}]},
        {"anyOf": [{"const": "a"}, {"const": "b"}, {"type": "null"}]},
    ):
        place = parameters_place({"properties": {"x": optional}, "$defs": {"c": choice}})
        assert [find_faults({"x": value}, place).enum_violation for value in ("a", None, "c")] == [0, 0, 1]
    free = parameters_place({"properties": {"x": {"anyOf": [choice, {"type": "string"}, {"type": "null"}]}}})
    assert find_faults({"x": "c"}, free) == Faults()


def test_odd_schemas_do_no_harm():
    loop = {"$ref": "#"}
    broken = {"type": ["object", 3], "properties": [], "required": "id", "enum": 4, "items": 5, "anyOf": {}, "$ref": 7}
    pattern = {"properties": {}, "patternProperties": {"(": {}}}
    for schema in (loop, {"anyOf": [loop, loop]}, broken, pattern, {"$ref": "#/nowhere/at/all"}):
        find_faults({"a": {"b": [1]}}, parameters_place(schema))
    assert find_faults({"a": 1.5}, parameters_place({"properties": {"a": {"type": "float"}}})) == Faults()
    assert find_faults({"a": 1.5}, parameters_place({"properties": {"a": {"type": "any"}}})) == Faults()


def ungrounded(prompt, arguments, gold=(), place=PLACE):
    return count_ungrounded(prune(arguments), place, read_evidence(prompt, [(g, place) for g in gold]))


@pytest.mark.parametrize(
    ("prompt", "arguments", "count"),
    [
        ("절점 12에 10kN", {"id": 12, "value": 10.0}, 0),
        ("절점 12에 10kN", {"id": 13, "value": 10}, 1),
        ("아래로 10kN", {"id": 10, "value": -10}, 0),
        ("3,500mm 위치", {"value": 3.5}, 0),
        ("3,500mm 위치", {"value": 3.6}, 1),
        ("1/400", {"value": 0.0025}, 0),
        ("25% 지점", {"value": 0.25}, 0),
        ("1번부터 5번까지", {"id": 3}, 0),
        ("1번부터 5번까지", {"id": 6}, 1),
        ("nodes 1 to 5", {"id": 4}, 0),
        ("절점 ３", {"id": 3}, 0),
        ("", {"value": 0}, 1),
        ("0.30", {"value": 0.30000000000000004}, 0),
        ("", {"direction": "X", "grade": 1.2, "fixed": True}, 0),  # enum, and a bool
        ("", {"direction": "W"}, 1),
        ("조합 LCB1: DL 1.2", {"factors": {"DL": 1.2}}, 0),
        ("조합 LCB1: DL 1.2", {"factors": {"LL": 1.2}}, 1),  # the key was made up
        ("단면은 H-400×200x8", {"either": "h 400x200×8"}, 0),
        ("", {"notes": {}}, 0),
        ("x", {"value": 10**400}, 1),
        ("x", {"value": float("inf")}, 1),
    ],
)
def test_ungrounded_values(prompt, arguments, count):
    assert ungrounded(prompt, arguments) == count


def test_gold_and_defaults_support_a_value():
    assert ungrounded("스무 번째 절점", {"id": 20}) == 1
    assert ungrounded("스무 번째 절점", {"id": 20}, gold=[{"id": 20}]) == 0
    assert ungrounded("", {"either": "roof"}, gold=[{"either": AnyOf(("top", "roof"))}]) == 0
    place = parameters_place({"properties": {"steps": {"type": "integer", "default": 7}}})
    assert ungrounded("", {"steps": 7}, place=place) == 0
    assert ungrounded("", {"steps": 8}, place=place) == 1


def test_names_of_parameters_are_no_values():
    assert ungrounded("x", {"madeup": 1}, place=parameters_place({})) == 1
    assert ungrounded("x", {"madeup": 1}, place=FREE) == 2  # without a schema the key is a word too
