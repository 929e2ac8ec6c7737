"""Rows that users and peers brought, each read to its right value, and more of each kind.

The files are in tests/fixtures/cases/rows; those in `fine` were right before and stay right.
"""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from data.check import check_files
from data.commands import app
from data.convert import convert
from data.formats import formats
from data.formats.keys import ROW
from data.formats.reading import Loaded, read_file
from data.formats.syntax import own_words
from data.formats.turns import read_turns, tagged_calls, take_tools
from data.load import load_records, load_splits
from data.record import Record
from data.render import IGNORED, render, render_prompt
from data.template import Template, project_template
from tests.tiny import make_tokenizer
from tooltune.errors import InputError
from tooltune.files import read_jsonl

ROWS = Path(__file__).parent.parent / "fixtures" / "cases" / "rows"
LAMP = {"type": "function", "function": {"name": "lamp", "description": "", "parameters": {"type": "object"}}}
USER = {"role": "user", "content": "room 3"}
DONE = {"role": "assistant", "content": "Done."}
CALL = {"role": "assistant", "tool_calls": [{"function": {"name": "lamp", "arguments": {"room": "3"}}}]}


def write(path: Path, *rows: Any) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def record_of(loaded: Loaded) -> Record:
    assert not loaded.rejected, [str(entry.error) for entry in loaded.rejected]
    ((_, record),) = loaded.records
    return record


def case(name: str) -> Record:
    return record_of(read_file(ROWS / f"{name}.jsonl"))


def read(tmp_path: Path, *rows: Any) -> Loaded:
    return read_file(write(tmp_path / "a.jsonl", *rows))


def reason(tmp_path: Path, *rows: Any) -> str:
    loaded = read(tmp_path, *rows)
    assert not loaded.records
    return loaded.rejected[0].error.what


def kinds(loaded: Loaded) -> dict[str, dict[str, int]]:
    return {loss.what: dict(counts) for loss, counts in loaded.lost.items()}


def messages(*turns: dict[str, Any], **row: Any) -> dict[str, Any]:
    return {"messages": list(turns), "tools": [LAMP], **row}


def arguments(record: Record) -> Any:
    return record.gold[0]["arguments"]


# Marks of what is trained


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def trained(record: Record, tokenizer: Any, template: Template | None = None) -> str:
    example = render(record, tokenizer, template or project_template(tokenizer, "signature"))
    return str(tokenizer.decode([i for i in example.labels if i != IGNORED]))


@pytest.mark.parametrize("name", ["turn-flag-loss", "turn-flag-train", "turn-flag-weight", "weight0", "train_false"])
def test_a_turn_that_is_marked_is_read_and_not_trained(name: str, tokenizer: Any) -> None:
    record = case(name)
    (first, last) = [m for m in record.messages if m["role"] == "assistant"]
    assert first["trained"] is False and "trained" not in last
    text = trained(record, tokenizer)
    assert "WRONG" not in text and "9" not in text and text.count("<|im_end|>") == 1
    assert any(words in text for words in ("lamp", '"x": 1', "right"))
    assert "answers marked as not to be trained" in kinds(read_file(ROWS / f"{name}.jsonl"))


def test_the_prompt_of_a_row_with_a_masked_answer_is_the_start_of_its_row(tokenizer: Any) -> None:
    record, template = case("weight0"), project_template(tokenizer, "json")
    prompt = render_prompt(record, tokenizer, template)
    assert render(record, tokenizer, template).input_ids[: len(prompt)] == prompt


@pytest.mark.parametrize(
    "mark", [{"trained": False}, {"trainable": "false"}, {"loss_weight": 0.0}, {"weight": "0"}, {"training": 0}]
)
def test_more_marks(tmp_path: Path, mark: dict[str, Any]) -> None:
    for given in (messages(USER, DONE | mark, USER, CALL), messages(USER, DONE | mark, USER, CALL, id="a")):
        first = record_of(read(tmp_path, given)).messages[1]
        assert first == DONE | {"trained": False}
    masked_call = CALL | mark
    assert record_of(read(tmp_path, messages(USER, masked_call, USER, DONE))).messages[1]["trained"] is False


