"""Each figure on samples small enough to count by hand."""

import json

import pytest

from data import InputError, Record
from eval.parsed import Parsed, ToolCall
from eval.scoring import Sample, compare, score, score_sample

LOAD = {
    "type": "function",
    "function": {
        "name": "add_load",
        "parameters": {
            "type": "object",
            "properties": {
                "node": {"type": "integer"},
                "value": {"type": "number"},
                "direction": {"type": "string", "enum": ["X", "Y", "Z"], "default": "Z"},
            },
            "required": ["node", "value"],
            "additionalProperties": False,
        },
    },
}
UNDO = {"type": "function", "function": {"name": "undo", "parameters": {"type": "object", "properties": {}}}}
TOOLS = [LOAD, UNDO]


def load(node, value, **more):
    return {"name": "add_load", "arguments": {"node": node, "value": value, **more}}


UNDONE = {"name": "undo", "arguments": {}}


def clean(*calls, text="", **more):
    read = [ToolCall(c["name"], c["arguments"]) for c in calls]
    return Parsed(read, json_valid=True, format_ok=True, attempted=bool(read), text=text, **more)


def repaired(*calls, json_valid=False, format_ok=False):
    return Parsed([ToolCall(c["name"], c["arguments"]) for c in calls], json_valid, format_ok, attempted=True)


def sample(number, gold, parsed, prompt="", **meta):
    return Sample(f"s{number}", list(gold), TOOLS, meta=meta, prompt=prompt, parsed=parsed)


GARBAGE = Parsed(json_valid=False, attempted=True)
SILENT = clean(text="어느 절점인가요?")

SAMPLES = [
    # right, in another order, a default written out
    sample(1, [load(1, 5), UNDONE], clean(UNDONE, load(1, 5.0, direction="Z")), lang="ko", phenomena=["range", "unit"]),
    # right name, wrong value
    sample(2, [load(2, 5)], clean(load(2, 6)), lang="ko", phenomena=["unit"], bucket="T1"),
    # right but not strict JSON
    sample(3, [load(3, 5)], repaired(load(3, 5)), lang="ko", bucket="T1"),
    # strict JSON in the wrong envelope
    sample(4, [load(4, 5)], repaired(load(4, 5), json_valid=True), lang="en", bucket="T2"),
    # another tool, and one that was not offered
    sample(5, [load(5, 5)], clean(UNDONE, {"name": "add_lode", "arguments": {}}), lang="en", bucket="T2"),
    # an attempt that cannot be read; no attempt
    sample(6, [UNDONE], GARBAGE),
    sample(7, [UNDONE], SILENT),
    # no call due: silence, a call with an invented argument, an attempt
    sample(8, [], SILENT),
    sample(9, [], clean({"name": "undo", "arguments": {"steps": 2}}, text="네")),
    sample(10, [], GARBAGE),
]


@pytest.fixture(scope="module")
def scores():
    return score(SAMPLES)


def share(rate):
    return rate["count"], rate["n"]


def test_headline(scores):
    head = scores["headline"]
    assert scores["n"] == 10
    assert share(head["tool_name_accuracy"]) == (3, 10)  # s1 s2 s8
    assert share(head["parameter_accuracy"]) == (2, 8)  # both calls of s1
    assert share(head["json_validity"]) == (4, 7)  # s1 s2 s4 s5
    assert share(head["hallucination_rate"]) == (2, 10)  # s5 s9
    assert share(head["exact_match"]) == (2, 10)  # s1 s8
    assert head["exact_match"]["value"] == 0.2
    assert head["exact_match"]["low"] < 0.2 < head["exact_match"]["high"]


def test_rows_with_a_call_and_rows_without_stand_apart(scores):
    head, repaired = scores["headline"], scores["repaired"]
    assert share(head["must_call_exact"]) == (1, 7)  # s1 of s1–s7
    assert share(head["abstention"]) == (1, 3)  # s8 of s8–s10
    assert head["abstention"]["low"] < 1 / 3 < head["abstention"]["high"]
    # 2·(1/7)·(1/3) / (1/7 + 1/3) = (2/21) / (10/21)
    assert head["balanced"] == {"value": pytest.approx(0.2), "count": None, "n": 10, "low": None, "high": None}
    assert share(repaired["must_call_exact"]) == (3, 7) and share(repaired["abstention"]) == (1, 3)
    assert repaired["balanced"]["value"] == pytest.approx(3 / 8)  # (2/7) / (16/21)


