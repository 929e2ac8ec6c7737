"""Rows as tables, agent frameworks and other trainers write them: read to their value, refused or counted."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.check import check_files
from data.formats.reading import Loaded, read_file
from data.formats.schema import tools_of
from data.formats.turns import call_of, result_of, text_of
from data.load import stream_splits
from tooltune.errors import InputError

TOOL: dict[str, Any] = {"name": "lamp", "description": "d", "parameters": {"properties": {"room": {"type": "string"}}}}
USER = {"role": "user", "content": "room 3"}
DONE = {"role": "assistant", "content": "Done."}
ARGUMENTS = {"room": "3"}


def read(tmp_path: Path, *turns: Any, **row: Any) -> Loaded:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"messages": list(turns), "tools": [TOOL]} | row) + "\n", encoding="utf-8")
    return read_file(path)


def reason(loaded: Loaded) -> str:
    (entry,) = loaded.rejected
    return entry.error.what


def lost(loaded: Loaded) -> dict[str, dict[str, int]]:
    return {loss.what: dict(counts) for loss, counts in loaded.lost.items()}


def test_marks_and_keys_inside_an_answer_are_refused_and_counted(tmp_path: Path) -> None:
    """Of a content part, of a call and of its function; a tool's result may be any value."""

    def answer(inside: str, more: dict[str, Any]) -> dict[str, Any]:
        part = {"type": "text", "text": "Done."} | (more if inside == "part" else {})
        function = {"name": "lamp", "arguments": ARGUMENTS} | (more if inside == "function" else {})
        call = {"type": "function", "function": function} | (more if inside == "call" else {})
        return {"role": "assistant", "content": [part], "tool_calls": [call]}

    for inside in ("part", "call", "function"):
        for mark in ({"weight": 0}, {"train": False}, {"loss_weight": "0.0"}):
            assert "a part of an answer" in reason(read(tmp_path, USER, answer(inside, mark))), (inside, mark)
            written = answer(inside, mark) | {"tool_calls": json.dumps(answer(inside, mark)["tool_calls"])}
            assert "a part of an answer" in reason(read(tmp_path, USER, written))
        assert lost(read(tmp_path, USER, answer(inside, {"weight": 1, "note": None}))) == {}
        found = lost(read(tmp_path, USER, answer(inside, {"comment": "wrong"})))
        assert found == {"keys of turns that are not read": {"'comment'": 1}}
    result = {"role": "tool", "content": [{"type": "row", "weight": 0, "city": "Seoul"}]}
    assert lost(read(tmp_path, USER, answer("", {}), result, DONE)) == {}


@pytest.mark.parametrize("value", [0, 0.0, "0", "0.0", False, "False", "no"])
def test_a_mark_of_a_row_says_no_however_a_table_writes_it(tmp_path: Path, value: Any) -> None:
    for key in ("weight", "loss_weight", "train", "trained", "loss"):
        assert "not to be trained" in reason(read(tmp_path, USER, DONE, **{key: value})), key
    for key in ("label", "kto_tag"):
        assert "marked as a bad one" in reason(read(tmp_path, USER, DONE, **{key: value})), key


def test_a_mark_of_a_row_that_says_yes_is_not_counted_and_one_that_says_neither_is_refused(tmp_path: Path) -> None:
    for value in (1, 1.0, "1.0", True, "TRUE", "yes"):
        assert lost(read(tmp_path, USER, DONE, weight=value, label=value)) == {}
    assert "'train' is" in reason(read(tmp_path, USER, DONE, train="2026 spring"))
    assert "marked as a bad one" in reason(read(tmp_path, USER, DONE, label=-1))