def test_turns_after_the_last_trained_answer_are_left_out_and_counted(tmp_path: Path) -> None:
    loaded = read(tmp_path, messages(USER, CALL, USER, DONE | {"weight": 0}))
    assert [m["role"] for m in record_of(loaded).messages] == ["user", "assistant"]
    assert kinds(loaded)["turns left out after the last answer that is trained"] == {"line 1": 1}


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ([USER, DONE | {"weight": 0}], "every answer of the row is marked"),
        ([USER, DONE | {"weight": "some"}], "'weight' is 'some'"),
        ([USER, DONE | {"train": -1}], "'train' is '-1'"),
        ([USER, DONE | {"mask": 1}], "`mask` may mean"),
        ([USER, DONE | {"weight": 0}, {"role": "function_call", "content": '{"name": "lamp"}'}], "only one of the two"),
    ],
)
def test_marks_that_cannot_be_obeyed_are_refused(tmp_path: Path, turns: Any, words: str) -> None:
    assert words in reason(tmp_path, messages(*turns))


def test_weights_between_and_marks_of_other_turns_are_counted(tmp_path: Path) -> None:
    found = kinds(
        read(tmp_path, messages(USER | {"weight": 1}, DONE | {"weight": 0.5}), messages(USER, DONE, weight=2))
    )
    assert found["weights other than 0 and 1, taken as 1"] == {"line 1": 1, "line 2": 1}
    assert found["turns that are no answers, marked as to be trained"] == {"line 1": 1}


def test_marks_in_a_record_are_refused_with_the_way_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", messages(USER, DONE | {"weight": 0}, USER, CALL, id="a", meta={}))
    with pytest.raises(InputError, match='has "trained": false') as caught:
        load_records(path)
    assert "python -m data convert" in caught.value.fix
    (record,) = load_records(convert(path).out)
    assert record.messages[1]["trained"] is False


def test_llama_factorys_parts_and_weights(tmp_path: Path) -> None:
    record = case("lfv1")
    assert record.messages[0] == {"role": "user", "content": "do 1"} and arguments(record) == {"x": 1}

    def turn(role: str, weight: float, *parts: tuple[str, str]) -> dict[str, Any]:
        return {"role": role, "content": [{"type": t, "value": v} for t, v in parts], "loss_weight": weight}

    call = json.dumps({"name": "lamp", "arguments": {"room": "3"}})
    asked = turn("user", 0.0, ("text", "room 3"))
    row = messages(asked, turn("assistant", 0.0, ("text", "WRONG")), asked, turn("assistant", 1, ("tool_call", call)))
    made = record_of(read(tmp_path, row))
    assert made.messages[1] == {"role": "assistant", "content": "WRONG", "trained": False}
    both = turn("assistant", 1.0, ("reasoning", "hm"), ("text", "ok"), ("tool_call", call), ("tool_call", call))
    (last,) = record_of(read(tmp_path, messages(asked, both))).messages[1:]
    assert (last["content"], len(last["tool_calls"]), last["reasoning_content"]) == ("ok", 2, "hm")
    assert "only text can be learnt" in reason(tmp_path, messages(turn("user", 0.0, ("image_url", "x")), DONE))


# Labels and pairs


