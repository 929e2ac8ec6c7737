"""Input made to take for ever: references that double, expressions that backtrack, texts that are searched again and
again. Each is stopped, or read in seconds."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from data.formats.reading import read_file
from data.formats.syntax import own_words
from data.template import Template, apply, signature
from data.validate import schema_errors
from eval.parse import detect_family
from eval.scoring import Sample, score
from tests.reliability.hostile import within
from tests.tiny import FIXTURES, make_tokenizer
from tooltune.config import load_config
from tooltune.errors import InputError
from tooltune.files import read_yaml

LEVELS = 30
DOUBLING = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(LEVELS)}
DOUBLING[f"a{LEVELS}"] = {"type": "object"}
CATASTROPHIC = ("(a|aa)+$", "(a|a)*b", "((a{1,1000}){1,1000}){1,1000}b", "(.*a){25}b", r"(\w+|a)*\d{9}$")
WORD = "a" * 64 + "!"

SCHEMAS: dict[str, tuple[Any, Any]] = {
    "references that double": ({"a": 1}, {"$defs": DOUBLING, "$ref": "#/$defs/a0"}),
    "a reference to itself": ({"a": 1}, {"$ref": "#"}),
    "a choice of itself": ({"a": 1}, {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}),
    "its own names": (
        {"a": 1},
        {"propertyNames": {"$ref": "#"}, "properties": {"a": {"$ref": "#"}}, "not": {"$ref": "#"}},
    ),
    "itself unevaluated": ({"a": 1}, {"$ref": "#", "unevaluatedProperties": False}),
    "objects that must differ": (
        {"a": [{"b": n} for n in range(50_000)]},
        {"properties": {"a": {"uniqueItems": True}}},
    ),
    "many long messages": ({"a": [["x" * 1000] * 1000]}, {"properties": {"a": {"allOf": [{"type": "null"}] * 9999}}}),
    "many values against many": (
        {"a": list(range(30_000))},
        {"properties": {"a": {"items": {"enum": [str(n) for n in range(30_000)]}}}},
    ),
    **{f"pattern {p}": ({"a": WORD}, {"properties": {"a": {"pattern": p}}}) for p in CATASTROPHIC},
    **{
        f"keys {p}": ({WORD: 1}, {"patternProperties": {p: {}}, "additionalProperties": False})
        for p in CATASTROPHIC[:1]
    },
    "keys unevaluated": ({WORD: 1}, {"patternProperties": {CATASTROPHIC[0]: {}}, "unevaluatedProperties": False}),
    "a long expression": ({"a": WORD}, {"properties": {"a": {"pattern": "(a|" * 900 + ")" * 900}}}),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_that_takes_for_ever_is_the_error(name: str) -> None:
    arguments, schema = SCHEMAS[name]
    with within(seconds=20):
        errors = schema_errors(arguments, schema)
    stopped = errors[0].startswith(("the schema takes too long", "the schema itself is wrong"))
    assert len(errors) == 1 and (stopped or "does not match" in errors[0])  # `regex` answers some that `re` cannot


@pytest.mark.parametrize("pattern", CATASTROPHIC)
def test_an_expression_in_a_schema_does_not_hold_the_scoring(pattern: str) -> None:
    parameters = {"type": "object", "patternProperties": {pattern: {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": parameters}}]
    called = {"name": "f", "arguments": {WORD + str(n): "x" for n in range(20)}}
    said = f"<tool_call>\n{json.dumps(called)}\n</tool_call>"
    with within(seconds=60):
        assert score([Sample("1", [called], tools, said)])["n"] == 1


ordinary = st.recursive(
    st.sampled_from(
        [{"type": "string"}, {"type": "integer"}, {"enum": [1, "a", None]}, {"pattern": "^a"}, {"minimum": 1}, {}, True]
    ),
    lambda inner: st.fixed_dictionaries(
        {"type": st.just("object")},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "required": st.lists(st.sampled_from("abc"), max_size=2),
            "additionalProperties": st.one_of(st.booleans(), inner),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "items": inner,
        },
    ),
    max_leaves=8,
)
plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["a", "ab", "b", ""])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c", "ab"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema=ordinary, value=st.dictionaries(st.sampled_from(["a", "b", "c", "ab"]), plain, max_size=3))
def test_an_ordinary_schema_gives_what_jsonschema_gives(schema: Any, value: dict[str, Any]) -> None:
    found = Draft202012Validator(schema).iter_errors(value)
    assert bool(schema_errors(value, schema)) == any(True for _ in found)


def test_a_signature_does_not_double_with_each_level() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"x": {"type": "string"}}}
    for _ in range(30):
        choices = [{"properties": {name: {"type": "string"}}} for name in "yz"]
        schema = {"type": "object", "properties": {"p": schema, "q": {"enum": ["w" * 50]}}, "anyOf": choices}
    with within(seconds=20):
        assert len(signature({"name": "f", "parameters": schema})) < 100_000


def row(content: str, system: str = "s", **more: Any) -> dict[str, Any]:
    turns = [{"role": "system", "content": system}, {"role": "user", "content": "u"}]
    return {"messages": [*turns, {"role": "assistant", "content": content}], **more}


SIZE = 400_000
HERMES = "<tools></tools> 'FunctionCall' "
ROWS: dict[str, Any] = {
    "openings of examples": row("a", "<tools>[{}]</tools>" + "<tool_call>\n" * (SIZE // 12)),
    "schemas without an end": {
        "conversations": [
            {"from": "system", "value": "<tools>[]</tools>" + "{" * 9000 + "'FunctionCall'" * 9000 + "} x" * 9000},
            {"from": "human", "value": "u"},
            {"from": "gpt", "value": '<tool_call>{"name": "f", "arguments": {}}</tool_call>'},
        ]
    },
    "quotation marks": row("<tool_call>{" + '"\\' * (SIZE // 2)),
    "blocks with an odd mark": row('<tool_call>{"</tool_call>' * (SIZE // 24)),
    "openings of calls": row("<tool_call>" * (SIZE // 11)),
    "responses": {
        "messages": [*row("a")["messages"][:2], {"role": "tool", "content": "<tool_response>" * (SIZE // 15)}]
    },
    "names that become one": row(
        "a",
        tools=[{"type": "function", "function": {"name": "/" * n + "a"}} for n in range(1, 600)]
        + [{"type": "function", "function": {"name": f"a{'/' * (n % 50)}{chr(0x2190 + n)}"}} for n in range(20_000)],
    ),
    "brackets": {
        "system": "[" * SIZE,
        "conversations": [{"from": "user", "value": "u"}, {"from": "assistant", "value": "[f(" + "(" * SIZE}],
    },
    "calls in brackets": {
        "system": '[{"name": "f"}]',
        "conversations": [
            {"from": "user", "value": "u"},
            {"from": "assistant", "value": "[" + "f(a='\\'" * (SIZE // 7)},
        ],
    },
    "objects in a chat": {"system": "SYSTEM: " + '{"name": ' * (SIZE // 9), "chat": "USER: a ASSISTANT: b"},
    "marks in a chat": {"system": "", "chat": "USER: a\n" + "\nASSISTANT: " * (SIZE // 12) + "<functioncall>" * 9000},
    "a type": row("a", tools=[{"name": "f", "parameters": {"a": {"type": "Optional[" * SIZE}}}]),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_made_to_be_searched_again_and_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[name]) + "\n", encoding="utf-8")
    with within(seconds=40):
        try:
            loaded = read_file(path, mend=True)
        except InputError as e:
            assert str(e)
        else:
            assert len(loaded.records) + len(loaded.rejected) >= 1


@pytest.mark.parametrize(
    "text", ["<tool_call>\n", "{'FunctionCall'", "{" * 20 + "'FunctionCall'}", ":   ", "For each. "]
)
def test_a_system_text_is_cleaned_in_linear_time(text: str) -> None:
    with within(seconds=20):
        own_words(text * (SIZE // len(text)))


def test_what_hermes_says_of_calls_is_still_taken_out() -> None:
    schema = '{"title": "FunctionCall", "type": "object", "properties": {"name": {"title": "Name"}}}'
    text = f"Be kind. {schema} For each function call return a json object.\n<tool_call>\nx\n</tool_call>\nToday."
    assert own_words(text) == "Be kind.\n\nToday."


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
MERGED = "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))


@pytest.mark.parametrize("text", [BOMB, MERGED, "[" * 100_000, "a: " * 5000, "x" * 2_000_000, "? " * 5000])
def test_yaml_that_stands_for_more_than_it_is(text: str, tmp_path: Path) -> None:
    with within(seconds=20), pytest.raises(ValueError):
        read_yaml(text)
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with within(seconds=20), pytest.raises(InputError, match="not a YAML file"):
        load_config(str(path))


LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def test_a_chat_template_without_an_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.template.SECONDS", 1)
    tokenizer = make_tokenizer(tmp_path)
    with within(seconds=60):
        assert detect_family(LOOPS) == "hermes"
        with pytest.raises(InputError, match="more than 1 seconds"):
            turns = [{"role": "user", "content": "u"}]
            apply(Template(LOOPS, "hermes", "own"), tokenizer, turns, [], generation_prompt=True)


def test_a_whole_dataset_of_hostile_schemas(tmp_path: Path) -> None:
    whole = json.loads((FIXTURES / "train.jsonl").read_text(encoding="utf-8").splitlines()[0])
    rows = []
    for n, (_, schema) in enumerate(SCHEMAS.values()):
        tools = json.loads(json.dumps(whole["tools"]))
        for tool in tools:
            tool["function"]["parameters"] |= schema
        rows.append(whole | {"id": f"row-{n}", "tools": tools})
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    with within(seconds=120):
        loaded = read_file(path)
    assert len(loaded.records) + len(loaded.rejected) == len(rows)