@pytest.mark.parametrize("key", ["loss_mask", "step_loss_mask", "train_on_turn", "lossMask", "masked", "ignore"])
def test_marks_of_more_trainers_are_obeyed(tmp_path: Path, key: str) -> None:
    out, kept = (1, 0) if key in ("masked", "ignore") else (0, 1)
    masked = DONE | {key: out}
    first, last = read(tmp_path, USER, masked, USER, DONE).records[0][1].messages[1::2]
    assert first == DONE | {"trained": False} and last == DONE
    assert lost(read(tmp_path, USER, DONE | {key: kept}, **{key: kept})) == {}
    assert 'has "trained": false' in reason(read(tmp_path, USER, masked, id="a", meta={}, tools=[]))
    for unclear in ({f"{key}_detail": [{"train": False}]}, {f"x-{key}": True}):
        assert "may mean trained or left out" in reason(read(tmp_path, USER, DONE | unclear))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"is_correct": False}, "a bad one"),
        ({"tool-callValid": "no"}, "a bad one"),
        ({"quality": "bad"}, "a bad one"),
        ({"feedback": "Thumbs down"}, "a bad one"),
        ({"is_valid": "N"}, "a bad one"),
        ({"meta": {"label": 0}, "id": "a", "tools": []}, "a bad one"),
        ({"used_in_training": "no"}, "not to be trained"),
        ({"exclude_from_training": True}, "not to be trained"),
        ({"completion_mask": [0, 1]}, "not to be trained"),
        ({"turn_weights": [1, 0.0]}, "not to be trained"),
        ({"rejected_response": "x"}, "a preference row"),
    ],
)
def test_labels_in_more_spellings(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    assert words in reason(read(tmp_path, USER, DONE, **row))


def test_keys_that_a_format_reads_are_no_marks_of_training(tmp_path: Path) -> None:
    """And a question alone is no row of BFCL."""
    left_out = {"excluded_function": ["cp"], "missed_function": {}}
    bfcl = {"question": "q", "function": [TOOL], "ground_truth": [{"lamp": {"room": ["3"]}}], "messages": None}
    assert read(tmp_path, tools=None, **bfcl, **left_out).records
    assert "not to be trained" in reason(read(tmp_path, USER, DONE, **left_out))
    assert read(tmp_path, USER, DONE, question="q").format == "OpenAI messages"
    with pytest.raises(InputError, match="not a known format"):
        (tmp_path / "b.jsonl").write_text('{"question": "q", "answer": "a"}\n', encoding="utf-8")
        read_file(tmp_path / "b.jsonl")


def test_a_label_of_an_answer_that_is_trained_and_scores(tmp_path: Path) -> None:
    wrong = DONE | {"is_correct": False}
    assert "a bad one" in reason(read(tmp_path, USER, wrong))
    assert read(tmp_path, USER, wrong | {"weight": 0}, USER, DONE | {"is_correct": True}, is_correct=1).records
    found = lost(read(tmp_path, USER, DONE | {"reward": 10**400}, score=[0.2]))
    assert found == {"scores that cannot be obeyed": {"'reward'": 1, "'score'": 1}}
    assert ["'score' × 1", "'reward' × 1"] in [f.examples for f in check_files([tmp_path / "a.jsonl"], "none").findings]


@pytest.mark.parametrize(
    ("calls", "results", "read_as"),
    [
        ("a:lamp b:stop", "a:1 b:2", "1 2"),
        ("a:lamp b:lamp", "b:2 a:1", "1 2"),
        ("x:lamp x:stop", "x:1 x:2", "1 2"),
        ("a:lamp b:stop", ":1 :2", "1 2"),
        (":lamp :stop", "r:1 s:2", "id no call has"),
        ("a:lamp b:stop", "z:1 b:2", "no call with the id 'z'"),
        ("a:lamp b:stop", "a:1 a:2", "no call with the id 'a'"),
        ("", "a:1", "without a call before"),
        ("a:lamp", "a:1 :2", "without a call before"),
    ],
)
def test_a_result_belongs_to_the_call_of_its_id(tmp_path: Path, calls: str, results: str, read_as: str) -> None:
    """Refused where ids contradict each other, counted where they say nothing: a template writes the order only."""
    pairs = [call.split(":") for call in calls.split()]
    made = [{"id": own, "type": "function", "function": {"name": name, "arguments": {}}} for own, name in pairs]
    turns: list[Any] = [USER, {"role": "assistant", "content": "", "tool_calls": made}] if made else [USER]
    for own, said in (result.split(":") for result in results.split()):
        turns.append({"role": "tool", "tool_call_id": own, "content": said})
    tools = [{"type": "function", "function": TOOL | {"name": name}} for name in ("lamp", "stop")]
    for more in ({}, {"id": "a", "meta": {}}):
        loaded = read(tmp_path, *turns, DONE, tools=tools, **more)
        if more and results[0] == "b":
            assert "in the order of their calls" in reason(loaded), "a record is right as it stands"
        elif read_as == "1 2":
            kept = [m for m in loaded.records[0][1].messages if m["role"] == "tool"]
            assert " ".join(m["content"] for m in kept) == read_as and not loaded.lost
            assert more or [m["name"] for m in kept] == [name for _, name in pairs]
        else:
            assert read_as in (" ".join(lost(loaded)) or reason(loaded))


def test_what_is_read_only_where_another_key_has_nothing_is_counted(tmp_path: Path) -> None:
    call = {"id": "c", "function": {"name": "lamp", "arguments": ARGUMENTS}}
    asked, result = {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "on"}
    loaded = read(tmp_path, USER | {"value": "q"}, asked | {"function_call": {"name": "stop"}})
    assert lost(loaded) == {"keys of turns that are not read": {"'value'": 1, "'function_call'": 1}}
    late = read(
        tmp_path, {"role": None, "from": "human", "content": None, "value": "q"}, asked, DONE, USER, result, DONE
    )
    turns = late.records[0][1].messages
    assert turns[0]["content"] == "q" and turns[4] == {"role": "tool", "name": "lamp", "content": "on"}
    said = {"role": "system", "content": f"<tools>{json.dumps(TOOL)}</tools>"}
    assert "are not those in `tools`" in reason(read(tmp_path, said, USER, DONE, tools=[TOOL | {"name": "stop"}]))


def test_rows_that_say_test_and_objects_in_a_system_text(tmp_path: Path) -> None:
    system = 'Of {"age": 3}. Use them if required -\n{"name": "lamp", "parameters": {}}'
    (row,) = read(tmp_path, system=system, chat="USER: q\n\nASSISTANT: a", messages=None, split="test").records
    assert row[1].messages[0]["content"] == 'Of {"age": 3}.'
    said: list[object] = []
    with pytest.raises(InputError, match="among the training rows"):
        stream_splits(tmp_path / "a.jsonl", tmp_path / "a.jsonl", None, lambda split, record: None, said.append)
    assert any("1 rows say split: 'test'" in str(line) for line in said)


def test_a_call_that_is_only_thought_of_is_none(tmp_path: Path) -> None:
    call = '<tool_call>{"name": "lamp", "arguments": {"room": "</think>"}}</tool_call>'
    thought = '<think>or <tool_call>{"name": "stop"}</tool_call></think>'
    (last,) = read(tmp_path, USER, DONE | {"content": f"{thought}\n{call}"}).records[0][1].messages[1:]
    assert last["content"] == thought and [c["function"]["name"] for c in last["tool_calls"]] == ["lamp"]
    assert read(tmp_path, USER, DONE | {"content": thought}).records[0][1].messages[1] == DONE | {"content": thought}


def test_keys_that_only_other_turns_have_are_counted(tmp_path: Path) -> None:
    calls = [{"function": {"name": "lamp", "arguments": ARGUMENTS}}]
    result = {"role": "tool", "name": "lamp", "tool_call_id": "1", "content": "on"}
    rows = (
        ([USER | {"tool_calls": calls}, DONE], {"'tool_calls'": 1}),
        ([USER | {"name": "Kim"}, DONE | {"name": "Bob"}], {"'name'": 2}),
        ([USER, {"role": "assistant", "tool_calls": calls}, result | {"function_call": calls[0]}, DONE],
         {"'function_call'": 1}),
    )  # fmt: skip
    for turns, counts in rows:
        assert lost(read(tmp_path, *turns)) == {"keys of turns that are not read": counts}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"text": "a"}, {"text": "b"}], "ab"),
        ({"type": "text", "text": "a"}, "a"),
        ([{"type": "output_text", "text": "a"}], "a"),
        ([{"type": "refusal", "refusal": "no"}], "no"),
        (8, "8"),
        ([], ""),
    ],
)
def test_parts_and_numbers_are_text(content: Any, text: str) -> None:
    assert text_of(content) == text