def test_answers_that_are_marked_as_bad_never_become_gold(tmp_path: Path) -> None:
    loaded = read_file(ROWS / "kto.jsonl")
    assert [arguments(record) for _, record in loaded.records] == [{"x": 1}]
    assert "marked as a bad one (label" in loaded.rejected[0].error.what
    with pytest.raises(InputError, match="marked as a bad one"):
        load_records(ROWS / "kto.jsonl", say=lambda _: None)
    good, bad = messages(USER, CALL, kto_tag=True), messages(USER, DONE, kto_tag=False)
    prompt = {"prompt": [USER], "completion": [DONE], "label": False}
    for row in (bad, messages(USER, DONE, label="rejected"), messages(USER, DONE, id="a", label=0), prompt):
        assert "marked as a bad one" in reason(tmp_path, row)
    assert "not to be trained (weight: 0)" in reason(tmp_path, messages(USER, DONE, weight=0))
    assert "not to be trained (train: False)" in reason(tmp_path, messages(USER, DONE, train=False))
    assert kinds(read(tmp_path, good)) == {}
    assert kinds(read(tmp_path, messages(USER, DONE, label="good"))) == {
        "keys of rows that are not read": {"'label'": 1}
    }


def test_preference_rows_are_called_by_their_name(tmp_path: Path) -> None:
    for name in ("dpo_msgs", "fine/dpo"):
        (entry,) = read_file(ROWS / f"{name}.jsonl").rejected
        assert "a preference row (chosen/rejected)" in entry.error.what
    for row in (
        messages(USER, DONE, chosen="a", rejected="b"),
        {"conversations": [{"from": "human", "value": "q"}], "chosen": {"value": "a"}, "rejected": {"value": "b"}},
    ):
        assert "a preference row" in reason(tmp_path, row)
    for keys in (("prompt", "chosen", "rejected"), ("chosen_messages", "rejected_messages")):
        with pytest.raises(InputError, match="preference rows"):
            read(tmp_path, dict.fromkeys(keys, "x"))
    assert record_of(read(tmp_path, messages(USER, DONE, chosen=None, rejected=None)))  # Arrow fills with null


# System texts


def test_a_system_text_beside_the_turns_is_the_system_turn(tmp_path: Path) -> None:
    assert case("system_key").messages[0] == {"role": "system", "content": "오늘은 2026-11-25. 사용자 ID=77."}
    own = {"role": "system", "content": "Be brief."}
    assert (
        record_of(read(tmp_path, messages(own, USER, DONE, system="ID=7"))).messages[0]["content"]
        == "ID=7\n\nBe brief."
    )
    assert record_of(read(tmp_path, messages(own, USER, DONE, system="Be brief."))).messages[0] == own
    assert record_of(read(tmp_path, messages(USER, DONE, system="ID=7", id="a"))).messages[0]["content"] == "ID=7"
    assert record_of(read(tmp_path, {"prompt": "q", "completion": "a", "system": "S"})).messages[0]["content"] == "S"
    assert "system text is its first turn" in reason(tmp_path, messages(USER, DONE, system="S", id="a", meta={}))


def test_the_text_around_the_tools_stays_in_the_prompt(tmp_path: Path) -> None:
    record = case("hermes_ctx")
    assert record.messages[0] == {
        "role": "system",
        "content": "오늘은 2026-11-25. 사용자 ID=77. 규칙: 취소는 하지 마세요.",
    }
    lamp = json.dumps(LAMP)
    bare = json.dumps(LAMP["function"])
    glaive = {"system": f"SYSTEM: You are Bob. Use them if required -\n{bare}", "chat": "USER: q ASSISTANT: a"}
    toolace = {
        "system": f"Today is 2026-11-26. You are an expert in composing functions. {json.dumps([LAMP['function']])}",
        "conversations": [{"from": "user", "value": "q"}, {"from": "assistant", "value": "[lamp(room='3')]"}],
    }
    hermes = messages({"role": "system", "content": f"Never cancel.\n<tools>\n{lamp}\n</tools>\nID 7"}, USER, DONE)
    glaive["chat"] = "USER: q\n\nASSISTANT: a"
    for row, left in ((glaive, "You are Bob."), (toolace, "Today is 2026-11-26."), (hermes, "Never cancel.\n\nID 7")):
        loaded = read(tmp_path, row)
        assert record_of(loaded).messages[0] == {"role": "system", "content": left}, row
        assert [tool["function"]["name"] for tool in record_of(loaded).tools] == ["lamp"]


