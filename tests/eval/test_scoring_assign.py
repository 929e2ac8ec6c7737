"""The assignment is optimal, and its time bounded."""

import time
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from eval.parsed import ToolCall
from eval.scoring.assign import best_pairs
from eval.scoring.gold import GoldCall
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
