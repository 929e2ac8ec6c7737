"""The parsers' benchmark: what it times is read right, and a parser that misreads is not timed."""

from typing import Any

import pytest

from benchmarks import parse
from benchmarks.parse import LONG, WrittenOutput, check, long_outputs, measure, renderable, rendered, without_calls
from data import InputError, Record
from data.load import load_records
from eval import ToolCall
from tooltune.errors import JobFailed

HERE: dict[str, Any] = {
    "device": {"kind": "cpu", "name": "a processor", "memory_gib": 1.0},
    "environment": {"packages": {}},
}


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return list(load_records(parse.ROWS))


def test_every_family_is_timed_and_hermes_in_three_lengths(records: list[Record]) -> None:
    result = measure(records[::10], HERE, family=None, repeats=3, seconds=0.001)
    names = [arm["arm"] for arm in result["arms"]]
    assert set(renderable()) <= set(names) and len(names) == len(renderable()) + 2
    for arm in result["arms"]:
        rates = [run["outputs_per_second"] for run in arm["runs"]]
        figures = arm["summary"]["outputs_per_second"]
        assert len(rates) == 3 and figures["low"] <= figures["median"] <= figures["high"] == max(rates)
    assert result["promise"]["family"] in names and "hermes outputs" in result["verdict"]


def test_the_outputs_are_the_split_s_calls(records: list[Record]) -> None:
    outputs = rendered(records, "hermes")
    assert len(outputs) == sum(bool(r.gold) for r in records)
    assert outputs[0].text.startswith("<tool_call>\n") and outputs[0].tools == records[0].tools
    several = [r for r in records if len(r.gold) > 1]
    assert len(rendered(records, "llama3_json")) == len(outputs) - len(several) < len(outputs)
    long = long_outputs(records, "hermes")
    assert sum(len(o.calls) for o in long) == sum(len(r.gold) for r in records)
    assert {o.text.count("<tool_call>") for o in long[:-1]} == {LONG}
    assert len(without_calls(records)) == len(records) - len(outputs)
    for made in (outputs, long, without_calls(records)):
        check(made, "hermes")


def test_a_misreading_ends_the_benchmark() -> None:
    text = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
    check([WrittenOutput(text, [], [ToolCall("f", {"a": 1})])], "hermes")
    with pytest.raises(JobFailed):
        check([WrittenOutput(text, [], [ToolCall("f", {"a": 2})])], "hermes")
    with pytest.raises(JobFailed):
        check([WrittenOutput(text, [], [])], "hermes")


def test_an_unknown_family_is_the_user_s_error(records: list[Record]) -> None:
    with pytest.raises(InputError, match="no tool-call format"):
        measure(records, HERE, family="hermse", repeats=3, seconds=0.001)


def test_one_family_promises_nothing(records: list[Record]) -> None:
    result = measure(records[:5], HERE, family="qwen3_coder", repeats=3, seconds=0.001)
    assert result["promise"] is None and len(result["arms"]) == 1 and "qwen3_coder" in result["verdict"]