def test_sentences_on_call_syntax_are_known_word_for_word() -> None:
    syntax = (
        "You are a function calling AI model. You are provided with function signatures within <tools> </tools> XML "
        "tags. Don't make assumptions about what values to plug into functions. Here are the available tools:\n"
        "For each function call return a json object with function name and arguments as follows:\n"
        '<tool_call>\n{"x": 1}\n</tool_call>'
    )
    schema = "\n{'title': 'FunctionCall', 'type': 'object', 'required': ['arguments', 'name']}"
    assert own_words(syntax + schema) == ""
    assert own_words(f"ID 7. {syntax}\nNever cancel.") == "ID 7.\n\nNever cancel."
    for rule in ("You may call one or more functions only after nine.", "Tools: lamp first.", "# Tools of Bob"):
        assert own_words(rule) == rule


# Reasoning


@pytest.mark.parametrize(
    "name", ["reasoning", *(f"reasoning-reasoning{a}{b}" for a in ("", "_content") for b in ("", "-id"))]
)
def test_reasoning_is_kept_counted_and_written_where_the_template_writes_it(name: str, tokenizer: Any) -> None:
    loaded = read_file(ROWS / f"{name}.jsonl")
    record = record_of(loaded)
    thought = record.messages[-1]["reasoning_content"]
    assert thought in ("think about it", "The user wants room 3.")
    assert kinds(loaded) == {"turns with reasoning, lost unless the chat template writes it": {"line 1": 1}}
    assert thought not in trained(record, tokenizer)
    source = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}<think>{{ m.reasoning_content }}"
        "</think>{% endif %}{{ m.content or m.tool_calls }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    assert f"<think>{thought}</think>" in trained(record, tokenizer, Template(source, "hermes", "own"))
    switched = source + "{% if enable_thinking %}{% endif %}"
    assert thought not in trained(record, tokenizer, Template(switched, "hermes", "own"))


def test_more_spellings_of_reasoning(tmp_path: Path) -> None:
    for turn in (CALL | {"thinking": "hm"}, CALL | {"thought": "hm"}):
        assert record_of(read(tmp_path, messages(USER, turn))).messages[-1]["reasoning_content"] == "hm"
    pair = [
        USER,
        DONE | {"reasoning": "one"},
        {"role": "function_call", "content": '{"name": "lamp"}', "reasoning": "two"},
    ]
    assert record_of(read(tmp_path, messages(*pair))).messages[-1]["reasoning_content"] == "one\ntwo"
    assert "a record has `reasoning_content`" in reason(
        tmp_path, messages(USER, CALL | {"thinking": "hm"}, id="a", meta={})
    )


# Keys that are not read


def test_the_keys_of_every_format_are_listed() -> None:
    assert ROW.keys() == formats().keys()


def test_keys_that_are_not_read_are_said_once_with_their_count(tmp_path: Path) -> None:
    rows = [messages(USER, DONE | {"vote": 1}, topic=n, note="") for n in range(3)]
    path = write(tmp_path / "a.jsonl", *rows)
    said: list[str] = []
    load_records(path, lambda line: said.append(str(line)))
    assert said[1:] == [
        f"{path}: keys of rows that are not read: 'topic' × 3",
        f"{path}: keys of turns that are not read: 'vote' × 3",
    ]
    report = check_files([path], "none")
    found = {str(f.what): (f.level, f.count, f.examples) for f in report.findings}
    assert found["keys of turns that are not read"] == ("warning", 3, ["'vote' × 3"])
    printed = CliRunner().invoke(app, ["convert", str(path)]).stdout
    assert all(line in printed for line in said[1:])
    native = write(tmp_path / "b.jsonl", messages(USER, DONE, id="a", meta={}, topic=2))
    assert kinds(read_file(native)) == {"keys of rows that are not read": {"'topic'": 1}}