@pytest.mark.parametrize(
    "content",
    [
        ["a", "b"],
        {"name": "lamp"},
        [{"toolUse": {"name": "lamp", "input": {}}}],
        [{"type": "tool_use", "name": "lamp"}],
    ],
)
def test_other_values_never_become_the_text_of_an_answer(tmp_path: Path, content: Any) -> None:
    assert "only text can be learnt" in reason(read(tmp_path, USER, {"role": "assistant", "content": content}))


def test_a_result_is_any_value(tmp_path: Path) -> None:
    assert result_of([{"type": "cafe", "name": "x"}]) == '[{"type": "cafe", "name": "x"}]'
    assert (result_of([{"type": "text", "text": "x"}]), result_of({"t": 3}), result_of(None)) == ("x", '{"t": 3}', "")
    with pytest.raises(InputError, match="only text can be learnt"):
        result_of([{"type": "image_url", "image_url": {}}])


def test_a_refusal_is_what_the_assistant_says(tmp_path: Path) -> None:
    loaded = read(tmp_path, USER, {"role": "assistant", "content": None, "refusal": "I cannot."})
    assert loaded.records[0][1].messages[-1] == {"role": "assistant", "content": "I cannot."} and not loaded.lost


@pytest.mark.parametrize(
    "call",
    [
        {"name": "lamp", "args": ARGUMENTS, "id": "1", "type": "tool_call"},
        {"name": "lamp", "input": ARGUMENTS},
        {"function": {"name": "lamp", "parameters": ARGUMENTS}},
        {"function": "lamp", "arguments": json.dumps(ARGUMENTS)},
    ],
)
def test_arguments_under_other_names(call: Any) -> None:
    assert call_of(call)["function"] == {"name": "lamp", "arguments": ARGUMENTS}


