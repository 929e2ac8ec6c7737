"""When a predicted value equals gold: one test for each rule."""

import pytest

from data import InputError
from eval.parsed import ToolCall
from eval.scoring.equality import equal
from eval.scoring.gold import MAX_DEPTH, AnyOf, prune_call, read_gold
from eval.scoring.schema import FREE, parameters_place, read_place


def at(schema):
    return read_place(schema, schema)


INTEGER, NUMBER, STRING = at({"type": "integer"}), at({"type": "number"}), at({"type": "string"})


@pytest.mark.parametrize(
    ("got", "want", "place", "same"),
    [
        # a bool is not an integer, whatever the schema says
        (True, 1, INTEGER, False),
        (1, True, FREE, False),
        (False, 0, NUMBER, False),
        (True, True, FREE, True),
        (True, False, FREE, False),
        (None, None, FREE, True),
        (None, 0, FREE, False),
        (None, "", FREE, False),
        # numbers
        (10, 10.0, NUMBER, True),
        (5.0, 5, INTEGER, True),
        (5.5, 5, INTEGER, False),
        (5.0000000001, 5, INTEGER, False),
        (2512292042121000001, 2512292042121000001.0, INTEGER, False),
        (2512292042121000001, 2512292042121000001, INTEGER, True),
        (5.0, 5, at({"type": ["integer", "null"]}), True),
        (0.1 + 0.2, 0.3, NUMBER, True),
        (1 + 5e-10, 1.0, NUMBER, True),
        (1 + 5e-9, 1.0, NUMBER, False),
        (0, 1e-300, NUMBER, False),
        (1_000_000_001, 1_000_000_000, NUMBER, False),
        (5, 5.0, FREE, True),
        (5.0000000001, 5, FREE, False),
        (10**400, 1.5, NUMBER, False),
        (1.5, 10**400, FREE, False),
        (float("nan"), float("nan"), NUMBER, False),
        # JSON types stay apart
        ("6", 6, INTEGER, False),
        (6, "6", STRING, False),
        ("true", True, FREE, False),
        ([], {}, FREE, False),
        ([1], 1, FREE, False),
        # strings: NFC and trimmed, nothing else
        ("각", "\u1100\u1161\u11a8", STRING, True),
        (" H-400x200 \n", "H-400x200", STRING, True),
        ("12.5", "125", STRING, False),
        ("-5", "5", STRING, False),
        ("a b", "ab", STRING, False),
        ("X", "x", STRING, False),
        ("Ａ", "A", STRING, False),
        # arrays are ordered, objects are not
        ([1, 2], [1, 2], FREE, True),
        ([2, 1], [1, 2], FREE, False),
        ([1, 2, 2], [1, 2], FREE, False),
        ({"a": 1, "b": {"c": [1.0]}}, {"b": {"c": [1]}, "a": 1}, FREE, True),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, FREE, False),
        ({"a": 1}, {"A": 1}, FREE, False),
        ({"a ": 1}, {"a": 1}, FREE, False),
        ({"a": None}, {}, FREE, False),
    ],
)
def test_values(got, want, place, same):
    assert equal(got, want, place) is same


def test_arrays_marked_as_sets_have_no_order_but_count_their_items():
    place = at({"type": "array", "items": {"type": "integer"}, "uniqueItems": True})
    assert equal([3, 1, 2.0], [1, 2, 3], place)
    assert not equal([1, 1, 2], [1, 2, 2], place)
    assert not equal([1, 2], [1, 2, 3], place)
    # one item fits two alternatives, another only one of them: a first-come match would miss it
    assert equal([1, 2], [AnyOf((1, 2)), 1], place)


PLACE = parameters_place(
    {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {"type": "number", "default": 1.0},
            "c": {"type": "object", "properties": {"d": {"type": "boolean", "default": False}}},
            "e": {"type": "string", "default": "x"},
        },
        "required": ["a", "e"],
    }
)