# Tags, lines and keys inside strings


def test_tags_inside_strings_are_text(tmp_path: Path) -> None:
    assert arguments(case("hermes-tag-in-string")) == {"text": "close it with </tool_call> and open with <tool_call>."}
    result = case("toolresp-in-string").messages[2]
    assert result["content"] == '{"html":"<tool_response>x</tool_response> tail"}'
    literal = "{'name': 'w', 'arguments': {'t': 'a </tool_call> b', 'n': True}}"
    said, calls = tagged_calls(f"ok <tool_call>{literal}</tool_call>")
    assert said == "ok" and calls[0]["function"]["arguments"] == {"t": "a </tool_call> b", "n": True}
    two = '<tool_call>{"name": "a", "arguments": {"t": "</tool_call>"}}</tool_call>' * 2
    assert len(tagged_calls(two)[1]) == 2
    tool = {"name": "f", "description": "ends with </tools> and more"}
    tools, rest = take_tools(f"A <tools>{json.dumps(tool)}\n{json.dumps(tool | {'name': 'g'})}</tools> B")
    assert [t["function"]["description"] for t in tools] == [tool["description"]] * 2 and rest == "A  B"
    turns = [
        USER,
        CALL,
        {"role": "tool", "content": '<tool_response>\n{"t": "</tool_response>"}\n</tool_response>'},
        DONE,
    ]
    assert read_turns(turns)[2]["content"] == '{"t": "</tool_response>"}'
    turns[2] = {"role": "tool", "content": "<tool_response>x</tool_response> tail"}
    assert read_turns(turns)[2]["content"] == turns[2]["content"], "nothing of a result is dropped"
    chat = 'USER: q\n\nASSISTANT: <functioncall> {"name": "lamp", "arguments": \'{"t": "use <functioncall> here"}\'}'
    system = f"SYSTEM: -\n{json.dumps(LAMP['function'])}"
    assert arguments(record_of(read(tmp_path, {"system": system, "chat": chat}))) == {"t": "use <functioncall> here"}
    with pytest.raises(InputError, match="is not closed"):
        tagged_calls('<tool_call>{"name": "a"}')


def test_only_line_feeds_end_lines(tmp_path: Path) -> None:
    tools = case("u2028").tools
    assert [tool["function"]["name"] for tool in tools] == ["lamp", "stop"]
    assert "\u2028" in tools[0]["function"]["description"]
    for mark in "\u2028\u2029\x85\x0b\x1c":
        row = messages(USER | {"content": f"a{mark}b"}, DONE, id="a")
        path = tmp_path / "a.jsonl"
        path.write_text(json.dumps(row, ensure_ascii=mark < " ") + "\n", encoding="utf-8", newline="\n")
        assert record_of(read_file(path)).messages[0]["content"] == f"a{mark}b"
        assert [value for _, value in read_jsonl(path)] == [row]


def test_a_key_twice_inside_a_string_is_refused(tmp_path: Path) -> None:
    (entry,) = read_file(ROWS / "dup-keys-in-string.jsonl").rejected
    assert "the key 'room' appears twice in one object" in entry.error.what
    for text in ('{"a": {"b": 1, "b": 2}}', "{'a': 1, 'b': True, 'a': 2}"):
        call = {"role": "assistant", "tool_calls": [{"function": {"name": "lamp", "arguments": text}}]}
        assert "appears twice" in reason(tmp_path, messages(USER, call))
    block = '<tool_call>{"name": "lamp", "arguments": {"a": 1, "a": 2}}</tool_call>'
    assert "appears twice" in reason(tmp_path, messages(USER, DONE | {"content": block}))
    chat = 'USER: q\n\nASSISTANT: <functioncall> {"name": "lamp", "arguments": \'{"a": 1, "a": 2}\'}'
    assert "appears twice" in reason(tmp_path, {"system": json.dumps(LAMP["function"]), "chat": chat})
    twice = '{"name": "lamp", "name": "stop", "parameters": {}}'
    said = [{"from": "user", "value": "q"}, {"from": "assistant", "value": "[lamp()]"}]
    for row in ({"system": f"[{twice}]", "conversations": said}, {"system": twice, "chat": chat}):
        assert "twice in one object" in reason(tmp_path, row)
    again = [{"a": 1}, {"a": 2}]  # in two objects
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "lamp", "arguments": json.dumps({"l": again})}}]}
    assert arguments(record_of(read(tmp_path, messages(USER, call)))) == {"l": again}