@pytest.mark.parametrize(
    ("outputs", "must_call", "abstention", "balanced", "exact"),
    [
        ([SILENT] * 5, 0.0, 1.0, 0.0, 0.2),  # it never calls
        ([clean(UNDONE)] * 5, 1.0, 0.0, 0.0, 0.8),  # it calls whatever is offered
        ([clean(UNDONE), clean(UNDONE), SILENT, SILENT, SILENT], 0.5, 1.0, 2 / 3, 0.6),
    ],
)
def test_one_habit_alone_is_worth_nothing(outputs, must_call, abstention, balanced, exact):
    golds = [[UNDONE]] * 4 + [[]]
    head = score(sample(i, *pair) for i, pair in enumerate(zip(golds, outputs, strict=True)))["headline"]
    found = [head[key]["value"] for key in ("must_call_exact", "abstention", "balanced", "exact_match")]
    assert found == pytest.approx([must_call, abstention, balanced, exact])


def test_balanced_needs_rows_of_both_kinds():
    for gold, other in (([UNDONE], "abstention"), ([], "must_call_exact")):
        head = score([sample(1, gold, SILENT)])["headline"]
        assert head["balanced"]["value"] is None and head[other]["value"] is None


def test_strict_and_repaired(scores):
    strict, repaired = scores["strict"], scores["repaired"]
    for key in ("tool_name_accuracy", "parameter_accuracy", "json_validity", "exact_match"):
        assert strict[key] == scores["headline"][key]
    assert share(strict["parameter_accuracy_given_name"]) == (2, 3)
    assert share(repaired["tool_name_accuracy"]) == (5, 10)
    assert share(repaired["parameter_accuracy"]) == (4, 8)
    assert share(repaired["parameter_accuracy_given_name"]) == (4, 5)
    assert share(repaired["exact_match"]) == (4, 10)
    assert repaired["hallucination_rate"] == scores["headline"]["hallucination_rate"]
    assert "hallucination_rate" not in strict and "json_validity" not in repaired


def test_calls(scores):
    strict, repaired = scores["strict"]["calls"], scores["repaired"]["calls"]
    assert (share(strict["precision"]), share(strict["recall"])) == ((3, 6), (3, 8))
    assert strict["f1"] == pytest.approx(6 / 14)
    assert (share(repaired["precision"]), share(repaired["recall"])) == ((5, 8), (5, 8))


def test_leaves_of_parameters(scores):
    # strict: s1 2 of 2, s2 1 of 2; s9 made 1 leaf for nothing; gold has 2 a load, five loads
    strict, repaired = scores["strict"]["parameters"], scores["repaired"]["parameters"]
    assert (share(strict["precision"]), share(strict["recall"])) == ((3, 5), (3, 10))
    assert (share(repaired["precision"]), share(repaired["recall"])) == ((7, 9), (7, 10))
    assert repaired["f1"] == pytest.approx(14 / 19)


def test_hallucination_has_two_kinds_and_two_denominators(scores):
    everywhere, calling = scores["hallucination"]["all_samples"], scores["hallucination"]["samples_with_call"]
    assert [share(everywhere[k]) for k in ("any", "unknown_tool", "unknown_argument")] == [(2, 10), (1, 10), (1, 10)]
    assert [share(calling[k]) for k in ("any", "unknown_tool", "unknown_argument")] == [(2, 6), (1, 6), (1, 6)]


def test_no_call(scores):
    no_call = scores["no_call"]
    assert (share(no_call["precision"]), share(no_call["recall"])) == ((1, 2), (1, 3))
    assert no_call["f1"] == pytest.approx(2 / 5)


def test_apart(scores):
    apart = scores["apart"]
    assert {key: share(apart[key]) for key in apart} == {
        "no_attempt": (1, 7),
        "missed_call": (2, 7),
        "extra_call": (1, 7),
        "over_call": (2, 3),
        "silent": (0, 3),
        "text_outside": (0, 7),
        "truncated": (0, 10),
        "enum_violation": (0, 10),
        "wrong_type": (0, 10),
        "missing_required": (0, 10),
        "ungrounded_value": (0, 0),
        "coerced_integer": (0, 10),
        "order_differs": (1, 10),
    }


