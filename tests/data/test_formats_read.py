"""Each format's hand-made file reads to the same records; what only one format has is held on its own."""

import json
from pathlib import Path

import pytest

from data.check import check_files
from data.domain import own_names
from data.formats import formats
from data.formats.bracket import read_calls
from data.formats.literals import decode
from data.formats.names import legal
from data.formats.reading import read_file
from data.formats.schema import tools_of, type_schema
from eval.scoring.gold import read_gold
from tooltune.errors import InputError

HERE = Path(__file__).parent / "formats"
EVERY = ["weather", "apostrophe", "two", "dialog", "ask"]
CALLS = ["weather", "apostrophe", "two"]
FILES = [
    ("records.jsonl", "records", EVERY),
    ("openai.jsonl", "OpenAI messages", EVERY),
    ("sharegpt.json", "ShareGPT", EVERY),
    ("hermes.jsonl", "Hermes", EVERY),
    ("xlam.jsonl", "xLAM", CALLS),
    ("glaive.jsonl", "Glaive v2", ["weather", "apostrophe", "dialog", "ask"]),
    ("toolace.jsonl", "ToolACE", EVERY),
    ("bfcl/BFCL_v4_fixture.json", "BFCL", CALLS),
    ("functionchat_calldecision.jsonl", "FunctionChat-Bench", ["weather", "apostrophe", "ask"]),
    ("trl.jsonl", "TRL prompt/completion", EVERY),
]