def test_a_byte_order_mark_on_each_line(tmp_path: Path) -> None:
    assert len(read_file(ROWS / "bom-each.jsonl").records) == 3
    assert len(list(read_jsonl(ROWS / "bom-each.jsonl"))) == 3
    text = json.dumps([messages(USER, DONE)])
    path = tmp_path / "a.json"
    for raw in (f"\ufeff{text}\n\ufeff{text}", f"\ufeff{text}\r\n\r\n\ufeff\r\n"):
        path.write_text(raw, encoding="utf-8", newline="")
        assert len(read_file(path).records) == raw.count("messages")


def test_a_user_turn_of_results_is_a_tool_turn(tmp_path: Path) -> None:
    assert case("userresp").messages[3] == {"role": "tool", "content": "ok", "name": "f"}

    def after_call(text: str, *calls: dict[str, Any]) -> list[dict[str, Any]]:
        turns = [USER, *(calls or [CALL]), {"role": "user", "content": text}, DONE]
        return record_of(read(tmp_path, messages(*turns))).messages[2:-1]

    results = after_call("<tool_response>1</tool_response>\n<tool_response>2</tool_response>")
    assert [(m["role"], m["content"]) for m in results] == [("tool", "1"), ("tool", "2")]
    results = after_call("<tool_response>1</tool_response> and room 4?")
    assert [(m["role"], m["content"]) for m in results] == [("tool", "1"), ("user", "and room 4?")]
    for text in ("what is <tool_response>x</tool_response>?", "<tool_response> is not closed"):
        assert after_call(text) == [{"role": "user", "content": text}]
    assert after_call("<tool_response>x</tool_response>", DONE)[0]["role"] == "user", "no call waits for it"


# Unicode forms


def test_names_in_pieces_are_the_same_names(tmp_path: Path) -> None:
    record = case("nfd-name")
    assert record.gold == [{"name": "전등_켜기", "arguments": {"방": "3"}}]
    assert record.tools[0]["function"]["parameters"]["required"] == ["방"]
    schema = {"type": "object", "properties": {"방": {"type": "string"}}, "required": ["방"]}
    tool = {"type": "function", "function": {"name": "켜기", "description": "", "parameters": schema}}

    def row(name: str, key: str, form: Any, **more: Any) -> dict[str, Any]:
        call = {"role": "assistant", "tool_calls": [{"function": {"name": name, "arguments": {key: "3"}}}]}
        return {"messages": [USER, call], "tools": [json.loads(form)], **more}

    nfd = unicodedata.normalize("NFD", json.dumps(tool, ensure_ascii=False))
    nfc = json.dumps(tool, ensure_ascii=False)
    pieces = [unicodedata.normalize("NFD", text) for text in ("켜기", "방")]
    for given in (row("켜기", "방", nfd), row(*pieces, nfc), row("켜기", pieces[1], nfc, id="a")):
        assert record_of(read(tmp_path, given)).gold == [{"name": "켜기", "arguments": {"방": "3"}}]
    for given in (row(pieces[0], "방", nfc, id="a", meta={}), row("켜기", pieces[1], nfc, id="a", meta={})):
        loaded = read(tmp_path, given)
        assert "the same letters in another Unicode form" in loaded.rejected[0].error.what
        assert "python -m data convert" in loaded.rejected[0].error.fix
    tool["function"]["parameters"] = {"type": "object", "properties": {"방": {"enum": ["거실"]}}}
    call = {"name": "켜기", "arguments": {"방": unicodedata.normalize("NFD", "거실")}}
    turns = [USER, {"role": "assistant", "tool_calls": [{"function": call}]}]
    assert "the same letters" in reason(tmp_path, {"messages": turns, "tools": [tool]})


