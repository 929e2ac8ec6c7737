"""Calls that are carried out: what leaves the same state, and what does not, on frames and in another domain."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

import eval.execution as execution
from data.load import load_records
from data.record import Record, tool_call
from data.structural.engine import EXAMPLE
from data.structural.frame_domain import STRUCTURAL as BUNDLED
from eval.execution import execution_accuracy
from eval.parse import render_calls
from eval.parsed import ToolCall
from eval.scoring import Sample
from eval.tables import headline_table
from examples.thermostat import Thermostat
from tooltune.metrics import METRICS

ROOT = Path(execution.__file__).parent.parent
STRUCTURAL = ROOT / "data" / "structural"
TOOLS = {t["function"]["name"]: t for t in json.loads((STRUCTURAL / "tools.json").read_text(encoding="utf-8"))}
LOAD = {"node_id": 7, "direction": "Z", "value": -98.0665}
UNIT = {"unit": "F"}


def call(tool, /, **arguments):
    return {"name": tool, "arguments": arguments}


def outcome(gold, made, *, before=(), tools=None, **meta):
    """The outcome of one row on the example frame; `made` is calls or raw text."""
    messages = [{"role": "system", "content": "…"}, {"role": "user", "content": "…"}]
    if before:
        messages += [
            {"role": "assistant", "tool_calls": [tool_call(c["name"], c["arguments"]) for c in before]},
            *({"role": "tool", "name": c["name"], "content": '{"ok": true}'} for c in before),
            {"role": "user", "content": "…"},
        ]
    answer = {"role": "assistant", "tool_calls": [tool_call(c["name"], c["arguments"]) for c in gold]}
    record = Record("r", [*messages, answer], tools or list(TOOLS.values()), {"model": EXAMPLE.to_dict()} | meta)
    text = made if isinstance(made, str) else render_calls([ToolCall(c["name"], c["arguments"]) for c in made])
    found = execution_accuracy([record], [Sample.from_record(record, text)])
    assert found is not None
    return found["samples"].get("r")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ([call("add_nodal_load", **LOAD)], "strict"),
        ([call("add_nodal_load", **LOAD | {"value": -10, "unit": "tonf"})], "strict"),
        ([call("add_nodal_load", **LOAD | {"load_case": "DL"})], "strict"),  # the current one, named
        ([call("add_nodal_load", **LOAD | {"node_id": 7.0})], "strict"),
        ([call("add_nodal_load", **LOAD | {"value": -49.03325})] * 2, "summed"),
        ([call("add_nodal_load", **LOAD | {"value": -10})], "different"),
        ([call("add_nodal_load", **LOAD | {"load_case": "LL"})], "different"),
        ([call("add_nodal_load", **LOAD), call("run_static_analysis")], "different"),
        ([call("add_nodal_load", **LOAD), call("set_support", node_ids=[99], support_type="fixed")], "refused"),
        ([call("add_nodal_load", **LOAD | {"node_id": "7"})], "refused"),
        ([call("add_nodal_load", **LOAD | {"value": 10**400})], "refused"),
        ([call("put_load", **LOAD)], "refused"),
        ("절점 7에 하중을 추가했습니다.", "no_call"),
        ('<tool_call>\n{"name": "add_nodal_load", "arguments": {"node_id": 7,}}\n</tool_call>', "no_call"),
    ],
)
def test_a_load_by_what_it_does(made, expected):
    assert outcome([call("add_nodal_load", **LOAD)], made) == expected


def test_the_calls_of_earlier_turns_come_first():
    before = [call("add_node", node_id=50, x=0, y=0, z=9)]
    gold = [call("add_nodal_load", **LOAD | {"node_id": 50})]
    assert outcome(gold, gold, before=before) == "strict"
    assert outcome(gold, [call("undo"), *gold], before=before) == "refused"
    assert outcome(gold, gold) is None, "gold that the model refuses is no question"


def test_a_row_whose_gold_changes_nothing_is_not_asked():
    assert outcome([call("set_support", node_ids=[1], support_type="fixed")], "whatever") is None


def test_a_query_is_compared_by_what_it_asks():
    gold = [call("run_static_analysis", load_names=["DL", "LL"])]
    assert outcome(gold, [call("run_static_analysis", load_names=["LL", "DL"])]) == "strict"
    assert outcome(gold, [call("run_static_analysis", load_names=["DL"])]) == "different"


def test_renamed_tools_are_run_under_their_own_names():
    def renamed(value):
        text = json.dumps(value).replace("add_nodal_load", "putLoad").replace("node_id", "joint")
        return json.loads(text)

    back = {"putLoad": {"name": "add_nodal_load", "parameters": {"joint": "node_id"}}}
    gold = [call("add_nodal_load", **LOAD)]
    given = {"tools": [renamed(TOOLS["add_nodal_load"])], "renamed": back}
    assert outcome(renamed(gold), renamed(gold), **given) == "strict"
    assert outcome(renamed(gold), gold, **given) == "refused", "the name was not offered here"
    old_parameter = [call("putLoad", **LOAD)]
    assert outcome(renamed(gold), old_parameter, **given) == "refused"


def test_accepted_alternatives_do_the_same():
    gold = [call("create_load_case", name="풍하중", load_type="wind")]
    other = [call("create_load_case", name="W", load_type="wind")]
    assert outcome(gold, other) == "different"
    assert outcome(gold, other, acceptable={"create_load_case": {"name": ["W"]}}) == "strict"
    shown = [call("show_diagram", diagram="moment", load_name="DL")]
    plain = [call("show_diagram", diagram="moment")]
    analysed = {"before": [call("run_static_analysis", load_names=["DL"])]}
    accepted = {"show_diagram": {"load_name": {"any_of": ["DL"], "optional": True}}}
    assert outcome(shown, plain, **analysed) == "different"
    assert outcome(shown, plain, **analysed, acceptable=accepted) == "strict"
    assert outcome(plain, shown, **analysed, acceptable=accepted) == "strict"


def test_two_calls_keep_their_own_values_where_both_are_acceptable():
    gold = [call("create_load_case", name=n, load_type="wind") for n in ("W1", "W2")]
    accepted = {"create_load_case": {"name": ["W1", "W2"]}}
    assert outcome(gold, gold, acceptable=accepted) == "strict"


def test_rates_by_bucket_and_the_rows_left_out():
    def row(i, bucket, gold):
        answer = {"role": "assistant", "content": "…"} if gold is None else {"role": "assistant", "tool_calls": gold}
        return Record(i, [{"role": "user", "content": "…"}, answer], list(TOOLS.values()), {"bucket": bucket} | model)

    model = {"model": EXAMPLE.to_dict()}
    load = [tool_call("add_nodal_load", LOAD)]
    nothing = [tool_call("set_support", {"node_ids": [1], "support_type": "fixed"})]
    records = [row("a", "T1", load), row("b", "T1", load), row("c", "T2", load), row("d", "T1", nothing)]
    records.append(row("e", "T5", None))
    right = render_calls([ToolCall("add_nodal_load", LOAD)])
    samples = [Sample.from_record(r, text) for r, text in zip(records, [right, "", right, "", ""], strict=True)]
    found = execution_accuracy(records, samples)
    assert (found["n"], found["strict"]["count"], found["left_out"]) == (3, 2, 1)
    assert found["outcomes"] == {"strict": 2, "summed": 0, "different": 0, "refused": 0, "no_call": 1}
    rates = {bucket: (row["n"], row["strict"]["value"]) for bucket, row in found["by_bucket"].items()}
    assert rates == {"T1": (2, 0.5), "T2": (1, 1.0)}


def test_gold_of_the_committed_test_split_scores_full_marks():
    lines = (STRUCTURAL / "test.jsonl").read_text(encoding="utf-8").splitlines()
    records = [Record.from_dict(json.loads(line)) for line in lines]
    texts = [render_calls([ToolCall(**c) for c in r.gold]) for r in records]
    found = execution_accuracy(records, [Sample.from_record(r, t) for r, t in zip(records, texts, strict=True)])
    assert found["strict"]["value"] == 1.0 and found["n"] + found["left_out"] == sum(bool(r.gold) for r in records)
    assert found["left_out"] <= 3


@pytest.mark.parametrize("value", [None, "gpt-4", {"name": "gpt-4"}, {"heights": []}, {"bays_x": "wide"}])
def test_other_data_has_no_structural_model(value):
    record = Record("r", [{"role": "assistant", "content": "…"}], [], {"model": value})
    assert BUNDLED.frame(record) is None
    assert execution_accuracy([record], [Sample.from_record(record, "")]) is None


def test_the_terminal_shows_one_line():
    rate = {"value": 0.5, "count": 1, "n": 2, "low": 0.1, "high": 0.9}
    side = {"n": 2, "headline": dict.fromkeys(METRICS, rate)}
    metrics = {"run": "r", "split": "test", "base": side, "tuned": side}
    ran = {"base": {"strict": rate | {"value": 0.25}}, "tuned": {"strict": rate}}
    assert lines(headline_table(metrics | {"execution": ran}))[-1].split() == [
        *("Execution", "Accuracy", "(2", "rows)", "25.0%", "(10.0–90.0)", "50.0%", "(10.0–90.0)")
    ]
    assert not any("Execution" in line for line in lines(headline_table(metrics | {"execution": None})))
    korean = " ".join(lines(headline_table(metrics | {"execution": ran}, "ko")))
    assert "실행 정확도 (2문항)" in korean and "호출이 필요한 문항" in korean and "25.0%" in korean


def lines(table):
    console = Console(width=120, file=StringIO())
    console.print(table)
    return [line.replace("│", " ").strip() for line in console.file.getvalue().splitlines() if "│" in line]


def heating(said):
    """The outcome of each example row for what `said` makes of its gold calls, in the example domain."""
    records = load_records(ROOT / "examples" / "thermostat.jsonl")
    made = [[ToolCall(c["name"], c["arguments"]) for c in said(record.gold)] for record in records]
    samples = [Sample.from_record(r, render_calls(calls)) for r, calls in zip(records, made, strict=True)]
    return execution_accuracy(records, samples, domain=Thermostat())


def test_the_example_domain_is_scored_on_its_rows():
    found = heating(lambda gold: gold)
    assert (found["n"], found["strict"]["value"], found["left_out"]) == (6, 1.0, 0)
    assert {bucket: rates["n"] for bucket, rates in found["by_bucket"].items()} == {"set": 3, "change": 3}


def test_the_example_domain_knows_other_words_for_the_same():
    def in_fahrenheit(gold):
        return [
            c | {"arguments": {"room": c["arguments"]["room"], "degrees": c["arguments"]["degrees"] * 1.8 + 32} | UNIT}
            if c["name"] == "set_temperature" and "unit" not in c["arguments"]
            else c
            for c in gold
        ]

    assert heating(in_fahrenheit)["strict"]["value"] == 1.0
    found = heating(lambda gold: [call("set_temperature", room="kitchen", degrees=20)])
    assert found["samples"] == {
        "thermostat-1": "strict",
        "thermostat-2": "different",
        "thermostat-3": "different",
        "thermostat-4": "strict",  # 18 °C and two degrees more
        "thermostat-5": "different",
        "thermostat-6": "different",
    }
    assert heating(lambda gold: [])["outcomes"]["no_call"] == 6


def test_what_the_example_domain_refuses_is_wrong():
    outcomes = heating(lambda gold: [call("set_temperature", room="cellar", degrees=20)])["outcomes"]
    assert outcomes["refused"] == 6
    assert heating(lambda gold: [call("undo")])["outcomes"]["refused"] == 6


def test_a_domain_without_its_tool_refuses_the_call():
    class Narrow(Thermostat):
        def tools(self):
            return super().tools()[:1]

    record = load_records(ROOT / "examples" / "thermostat.jsonl")[0]
    other = render_calls([ToolCall("change_temperature", {"room": "kitchen", "by": 2})])
    found = execution_accuracy([record], [Sample.from_record(record, other)], domain=Narrow())
    assert found["outcomes"]["refused"] == 1


def test_a_domain_may_count_effects_that_add_up():
    class Nearly(Thermostat):
        def same_in_sum(self, state, other):
            return sum(state.values()) == sum(other.values())

    record = load_records(ROOT / "examples" / "thermostat.jsonl")[3]
    other = render_calls([ToolCall("change_temperature", {"room": "bedroom", "by": 2})])
    found = execution_accuracy([record], [Sample.from_record(record, other)], domain=Nearly())
    assert (found["strict"]["value"], found["summed"]["value"]) == (0.0, 1.0)


def test_a_fault_in_the_code_of_a_domain_is_not_taken_for_a_refusal():
    class Broken(Thermostat):
        def execute(self, record, calls):
            raise KeyError("rooms")

    record = load_records(ROOT / "examples" / "thermostat.jsonl")[0]
    with pytest.raises(KeyError):
        execution_accuracy([record], [Sample.from_record(record, "")], domain=Broken())