def write(path, *rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def only(loaded):
    assert not loaded.rejected, [str(entry.error) for entry in loaded.rejected]
    ((_, record),) = loaded.records
    return record


@pytest.fixture(scope="module")
def expected():
    rows = [json.loads(line) for line in (HERE / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    return {row["id"]: row for row in rows}


@pytest.mark.parametrize(("name", "format_name", "keys"), FILES)
def test_each_format_reads_to_the_same_records(expected, name, format_name, keys):
    loaded = read_file(HERE / name)
    assert (loaded.format, loaded.rejected) == (format_name, [])
    assert [r.messages for _, r in loaded.records] == [expected[key]["messages"] for key in keys]
    assert [r.tools for _, r in loaded.records] == [expected[key]["tools"] for key in keys]


def test_every_format_has_a_file():
    assert {name for _, name, _ in FILES} == formats().keys()


def test_lines_are_those_of_the_file():
    assert [line for line, _ in read_file(HERE / "openai.jsonl").records] == [1, 2, 3, 4, 5]
    text = (HERE / "sharegpt.json").read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(text, start=1) if line == "  {"]
    assert [line for line, _ in read_file(HERE / "sharegpt.json").records] == starts


def test_the_other_functionchat_files(expected):
    dialog = [r for _, r in read_file(HERE / "functionchat_dialog.jsonl").records]
    assert [r.messages for r in dialog] == [expected["dialog"]["messages"][:2], expected["dialog"]["messages"]]
    assert [r.meta["bucket"] for r in dialog] == ["call", "completion"]
    single = [r for _, r in read_file(HERE / "functionchat_singlecall.jsonl").records]
    assert [(r.meta["bucket"], len(r.tools)) for r in single] == [("exact", 1), ("4_close", 2)]
    assert all(r.messages == expected["weather"]["messages"] for r in single)


def test_possible_answers_become_alternatives_that_scoring_reads():
    weather, apostrophe, two = (r for _, r in read_file(HERE / "bfcl/BFCL_v4_fixture.json").records)
    assert weather.meta["acceptable"] == {"get_weather": {"city": ["Seoul"]}}
    assert apostrophe.meta["acceptable"] == {"send_message": {"text": ["Doctor's in at 3"]}}
    # "" in the list: left out, and 0 is right as well. The cities differ from call to call, so neither's are kept.
    assert two.meta["acceptable"] == {"get_weather": {"days": [0]}}
    (call,) = read_gold(weather.gold, weather.meta["acceptable"])
    assert call.arguments["city"].options == ("서울", "Seoul")


def test_functionchat_alternatives():
    weather, apostrophe, _ = (r for _, r in read_file(HERE / "functionchat_calldecision.jsonl").records)
    assert weather.meta["acceptable"] == {"get_weather": {"city": ["Seoul"]}}
    assert apostrophe.meta["acceptable_rule"] == "Only ground truth is allowed."


def test_the_text_on_call_syntax_is_kept_beside():
    for name in ("hermes.jsonl", "toolace.jsonl", "glaive.jsonl"):
        for _, record in read_file(HERE / name).records:
            assert record.messages[0]["role"] == "user"
            assert "function" in record.meta["system"] and "get_weather" not in record.meta["system"]


def test_a_system_text_of_ones_own_stays(tmp_path):
    turns = [{"from": "human", "value": "안녕"}, {"from": "gpt", "value": "안녕하세요"}]
    row = {"conversations": turns, "system": "짧게 답한다.", "tools": "[]"}
    record = only(read_file(write(tmp_path / "a.jsonl", row)))
    assert record.messages[0] == {"role": "system", "content": "짧게 답한다."}


@pytest.mark.parametrize(
    ("text", "schema", "optional"),
    [
        ("str", {"type": "string"}, False),
        ("str, optional", {"type": "string"}, True),
        ("Optional[int]", {"type": "integer"}, True),
        ("List[int]", {"type": "array", "items": {"type": "integer"}}, False),
        ("List[Dict[str, float]], optional", {"type": "array", "items": {"type": "object"}}, True),
        ("Tuple[float, float]", {"type": "array", "items": {"type": "number"}}, False),
        ("tuple", {"type": "array"}, False),
        ("dict", {"type": "object"}, False),
        ("float", {"type": "number"}, False),
        ("Union[int, str]", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, False),
        ("str | None", {"anyOf": [{"type": "string"}, {"type": "null"}]}, False),
        ("Dict[str, int] | Callable", {}, False),
        ("Optional[Literal['a', 'b|c']]", {"enum": ["a", "b|c"]}, True),
        ("any", {}, False),
        ("HashMap", {"type": "object"}, False),
    ],
)
def test_types_in_words(text, schema, optional):
    assert type_schema(text) == (schema, optional)


def test_tools_in_every_spelling():
    bare = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}
    wrapped = {"type": "function", "function": bare}
    spellings = [[bare], [wrapped], bare, json.dumps([bare]), json.dumps(wrapped), repr([bare]), [json.dumps(bare)]]
    made = [tools_of(spelling) for spelling in spellings]
    assert all(tools == made[0] for tools in made)
    assert made[0][0]["function"]["parameters"]["properties"] == {"x": {"type": "integer"}}


def test_flat_parameters_named_like_keywords():
    (tool,) = tools_of([{"name": "f", "parameters": {"type": {"type": "str"}, "n": {"type": "int", "default": 3}}}])
    parameters = tool["function"]["parameters"]
    assert parameters["properties"] == {"type": {"type": "string"}, "n": {"type": "integer", "default": 3}}
    assert parameters["required"] == ["type"]


def test_a_type_that_json_has_not_is_said_in_the_description():
    (tool,) = tools_of([{"name": "f", "parameters": {"g": {"type": "Callable[[float], float]", "description": "fn"}}}])
    assert tool["function"]["parameters"]["properties"]["g"] == {"description": "fn (Callable[[float], float])"}


def test_bracket_calls():
    text = "[Get /v1/Weather List(city='O\\'Hare, \"X\"', at=[1, (2.5, 3)], opts={'a': True}, from='z'), ping()]"
    first, second = read_calls(text)
    assert first[0] == "Get /v1/Weather List"
    assert first[2] == {"city": 'O\'Hare, "X"', "at": [1, [2.5, 3]], "opts": {"a": True}, "from": "z"}
    assert second == ("ping", [], {})


@pytest.mark.parametrize("text", ["[f(a=g(1))]", "[f(a=__import__('os'))]", "[f(a=1]", "[f(a=1) g()]", "[f(a=1, a=2)]"])
def test_bracket_calls_that_are_none(text):
    with pytest.raises(InputError):
        read_calls(text)


def test_names_are_made_legal_everywhere(tmp_path):
    tools = [{"name": "Get/Weather Now", "description": "", "parameters": {"type": "dict", "properties": {}}}]
    turns = [
        {"from": "user", "value": "날씨"},
        {"from": "assistant", "value": "[Get/Weather Now()]"},
        {"from": "tool", "value": "맑음"},
        {"from": "assistant", "value": "맑습니다."},
    ]
    row = {"system": f"Functions: {json.dumps(tools)}", "conversations": turns}
    path = write(tmp_path / "a.jsonl", row)
    record = only(read_file(path))
    assert record.tools[0]["function"]["name"] == "Get_Weather_Now"
    assert record.messages[1]["tool_calls"][0]["function"]["name"] == "Get_Weather_Now"
    assert record.messages[2]["name"] == "Get_Weather_Now"
    back = {"Get_Weather_Now": {"name": "Get/Weather Now", "parameters": {}}}
    assert record.meta["renamed"] == back
    (own,) = own_names(record, [{"name": "Get_Weather_Now", "arguments": {"a": 1}}])
    assert own == {"name": "Get/Weather Now", "arguments": {"a": 1}}
    report = check_files([path], "none")
    said = [example for finding in report.findings for example in finding.examples]
    assert report.tools == {"Get/Weather Now": 1}
    assert any("'Get/Weather Now' → 'Get_Weather_Now'" in example for example in said)
    assert (legal("math.add"), legal("날씨-조회"), legal("가 나")) == ("math.add", "날씨-조회", "가_나")


def test_names_that_were_changed_before_are_mapped_back_to_their_own(tmp_path):
    before = {"put/load": {"name": "add_load", "parameters": {"joint": "node"}}}
    kept = {"undo": {"name": "back", "parameters": {}}}
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    row = {"id": "a", "messages": turns, "tools": [{"name": "put/load"}, {"name": "undo"}]}
    loaded = read_file(write(tmp_path / "a.jsonl", row | {"meta": {"renamed": before | kept}}), mend=True)
    assert only(loaded).meta["renamed"] == {"put_load": before["put/load"]} | kept
    for wrong in ({"a_b": "a/b"}, "x", {"a": {"name": "b"}}, {"a": {"name": "b", "parameters": {"x": 1}}}):
        (entry,) = read_file(write(tmp_path / "a.jsonl", row | {"tools": [], "meta": {"renamed": wrong}})).rejected
        assert entry.error.what.startswith("meta.renamed is not")


@pytest.mark.parametrize("name", ["a b", "a/b", "a\u200bb", "a_b "])
def test_a_call_of_a_tool_that_is_not_offered_does_not_become_one_of_another(tmp_path, name):
    row = {"query": "q", "tools": [{"name": "a_b"}], "answers": [{"name": name}]}
    loaded = read_file(write(tmp_path / "a.jsonl", row))
    if name.strip() == "a_b":
        assert only(loaded).gold[0]["name"] == "a_b"
    else:
        assert "is not among the tools" in loaded.rejected[0].error.what


def test_two_names_do_not_become_one(tmp_path):
    row = {"query": "q", "tools": [{"name": "a b"}, {"name": "a/b"}, {"name": "a_b"}], "answers": [{"name": "a/b"}]}
    record = only(read_file(write(tmp_path / "a.jsonl", row)))
    assert len({tool["function"]["name"] for tool in record.tools}) == 3
    assert record.gold[0]["name"] == record.tools[1]["function"]["name"]
    assert record.tools[2]["function"]["name"] == "a_b"


@pytest.mark.parametrize(
    "arguments",
    [
        '{"who": "the Doctor\'s", "n": true}',
        '{"who": "the Doctor\\\'s", "n": true}',
        '{"who": "the Doctor\'s",\n"n": true}',
    ],
)
def test_glaive_arguments_in_single_quotes(tmp_path, arguments):
    system = 'SYSTEM: functions -\n{"name": "f", "description": "", "parameters": {}}'
    chat = f'USER: go\n\nASSISTANT: Sure. <functioncall> {{"name": "f", "arguments": \'{arguments}\'}} <|endoftext|>'
    record = only(read_file(write(tmp_path / "a.jsonl", {"system": system, "chat": chat})))
    assert record.gold == [{"name": "f", "arguments": {"who": "the Doctor's", "n": True}}]
    assert record.messages[-1]["content"] == "Sure."


def test_text_and_calls_of_a_turn_stay_together_and_results_get_their_names(tmp_path):
    tools = [{"name": "f"}, {"name": "g"}]
    calls = [{"id": "1", "function": {"name": "f", "arguments": "{}"}}, {"id": "2", "function": {"name": "g"}}]
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "둘 다"}]},
        {"role": "assistant", "content": "네.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "2", "content": "G"},
        {"role": "tool", "tool_call_id": "1", "content": "F"},
        {"role": "assistant", "content": "끝."},
    ]
    record = only(read_file(write(tmp_path / "a.jsonl", {"messages": messages, "tools": tools})))
    assert record.messages[0]["content"] == "둘 다"
    assert record.messages[1]["content"] == "네." and len(record.messages[1]["tool_calls"]) == 2
    assert [m.get("name") for m in record.messages] == [None, None, "f", "g", None]
    assert record.messages[1]["tool_calls"][1]["function"]["arguments"] == {}