# Ids


@pytest.mark.parametrize(
    "name", ["args-missing", "args-null", "content-parts", "desc-number", "required-null", "toolcalls-string"]
)
def test_an_id_makes_no_row_unreadable(name: str, tmp_path: Path) -> None:
    path = ROWS / f"id-{name}.jsonl"
    record = case(f"id-{name}")
    row = json.loads(path.read_text(encoding="utf-8"))
    without = record_of(read(tmp_path, {key: value for key, value in row.items() if key != "id"}))
    assert (record.id, record.messages, record.tools) == ("a", without.messages, without.tools)
    with_meta = read(tmp_path, row | {"meta": {}})
    assert "python -m data convert" in with_meta.rejected[0].error.fix
    assert with_meta.rejected[0].error.where.startswith(f"{with_meta.path}:1")
    assert record_of(read_file(tmp_path / "a.jsonl", mend=True)).messages == without.messages


@pytest.mark.parametrize("given", [None, "", True, 1.5, ["a"]])
def test_an_id_that_is_none(tmp_path: Path, given: Any) -> None:
    record = record_of(read(tmp_path, messages(USER, CALL, id=given)))
    assert len(record.id) == 12 and arguments(record) == {"room": "3"}


def test_text_that_is_null_is_no_text() -> None:
    assert case("id-content-null").messages[1]["content"] == ""


def test_ids_that_count_from_0_in_two_files(tmp_path: Path) -> None:
    train, validation, test = load_splits(ROWS / "count-train.jsonl", ROWS / "count-val.jsonl", None)
    assert [len(part) for part in (train, validation, test)] == [12, 4, 0]
    rows = [json.loads(line) for line in (ROWS / "count-train.jsonl").read_text(encoding="utf-8").splitlines()]
    again = write(tmp_path / "a.jsonl", rows[3] | {"id": 40})
    with pytest.raises(InputError, match="among the training rows"):
        load_splits(ROWS / "count-train.jsonl", again, None)
    texts = write(tmp_path / "b.jsonl", *(row | {"id": str(row["id"])} for row in rows))
    assert load_splits(texts, ROWS / "count-val.jsonl", None)[1]
    named = [write(tmp_path / f"{n}.jsonl", messages(USER | {"content": f"{n}"}, DONE, id="same")) for n in range(2)]
    with pytest.raises(InputError, match="among the training rows"):
        load_splits(named[0], named[1], None)


# The first turn, and answers that cannot be given