def test_apart_counts_places_within_a_sample():
    odd = [load(1, "5", direction="up"), load(2.0, None), {"name": "add_load", "arguments": {"direction": "Q"}}]
    verdicts = score(
        [
            sample(1, [load(1, 5)], clean(*odd, text="Sure."), prompt="절점 1에 5kN"),
            sample(2, [load(1, 5)], clean(load(7, 5), truncated=True), prompt="절점 1에 5kN"),
        ]
    )["apart"]
    totals = {key: rate["total"] for key, rate in verdicts.items() if "total" in rate}
    assert totals == {
        "missed_call": 0,
        "extra_call": 2,
        "enum_violation": 2,
        "wrong_type": 2,
        "missing_required": 2,
        "ungrounded_value": 4,  # "up", 2.0, "Q"; 7
        "coerced_integer": 1,
    }
    assert share(verdicts["wrong_type"]) == (1, 2)
    assert share(verdicts["text_outside"]) == share(verdicts["truncated"]) == (1, 2)
    assert share(verdicts["ungrounded_value"]) == (2, 2)


def test_slices(scores):
    slices = scores["slices"]
    assert {kind: {name: s["n"] for name, s in slices[kind].items()} for kind in slices} == {
        "tool": {"(none)": 3, "add_load": 5, "undo": 3},
        "phenomenon": {"range": 1, "unit": 2},
        "bucket": {"T1": 2, "T2": 2},
        "lang": {"en": 2, "ko": 3},
    }
    unit = slices["phenomenon"]["unit"]
    assert set(unit) == {"n", *scores["headline"]}
    assert share(unit["tool_name_accuracy"]) == (2, 2)
    assert share(unit["parameter_accuracy"]) == (2, 3)
    assert share(slices["tool"]["(none)"]["exact_match"]) == (1, 3)
    assert slices["tool"]["(none)"]["json_validity"]["value"] is None
    assert share(slices["bucket"]["T2"]["hallucination_rate"]) == (1, 2)


def test_confusion(scores):
    assert scores["confusion"] == {
        "(extra)": {"undo": 1},
        "(none)": {"(neither)": 1, "(none)": 1, "undo": 1},
        "add_load": {"add_load": 4, "add_lode": 1},  # of two calls that share as much, the first by name
        "undo": {"(neither)": 1, "(none)": 1, "undo": 1},
    }


def test_the_result_is_json(scores):
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


def test_nothing_to_score():
    empty = score([])
    assert empty["n"] == 0
    nothing = {"value": None, "count": 0, "n": 0, "low": None, "high": None}
    assert empty["headline"].pop("balanced") == nothing | {"count": None}
    assert all(rate == nothing for rate in empty["headline"].values())


def test_names_are_compared_as_written():
    for name in ("Undo", "undo ", "un_do"):
        verdict = score_sample(sample(1, [UNDONE], None), clean({"name": name, "arguments": {}}))
        assert not verdict.repaired.tool_name and verdict.unknown_tools == [name]


def test_the_same_call_twice_is_one_too_many():
    verdict = score_sample(sample(1, [UNDONE], None), clean(UNDONE, UNDONE))
    assert not verdict.strict.tool_name and not verdict.strict.exact_match
    assert (verdict.strict.equal_calls, verdict.extra_calls) == (1, 1)


def test_silence_means_no_attempt_either():
    assert score_sample(sample(1, [], None), SILENT).strict.exact_match
    for parsed in (GARBAGE, clean(UNDONE), repaired(UNDONE)):
        verdict = score_sample(sample(1, [], None), parsed)
        assert not (verdict.strict.exact_match or verdict.strict.tool_name or verdict.repaired.tool_name)


def test_a_broken_block_beside_a_good_one_is_not_valid_json():
    verdict = score_sample(sample(1, [UNDONE], None), repaired(UNDONE))
    assert (verdict.json_valid, verdict.strict.exact_match, verdict.repaired.exact_match) == (False, False, True)


@pytest.mark.parametrize("problem", ["no_name", "arguments_not_object", "string_arguments"])
def test_a_payload_that_is_no_call_object_is_not_valid(problem):
    parsed = Parsed([ToolCall("undo", {})], json_valid=True, format_ok=False, attempted=True, problems=[problem])
    assert not score_sample(sample(1, [UNDONE], None), parsed).json_valid
    parsed.problems = ["missing_close"]
    assert score_sample(sample(1, [UNDONE], None), parsed).json_valid


def test_alternatives_reach_the_figures():
    gold = [load({"any_of": [1, 2]}, 5)]
    result = score(
        [
            sample(1, gold, clean(load(2, 5))),
            sample(2, [load(1, 5)], clean(load(9, 5)), acceptable={"add_load": {"node": [9]}}),
        ]
    )
    assert share(result["headline"]["exact_match"]) == (2, 2)
    assert share(result["strict"]["parameters"]["recall"]) == (4, 4)