@pytest.mark.parametrize(
    ("got", "want", "same"),
    [
        ({"a": 1, "b": 1, "e": "y"}, {"a": 1, "e": "y"}, True),
        ({"a": 1, "e": "y"}, {"a": 1, "b": 1.0, "e": "y"}, True),
        ({"a": 1, "b": 2, "e": "y"}, {"a": 1, "e": "y"}, False),
        ({"a": 1, "e": "y"}, {"a": 1, "b": 2, "e": "y"}, False),
        ({"a": 1, "c": {"d": False}, "e": "y"}, {"a": 1, "c": {}, "e": "y"}, True),
        ({"a": 1, "c": {}, "e": "y"}, {"a": 1, "e": "y"}, False),  # c itself has no default
        ({"a": 1}, {"a": 1, "e": "x"}, False),  # a required key is not filled in by its default
        ({"a": 1, "b": None, "e": "y"}, {"a": 1, "e": "y"}, False),  # null is not leaving out
        ({"a": 1, "e": "y", "z": 0}, {"a": 1, "e": "y"}, False),
    ],
)
def test_a_default_and_its_omission_are_the_same(got, want, same):
    assert equal(got, want, PLACE) is same


def gold_arguments(arguments, acceptable=None):
    return read_gold([{"name": "f", "arguments": arguments}], acceptable)[0].arguments


def test_gold_lists_alternatives():
    want = gold_arguments({"a": {"any_of": [1, 2]}, "n": {"deep": [{"any_of": ["x", ["y"]]}]}})
    assert equal({"a": 2, "n": {"deep": ["x"]}}, want, FREE)
    assert equal({"a": 1, "n": {"deep": [["y"]]}}, want, FREE)
    assert not equal({"a": 3, "n": {"deep": ["x"]}}, want, FREE)
    assert not equal({"n": {"deep": ["x"]}}, want, FREE)


def test_gold_marks_a_parameter_optional():
    want = gold_arguments({"a": {"any_of": [7], "optional": True}})
    assert equal({}, want, FREE)
    assert equal({"a": 7}, want, FREE)
    assert not equal({"a": 8}, want, FREE)
    # its default says the same as leaving it out
    assert equal(
        {"b": 1}, gold_arguments({"b": {"any_of": [7], "optional": True}}), at({"properties": {"b": {"default": 1}}})
    )


def test_an_alternative_may_be_the_default():
    want = gold_arguments({"b": {"any_of": [1, 2]}})
    place = at({"properties": {"b": {"type": "number", "default": 1}}})
    assert equal({}, want, place)
    assert equal({"b": 2}, want, place)
    assert not equal({"b": 3}, want, place)


def test_an_argument_that_looks_like_a_marker_is_written_inside_one():
    want = gold_arguments({"a": {"any_of": [{"any_of": [1]}]}})
    assert equal({"a": {"any_of": [1]}}, want, FREE)
    assert not equal({"a": 1}, want, FREE)
    # other keys, an empty list or no list make it an ordinary object
    for plain in ({"any_of": [1], "z": 2}, {"any_of": []}, {"any_of": 1}, {"optional": True}):
        assert equal({"a": plain}, gold_arguments({"a": plain}), FREE)


def test_acceptable_adds_alternatives_to_a_record():
    acceptable = {"f": {"name": ["W", "풍하중"], "note": ["n"]}, "g": {"name": ["no"]}}
    want = gold_arguments({"name": "WX"}, acceptable)
    for good in ({"name": "WX"}, {"name": "풍하중"}, {"name": "W", "note": "n"}):
        assert equal(good, want, FREE), good
    for bad in ({"name": "no"}, {"name": "W", "note": "m"}, {"note": "n"}, {}):
        assert not equal(bad, want, FREE), bad
    assert equal({}, gold_arguments({"name": "WX"}, {"f": {"name": {"any_of": ["W"], "optional": True}}}), FREE)


@pytest.mark.parametrize(
    "acceptable", [["a"], "x", {"f": ["a"]}, {"f": {"name": "a"}}, {"f": {"name": {"any_of": []}}}]
)
def test_malformed_acceptable_names_the_sample(acceptable):
    with pytest.raises(InputError, match=r"s1: meta\.acceptable"):
        read_gold([], acceptable, where="s1")


@pytest.mark.parametrize(
    "call", [None, "f", {"name": "f"}, {"name": 1, "arguments": {}}, {"name": "f", "arguments": "{}"}]
)
def test_malformed_gold_names_the_sample(call):
    with pytest.raises(InputError, match="s1"):
        read_gold([call], where="s1")


def nested(depth):
    value = 1
    for _ in range(depth):
        value = {"k": value}
    return value


def test_nesting_is_bounded():
    bound = nested(MAX_DEPTH)
    assert equal(prune_call(ToolCall("f", bound)).arguments, gold_arguments(bound), FREE)
    assert not equal(prune_call(ToolCall("f", nested(900))).arguments, gold_arguments(bound), FREE)
    with pytest.raises(InputError, match="nested deeper"):
        gold_arguments(nested(MAX_DEPTH + 1))
