"""The assignment is optimal, and its time bounded."""

import time
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.parsed import ToolCall
from eval.scoring.agreement import Leaves, agree_arguments
from eval.scoring.assign import best_pairs
from eval.scoring.gold import AnyOf, GoldCall
from eval.scoring.match import match_calls
from eval.scoring.schema import parameters_place


@st.composite
def tables(draw):
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    line = st.lists(st.integers(-4, 9), min_size=columns, max_size=columns)
    return draw(st.lists(line, min_size=rows, max_size=rows))


def by_brute_force(table):
    if len(table) > len(table[0]):
        table = list(zip(*table, strict=True))
    columns = range(len(table[0]))
    return max(sum(table[i][j] for i, j in enumerate(p)) for p in permutations(columns, len(table)))


@given(tables())
def test_no_assignment_is_heavier(table):
    pairs = best_pairs(table)
    rows, columns = [i for i, _ in pairs], [j for _, j in pairs]
    assert len(pairs) == min(len(table), len(table[0]))
    assert len(set(rows)) == len(rows) == len(set(columns))
    assert sum(table[i][j] for i, j in pairs) == by_brute_force(table)


def test_greedy_would_be_worse():
    assert best_pairs([[10, 9], [9, 0]]) == [(0, 1), (1, 0)]
    assert best_pairs([]) == best_pairs([[]]) == []


def call(name, **arguments):
    return ToolCall(name, arguments)


def gold(name, **arguments):
    return GoldCall(name, arguments)


def shape(pairs):
    return {
        (p.gold and (p.gold.name, *p.gold.arguments.values()), p.got and (p.got.name, *p.got.arguments.values()))
        for p in pairs
    }


def test_names_come_before_parameters():
    pairs = match_calls([gold("f", x=1), gold("g", x=2)], [call("g", x=1), call("f", x=2)], {})
    assert shape(pairs) == {(("f", 1), ("f", 2)), (("g", 2), ("g", 1))}


def test_then_the_number_of_equal_parameters():
    golds = [gold("f", a=1, b=1), gold("f", a=1, b=2)]
    pairs = match_calls(golds, [call("f", a=1, b=2), call("f", a=9, b=1)], {})
    assert shape(pairs) == {(("f", 1, 1), ("f", 9, 1)), (("f", 1, 2), ("f", 1, 2))}
    assert sum(p.equal for p in pairs) == 1


def test_equal_parameters_count_though_nothing_is_exact():
    pairs = match_calls([gold("f", a=5, b=1)], [call("f", a=0, b=0), call("f", a=5, b=2)], {})
    assert shape(pairs) == {(("f", 5, 1), ("f", 5, 2)), (None, ("f", 0, 0))}


def test_then_the_calls_entirely_equal():
    pairs = match_calls([gold("f", b=1)], [call("f", a=9, b=1), call("f", b=1)], {})
    assert shape(pairs) == {(("f", 1), ("f", 1)), (None, ("f", 9, 1))}


def test_then_the_leaves():
    golds = [gold("f", a=[1, 2, 3]), gold("g")]
    pairs = match_calls(golds, [call("f", a=[0, 0, 0]), call("f", a=[1, 2, 4]), call("g")], {})
    assert [p.leaves for p in pairs if p.gold is golds[0]] == [Leaves(got=3, got_hits=2, wanted=3, wanted_hits=2)]


def test_ties_do_not_depend_on_the_order_of_the_calls():
    golds, made = [gold("f", b=9), gold("g", a=2)], [call("f", a=2), call("f", a=1), call("e")]
    names = [
        sorted((p.gold.name, p.got.name) for p in match_calls(golds, calls, {}) if p.gold and p.got)
        for calls in permutations(made)
    ]
    assert all(n == names[0] for n in names)


@pytest.mark.parametrize(
    ("got", "want", "leaves"),
    [
        ({}, {}, Leaves()),
        ({"a": {"b": 1, "c": [1, 2]}}, {"a": {"b": 1, "c": [1, 3]}}, Leaves(3, 2, 3, 2)),
        ({"a": [1]}, {"a": [1, {"b": 2, "c": 3}]}, Leaves(1, 1, 3, 1)),
        ({}, {"a": {}, "b": []}, Leaves(0, 0, 2, 0)),
        ({"a": {}}, {"a": {}}, Leaves(1, 1, 1, 1)),
        ({"a": 1}, {"a": {"b": 1, "c": 2}}, Leaves(1, 0, 2, 0)),
        ({"a": {}}, {"a": {"b": AnyOf(([1, 2],), optional=True)}}, Leaves(1, 1, 2, 2)),
        ({}, {"a": AnyOf(([1, 2],), optional=True)}, Leaves(0, 0, 2, 2)),
        ({"a": [1, 3]}, {"a": AnyOf((4, [1, 2]))}, Leaves(2, 1, 1, 1)),
        ({"a": [1, 2]}, {"a": AnyOf((4, [1, 2]))}, Leaves(2, 2, 1, 1)),
        ({"set": [3, 1, 5]}, {"set": [1, 2, 3]}, Leaves(3, 2, 3, 2)),
        ({"d": 7}, {}, Leaves()),
        ({}, {"d": 7}, Leaves()),
        ({"d": 7}, {"d": 8}, Leaves(0, 0, 1, 0)),
        ({"d": 8}, {"d": 7}, Leaves(1, 0, 0, 0)),
    ],
)
def test_leaves(got, want, leaves):
    place = parameters_place({"properties": {"d": {"default": 7}, "set": {"uniqueItems": True}}})
    assert agree_arguments(got, want, place) == leaves


def test_exact_calls_are_found_beside_defaults():
    place = parameters_place({"type": "object", "properties": {"d": {"type": "integer", "default": 1}}})
    pairs = match_calls([gold("f"), gold("f", d=2)], [call("f", d=2), call("f", d=1)], {"f": place})
    assert all(p.equal for p in pairs)


def test_what_is_left_over_pairs_by_shared_parameters():
    pairs = match_calls([gold("f", x=1), gold("g", x=2)], [call("h", x=2), call("i", x=1), call("j")], {})
    assert shape(pairs) == {(("f", 1), ("i", 1)), (("g", 2), ("h", 2)), (None, ("j",))}
    assert not any(p.same_name or p.equal for p in pairs)


def test_a_looping_model_costs_little():
    golds = [gold("f", node=i, value=1.5) for i in range(6)]
    many = [call("f", node=i % 7, value=float(i)) for i in range(4000)] + [call("f", node=1, value=1.5)] * 20_000
    start = time.perf_counter()
    pairs = match_calls(golds, many, {})
    assert time.perf_counter() - start < 20
    assert len(pairs) == len(many)
    assert sum(p.equal for p in pairs) == 1


def test_two_hundred_against_two_hundred_ends():
    golds, many = (
        [gold("f", a=i % 14, b=i // 14) for i in range(200)],
        [call("f", a=i // 14, b=i % 14) for i in range(200)],
    )
    start = time.perf_counter()
    pairs = match_calls(golds, many, {})
    assert time.perf_counter() - start < 20
    assert len(pairs) == 200