@pytest.mark.parametrize(
    "call",
    [{"name": "lamp", "room": "3"}, {"name": "lamp", "kwargs": ARGUMENTS}, {"function": {"name": "lamp", "a": 1}}],
)
def test_arguments_that_are_not_found_are_not_taken_for_none(call: Any) -> None:
    with pytest.raises(InputError, match="the call 'lamp' has no `arguments` but"):
        call_of(call)
    assert call_of({"name": "lamp", "id": "1"})["function"]["arguments"] == {}


@pytest.mark.parametrize(
    "tools",
    [
        {"lamp": {"parameters": {}}},
        {"jsonrpc": "2.0", "result": {"tools": [TOOL]}},
        {"functionDeclarations": [TOOL]},
        [{"name": "lamp", "args": {"room": {"type": "string"}}}],
        [{"name": "lamp", "arguments": {"room": {"type": "string"}}}],
        [{"name": "lamp", "properties": {"room": {"type": "string"}}}],
    ],
)
def test_tools_whose_schemas_stand_elsewhere_are_not_taken_for_none(tmp_path: Path, tools: Any) -> None:
    assert "the tools are an object" in (what := reason(read(tmp_path, USER, DONE, tools=tools))) or "but" in what


def test_what_arrow_fills_with_null_is_left_out_and_counted(tmp_path: Path) -> None:
    """In schemas and in arguments; a null that the schema has stays, and one in a required place is refused."""
    at = {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": ["number", "null"]}}, "items": None}
    properties = {"room": {"type": "string", "enum": None}, "level": {"type": "integer"}, "at": at, "zone": None}
    parameters = {"type": "object", "properties": properties, "required": ["room"]}
    tools = [{"type": "function", "function": {"name": "lamp", "parameters": parameters}}]

    def call(**arguments: Any) -> Loaded:
        return read(
            tmp_path,
            USER,
            {"role": "assistant", "tool_calls": [{"function": {"name": "lamp", "arguments": arguments}}]},
            tools=tools,
        )

    loaded = call(room="3", level=None, zone=None, other=None, at={"x": None, "y": None})
    assert loaded.records[0][1].gold[0]["arguments"] == {"room": "3", "at": {"y": None}}
    assert list(loaded.records[0][1].tools[0]["function"]["parameters"]["properties"]) == ["room", "level", "at"]
    assert [*lost(loaded).values()] == [{"line 1": 1}]
    assert lost(call(room="3", at={"y": None})) == {}
    assert "None is not of type 'string'" in reason(call(room=None))


def test_a_record_whose_tool_has_its_schema_elsewhere_is_refused(tmp_path: Path) -> None:
    for odd in ({"properties": -1.5}, {"properties": {"at": {"properties": "x: int"}}}):
        tools = [{"type": "function", "function": {"name": "lamp", "parameters": odd}}]
        assert "must be a JSON schema" in reason(read(tmp_path, USER, DONE, id="a", meta={}, tools=tools))
    for key in ("inputSchema", "args"):
        tools = [{"type": "function", "function": {"name": "lamp", key: {"properties": {}}}}]
        assert f"no `parameters` but '{key}'" in reason(read(tmp_path, USER, DONE, id="a", meta={}, tools=tools))


@pytest.mark.parametrize(
    "meta",
    [
        {"acceptable": 3},
        {"acceptable": {"lamp": ["3"]}},
        {"acceptable": {"lamp": {"room": "3"}}},
        {"acceptable": {"lamp": {"room": {"any_of": []}}}},
        {"relevant_tools": 5},
        {"relevant_tools": [["lamp"]]},
        {"phenomena": "typo"},
    ],
)
def test_what_an_evaluation_reads_of_meta_is_seen_when_the_rows_are_read(tmp_path: Path, meta: Any) -> None:
    (key,) = meta
    assert reason(read(tmp_path, USER, DONE, id="a", tools=[], meta=meta)).startswith(f"meta.{key} is not")
    right = {"acceptable": {"lamp": {"room": [3], "on": {"any_of": [1], "optional": True}}}, "phenomena": None}
    assert read(tmp_path, USER, DONE, id="a", tools=[], meta=right).records


def test_parameters_that_say_themselves_that_they_are_optional_and_empty_objects_of_php() -> None:
    flat = {"room": {"type": "string", "required": True}, "level": {"type": "integer", "required": False}}
    assert tools_of([{"name": "lamp", "parameters": flat}])[0]["function"]["parameters"]["required"] == ["room"]
    written = {"type": "object", "properties": '{"room": {"type": "string"}}'}
    assert list(tools_of([{"name": "lamp", "parameters": written}])[0]["function"]["parameters"]["properties"]) == [
        "room"
    ]
    (tool,) = tools_of([{"name": "now", "parameters": {"type": "object", "properties": [], "required": []}}])
    assert tool["function"]["parameters"]["properties"] == {}


@pytest.mark.parametrize(
    "text", ["<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant", "<s>[INST] q [/INST]", "<start_of_turn>user\nq"]
)
def test_a_request_that_a_template_wrote_already_is_counted(tmp_path: Path, text: str) -> None:
    (what,) = lost(read(tmp_path, USER | {"content": text}, DONE))
    assert what == "rows with a turn that a chat template wrote already"


@pytest.mark.parametrize(
    "answer", ["[lamp(room='3')]", "<function=lamp>{}</function>", "Action: lamp\nAction Input: {}", "lamp(room='3')"]
)
def test_calls_of_other_formats_in_the_text_are_told_of(tmp_path: Path, answer: str) -> None:
    read(tmp_path, USER, DONE | {"content": answer}, id="a")
    said = [str(finding.what) for finding in check_files([tmp_path / "a.jsonl"], "none").findings]
    assert "a call is written in the text" in said