def test_a_record_becomes_a_sample():
    call = {"type": "function", "function": load(1, 5)}
    messages = [{"role": "user", "content": "절점 1에 5kN"}, {"role": "assistant", "tool_calls": [call]}]
    record = Record.from_dict({"id": "r1", "messages": messages, "tools": TOOLS, "meta": {"lang": "ko"}})
    made = Sample.from_record(record, "text", truncated=True)
    assert (made.gold, made.output, made.truncated, made.prompt) == ([load(1, 5)], "text", True, "절점 1에 5kN")
    assert score_sample(made, clean(load(1, 6))).ungrounded == 1


def test_bad_samples_are_named():
    with pytest.raises(InputError, match="'s1' is there twice"):
        score([sample(1, [], SILENT), sample(1, [], SILENT)])
    with pytest.raises(InputError, match="s1"):
        score([sample(1, [{"function": UNDONE}], SILENT)])
    with pytest.raises(InputError, match="s1"):
        score([Sample("s1", [], [{"name": 1}], parsed=SILENT)])


def hostile():
    deep = []
    for _ in range(5000):
        deep = [deep]
    wild = {"node": 10**5000, "value": deep, "direction": "\ud800", "\udfff" * 300: float("inf")}
    names = ["add_load", "\ud800" * 500, "", "(none)"]
    return Parsed([ToolCall(n, wild) for n in names for _ in range(50)], True, True, attempted=True, text="\ud800")


def test_nothing_that_a_model_writes_raises():
    result = score([sample(1, [load(1, 5)], hostile(), prompt="절점 1에 5kN")])
    json.dumps(result, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert share(result["headline"]["hallucination_rate"]) == (1, 1)
    assert share(result["headline"]["exact_match"]) == (0, 1)


def test_compare():
    def run(*right):
        return score([sample(i, [load(i, 5)], clean(load(i, 5) if i in right else load(i, 6))) for i in range(8)])

    result = compare(run(0, 1), run(1, 2, 3, 4, 5, 6))
    exact = result["exact_match"]
    assert [exact[k] for k in ("both", "only_a", "only_b", "neither")] == [1, 1, 5, 1]
    assert exact["p_value"] == pytest.approx(14 / 64)
    assert (share(exact["a"]), share(exact["b"]), exact["difference"]) == ((2, 8), (6, 8), 0.5)
    assert result["n"] == 8
    assert result["tool_name"]["p_value"] == 1.0 and result["tool_name"]["both"] == 8
    # a result read back from its file compares the same
    assert compare(json.loads(json.dumps(run(0, 1))), run(1, 2, 3, 4, 5, 6)) == result


def test_compare_takes_rows_with_a_call_and_rows_without_apart():
    def run(called, silent):
        due = [sample(i, [UNDONE], clean(UNDONE) if i < called else SILENT) for i in range(4)]
        return score(due + [sample(4 + i, [], SILENT if i < silent else clean(UNDONE)) for i in range(3)])

    result = compare(run(4, 0), run(1, 3))
    for key, n, counts, p in (("must_call_exact", 4, [1, 3, 0, 0], 2 / 8), ("abstention", 3, [0, 0, 3, 0], 2 / 8)):
        assert [result[key][k] for k in ("both", "only_a", "only_b", "neither")] == counts
        assert result[key]["a"]["n"] == n and result[key]["p_value"] == pytest.approx(p)
    assert result["exact_match"]["p_value"] == 1.0, "three against three: mixed, it sees nothing"
    assert (result["balanced"]["a"]["value"], result["balanced"]["b"]["value"]) == (0, pytest.approx(0.4))  # ½ / (5/4)
    assert result["balanced"]["difference"] == pytest.approx(0.4)
    of_one_kind = score([sample(1, [UNDONE], SILENT)])
    assert not {"must_call_exact", "abstention", "balanced"} & compare(of_one_kind, of_one_kind).keys()


def test_compare_wants_the_same_samples():
    one = score([sample(1, [], SILENT)])
    with pytest.raises(InputError, match="'s2'"):
        compare(one, score([sample(1, [], SILENT), sample(2, [], SILENT)]))
    with pytest.raises(InputError, match="other gold"):
        compare(one, score([sample(1, [UNDONE], SILENT)]))
    with pytest.raises(InputError, match="samples"):
        compare(one, {"headline": {}})