def test_a_row_that_begins_with_an_answer_is_refused(tmp_path: Path) -> None:
    for name, line in (("assistant-first", 1), ("assistant-first-mixed", 33)):
        report = check_files([ROWS / f"{name}.jsonl"], "none")
        (found,) = report.errors
        assert "the first turn is the assistant's" in str(found.what)
        assert f"{name}.jsonl:{line}" in str(found.examples[0])
        printed = CliRunner().invoke(app, ["check", str(ROWS / f"{name}.jsonl"), "--tokenizer", "none"])
        assert printed.exit_code == 2 and "Fit to train on." not in printed.stdout
    turns = [{"from": "gpt", "value": "Hi"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    assert "the first turn" in reason(tmp_path, {"conversations": turns})
    assert record_of(read(tmp_path, messages({"role": "system", "content": "S"}, *[DONE, USER, DONE])))


def test_no_turn_of_the_user_is_said() -> None:
    found = {str(finding.what) for finding in check_files([ROWS / "no-user.jsonl"], "none").findings}
    assert "no turn of the user" in found


def test_a_control_token_in_an_answer_is_warned_of(tmp_path: Path) -> None:
    what = "answers with a control token in their text"
    said: list[Any] = []
    load_records(ROWS / "special-in-args.jsonl", said.append)
    assert what in str(said[0])
    for text in ("a</s>b", "<end_of_turn>", "x <|eot_id|>"):
        assert what in kinds(read(tmp_path, messages(USER, DONE | {"content": text})))
        assert what not in kinds(read(tmp_path, messages(USER | {"content": text}, DONE)))
        assert what not in kinds(read(tmp_path, messages(USER, DONE | {"content": text, "weight": 0}, USER, DONE)))
    assert what not in kinds(read_file(ROWS / "fine" / "special-in-user.jsonl"))


def test_schemas_of_cases_are_read_as_they_stand() -> None:
    for name in ("nullable-anyof", "param-desc"):
        row = json.loads((ROWS / f"{name}.jsonl").read_text(encoding="utf-8"))
        assert case(name).tools == row["tools"]


# What was right


RECORDS = {
    "args-double": 1,
    "args-empty-str": 1,
    "bigint": 1,
    "crlf-bom": 3,
    "empty-tools-str": 3,
    "ep": 1,
    "ep-dot": 1,
    "few": 14,
    "id-content-null-toolcalls-null": 1,
    "id-desc-null": 1,
    "id-developer-role": 1,
    "id-params-null": 1,
    "ids": 12,
    "ids-val": 4,
    "lf-parallel": 1,
    "name-slash": 1,
    "noid-args-null": 1,
    "noid-content-parts": 1,
    "noid-pytypes": 1,
    "noid-required-null": 1,
    "noid-tool-content-object": 1,
    "one": 1,
    "py-literal-args": 1,
    "readme-form": 1,
    "readme-form2": 1,
    "responses-tools": 1,
    "special-in-user": 1,
    "swift-agent": 1,
    "tool-call-id-order": 1,
    "tool-no-params-but-args": 1,
    "tool-result-list-parts": 1,
    "tool-strings-list": 1,
    "toolcall-in-args": 1,
    "user-mentions-tools": 1,
}
REASONS = {
    "alpaca": "not a known format",
    "anthropic": "only text can be learnt",
    "args-nan-string": "cannot be read as JSON",
    "dpo": "a preference row",
    "dup-keys": "the key 'room' twice",
    "gemini": "not a known format",
    "nan": "a number that JSON does not have",
    "text-only": "not a known format",
    "toolcall-in-prose": "do not match its schema",
    "trailing-tool": "the last turn is 'tool'",
}


def test_every_fine_file_has_its_value() -> None:
    assert RECORDS.keys() | REASONS.keys() == {path.stem for path in (ROWS / "fine").glob("*.jsonl")}


@pytest.mark.parametrize(("name", "count"), RECORDS.items())
def test_fine_files_are_read(name: str, count: int) -> None:
    loaded = read_file(ROWS / "fine" / f"{name}.jsonl")
    assert (len(loaded.records), loaded.rejected, loaded.lost) == (count, [], {})
    record = loaded.records[0][1]
    names = {tool["function"]["name"] for tool in record.tools}
    assert all(call["function"]["name"] in names for m in record.messages for call in m.get("tool_calls") or [])


@pytest.mark.parametrize(("name", "words"), REASONS.items())
def test_fine_files_are_refused_for_their_reason(name: str, words: str) -> None:
    try:
        (entry,) = read_file(ROWS / "fine" / f"{name}.jsonl").rejected
        what = entry.error.what
    except InputError as e:
        what = e.what
    assert words in what
