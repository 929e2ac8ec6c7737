"""Every hand-written request loads, its gold calls score as right in every format, and what differs from them fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.load import load_records
from data.record import Record, tool_call
from eval import ToolCall, score
from eval.formats import families
from eval.parse import render_calls
from eval.scoring import Sample
from tooltune.errors import InputError
from tooltune.files import write_jsonl

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "data" / "structural" / "utterances.jsonl"
ROWS = [json.loads(line) for line in SOURCE.read_text(encoding="utf-8").split("\n") if line]
TOOLS = [
    tool
    for name in ("tools.json", "tools_heldout.json")
    for tool in json.loads((ROOT / "data/structural" / name).read_text(encoding="utf-8"))
]
WRITTEN = sorted({module.names[0] for module in families().values()})
BY_ID = {row["id"]: row for row in ROWS}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The requests as the loader reads them from a file."""
    path = tmp_path_factory.mktemp("utterances") / "utterances.jsonl"
    write_jsonl(path, map(as_row, ROWS))
    return load_records(path)


def as_row(row: dict[str, Any]) -> dict[str, Any]:
    history = [dict(turn) for turn in row.get("history", [])]
    for turn in history:
        if turn.get("tool_calls"):
            turn["tool_calls"] = [tool_call(c["name"], c["arguments"]) for c in turn["tool_calls"]]
    answer: dict[str, Any] = {"role": "assistant", "content": row.get("reply", "" if row["calls"] else "알겠습니다.")}
    if row["calls"]:
        answer["tool_calls"] = [tool_call(c["name"], c["arguments"]) for c in row["calls"]]
    messages = [*history, {"role": "user", "content": row["user"]}, answer]
    meta = {"lang": row["lang"], "phenomena": [row["phenomenon"]]}
    return {"id": row["id"], "messages": messages, "tools": TOOLS, "meta": meta}


def scored(row_id: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """The one verdict on a request that was answered with these calls."""
    (verdict,) = score([Sample(row_id, BY_ID[row_id]["calls"], TOOLS, output=written(calls, "hermes"))])["samples"]
    found: dict[str, Any] = verdict
    return found


def written(calls: list[dict[str, Any]], family: str) -> str:
    return render_calls([ToolCall(c["name"], c["arguments"]) for c in calls], family)


def changed(row_id: str, **arguments: Any) -> list[dict[str, Any]]:
    """The request's one gold call with other arguments; None takes one out."""
    (call,) = BY_ID[row_id]["calls"]
    merged = {key: value for key, value in (call["arguments"] | arguments).items() if value is not None}
    return [{"name": call["name"], "arguments": merged}]


def test_all_134_load(records: list[Record]) -> None:
    assert [record.id for record in records] == [row["id"] for row in ROWS] and len(records) == 134
    assert [record.gold for record in records] == [row["calls"] for row in ROWS]


@pytest.mark.parametrize("family", WRITTEN)
def test_gold_in_the_words_of_a_family_is_right(records: list[Record], family: str) -> None:
    samples = []
    for record in records:
        text = record.messages[-1]["content"]
        if record.gold:
            try:
                text = written(record.gold, family)
            except InputError:  # the format has room for one call
                assert len(record.gold) > 1
                continue
        samples.append(Sample.from_record(record, text))
    result = score(samples, family)
    headline = {key: rate["value"] for key, rate in result["headline"].items()}
    assert headline == {
        "tool_name_accuracy": 1.0,
        "parameter_accuracy": 1.0,
        "json_validity": 1.0,
        "hallucination_rate": 0.0,
        "exact_match": 1.0,
        "must_call_exact": 1.0,
        "abstention": 1.0,
        "balanced": 1.0,
    }
    assert len(samples) >= 134 - sum(len(row["calls"]) > 1 for row in ROWS)
    faults = {key: found["count"] for key, found in result["apart"].items() if found["count"]}
    assert faults.keys() <= {"ungrounded_value"}


@pytest.mark.parametrize(
    ("row_id", "other"),
    [
        ("u001", {"value": 10.0}),  # a number is a number
        ("u001", {"node_id": 1.0}),  # 5.0 for 5, counted apart
        ("u022", {"steps": 1}),  # the schema's default is the same as leaving it out
        ("u020", {"factor": 1}),
        ("u182", {"content": ["displacement", "reaction"]}),  # 목록 순서는 채점에서 무시
        ("u072", {"node_ids": [6, 5, 4, 3, 2, 1]}),
        ("u030", {"factors": {"WX": 1, "LL": 1, "DL": 1.2}}),  # an object's keys have no order
    ],
)
def test_what_the_notes_let_pass(row_id: str, other: dict[str, Any]) -> None:
    assert scored(row_id, changed(row_id, **other))["strict"]["exact_match"]


@pytest.mark.parametrize(
    ("row_id", "other"),
    [
        ("u032", {"value": 29.42, "unit": "kN"}),  # the value is copied with its unit, not converted
        ("u032", {"unit": None}),
        ("u001", {"unit": "kN"}),  # a default that only a description names; it executes as gold does
        ("u053", {"value": 45}),  # 연직하중 → 중력방향
        ("u056", {"value": -9}),  # 상향
        ("u095", {"x": 6000}),  # 좌표는 m로 환산
        ("u098", {"dimensions": [700, 400]}),  # a section's dimensions do have an order
        ("u101", {"limit_ratio": 0.025}),
        ("u045", {"value": "20"}),  # a text is no number
        ("u020", {"load_case": "DL"}),  # an optional argument that nobody named
        ("u068", {"load_case": "LL", "factor": -1.0}),  # 부정된 값은 쓰지 않는다
        ("u182", {"content": ["reaction"]}),
    ],
)
def test_what_the_notes_forbid(row_id: str, other: dict[str, Any]) -> None:
    assert not scored(row_id, changed(row_id, **other))["repaired"]["exact_match"]


def test_parallel_calls_in_another_order() -> None:
    verdict = scored("u069", BY_ID["u069"]["calls"][::-1])
    assert verdict["strict"]["exact_match"] and not verdict["order_differs"]  # one tool three times
    verdict = scored("u142", BY_ID["u142"]["calls"][::-1])
    assert verdict["strict"]["exact_match"] and verdict["order_differs"]  # 뒤의 호출이 앞의 결과에 의존
    assert not scored("u069", BY_ID["u069"]["calls"][:2])["strict"]["exact_match"]
    assert not scored("u077", BY_ID["u069"]["calls"])["strict"]["exact_match"]


@pytest.mark.parametrize("row", [row for row in ROWS if row.get("rejected_calls")], ids=lambda row: row["id"])
def test_a_call_where_none_is_right(row: dict[str, Any]) -> None:
    assert not scored(row["id"], row["rejected_calls"])["strict"]["exact_match"]