def test_results_without_a_name_answer_the_calls_in_order(tmp_path):
    calls = json.dumps([{"name": "f", "arguments": {}}, {"name": "g", "arguments": {}}])
    turns = [("human", "q"), ("function_call", calls), ("observation", "F"), ("observation", "G"), ("gpt", "끝")]
    row = {
        "conversations": [{"from": who, "value": said} for who, said in turns],
        "tools": [{"name": "f"}, {"name": "g"}],
    }
    record = only(read_file(write(tmp_path / "a.jsonl", row)))
    assert [m.get("name") for m in record.messages] == [None, None, "f", "g", None]


def test_the_older_openai_spelling(tmp_path):
    messages = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"x": 1}'}},
        {"role": "function", "name": "f", "content": "2"},
        {"role": "assistant", "content": "2."},
    ]
    record = only(read_file(write(tmp_path / "a.jsonl", {"messages": messages, "functions": [{"name": "f"}]})))
    assert record.messages[1]["tool_calls"][0]["function"] == {"name": "f", "arguments": {"x": 1}}
    assert record.messages[2] == {"role": "tool", "content": "2", "name": "f"}


def test_values_that_are_neither_json_nor_literals():
    assert decode("{'a': (1, None), 'b': True}", "v") == {"a": [1, None], "b": True}
    deep = ("[" * 5000, "-" * 50_000 + "1", "[" * 80 + "]" * 80)
    for text in ("__import__('os')", "{'a': b'x'}", "1e999", "NaN", "{[]: 1}", "\ud800", *deep):
        with pytest.raises(InputError):
            decode(text, "v")


def test_bfcl_files_of_the_package_load_completely():
    bfcl = pytest.importorskip("bfcl_eval", reason="bfcl-eval is not installed")
    folder = Path(bfcl.__file__).parent / "data"
    files = sorted(folder.glob("BFCL_v4_*.json"))
    loaded = [read_file(path) for path in files if "format_sensitivity" not in path.name]  # a list of ids, no rows
    assert sum(file.rows for file in loaded) == 4696
    assert sum(len(file.records) for file in loaded) == 4383
    for file in loaded:
        assert file.format == "BFCL"
        assert len(file.records) + len(file.rejected) == file.rows
        assert all(entry.error.what and entry.error.where for entry in file.rejected)
        assert not any("does not have the shape" in entry.error.what for entry in file.rejected)
