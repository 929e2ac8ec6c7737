"""What must hold for any calls and any text: the round trip, no exception, linear time."""

import gc
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from eval.formats import families
from eval.parse import parse_tool_calls, render_calls
from eval.parsed import ToolCall
from tooltune.errors import InputError

MODULES = list(dict.fromkeys(families().values()))
FAMILIES = [module.names[0] for module in MODULES]
XML = ("qwen3_coder", "glm", "minimax_m2", "seed_oss", "minicpm5")
ONE_CALL = ("llama3_json", "gigachat", "harmony")
PYTHON = ("pythonic", "lfm2", "olmo3")
GEMMA = ("gemma4", "functiongemma")
MARKERS = sorted(
    {opener for module in MODULES for opener in module.openers}
    | {
        "</tool_call>",
        "</think>",
        "<think>",
        "<|im_end|>",
        "[ARGS]",
        "```",
        "<｜tool▁call▁end｜>",
        "\\",
        '"',
        "'",
        "}]",
    }
    | {"<|tool_call_end|>", "<|tool_calls_section_end|>", ">>>", "{", "\n", "<|call|>", "<|message|>", "\u2028"}
)

characters = st.characters(exclude_categories=["Cs"])
plain = st.text(characters, max_size=12)
strings = st.lists(st.one_of(plain, st.sampled_from(MARKERS)), max_size=4).map("".join)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), strings)
identifiers = st.from_regex(r"[^\W\d]\w{0,8}", fullmatch=True).filter(lambda name: name not in ("all", "function"))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3), max_leaves=8
)
words = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)


def calls_of(family: str) -> st.SearchStrategy[list[ToolCall]]:
    """Calls that the family's format can carry."""
    inner = values
    if family in GEMMA:  # bare keys
        inner = st.recursive(
            scalars, lambda item: st.lists(item, max_size=3) | st.dictionaries(words, item, max_size=3), max_leaves=8
        )
    keys = strings if family not in (*XML, *PYTHON, *GEMMA, "deepseek_v32") else words
    names = (
        strings if family in ("hermes", "mistral_array", "xlam", "raw_json", "granite3", "nemotron") else identifiers
    )
    call = st.builds(ToolCall, names, st.dictionaries(keys, inner, max_size=4))
    return st.lists(call, min_size=1, max_size=1 if family in ONE_CALL else 4)


def schemas(calls: list[ToolCall]) -> list[dict[str, Any]]:
    """Tools whose schemas type the arguments as they are; the last call of a name decides."""
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return [
        {
            "name": c.name,
            "parameters": {"properties": {k: {"type": kinds.get(type(v), "null")} for k, v in c.arguments.items()}},
        }
        for c in calls
    ]


def exact(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return type(value), repr(value) if isinstance(value, float) else value


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_round_trip(family: str, data: st.DataObject) -> None:
    calls = data.draw(calls_of(family))
    if family in XML:
        assume(len({c.name for c in calls}) == len(calls))  # one schema a name
        texts = [v if isinstance(v, str) else repr(v) for c in calls for v in c.arguments.values()]
        assume(not any(mark in text for text in texts for mark in ("<", "]]>", "\r")))  # no escapes in untyped text
    try:
        text = render_calls(calls, family)
    except InputError:
        assume(False)
    parsed = parse_tool_calls(text, family, schemas(calls))
    assert [(c.name, exact(c.arguments)) for c in parsed.calls] == [(c.name, exact(c.arguments)) for c in calls], text
    assert parsed.json_valid and parsed.format_ok and parsed.attempted, (text, parsed.problems)
    assert not parsed.truncated and parsed.text == ""


fragments = ['{"name": "f", "arguments": {', '"x": 1', "}", "]", "[", "f(x=", ")", "</function>", "<parameter=x>"]
fragments += ["</parameter>", "<arg_key>", "</arg_key>", "<arg_value>", "call:f{", "[CALL_ID]", '"a": "', "NaN", "007"]
fragments += [
    "//",
    "/*",
    "\\n",
    "“",
    "functools[",
    "<tool_call>\n<function=f>\n<parameter=x>\n1",
    "<tool_call>f<arg_key>",
]
pieces = st.one_of(plain, st.sampled_from(MARKERS), st.sampled_from(fragments))
TOOL = {"name": "f", "parameters": {"properties": {"x": {"type": "integer"}}}}


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.lists(pieces, max_size=14).map("".join), truncated=st.booleans())
def test_no_text_raises(family: str, text: str, truncated: bool) -> None:
    parsed = parse_tool_calls(text, family, [TOOL], truncated)
    assert parsed.attempted or not parsed.calls
    assert not parsed.format_ok or parsed.json_valid
    assert bool(parsed.problems) == (not parsed.format_ok)


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(max_size=200),
    tools=st.lists(st.one_of(st.none(), st.integers(), st.dictionaries(plain, values, max_size=2)), max_size=3),
)
def test_malformed_tools_do_not_raise(text: str, tools: list[Any]) -> None:
    parse_tool_calls(text, "qwen3_coder", tools)
    parse_tool_calls(
        f"<tool_call>\n<function=f>\n<parameter=x>\n{text}\n</parameter>\n</function>", "qwen3_coder", tools
    )


HOSTILE = {
    "hermes": [
        "<tool_call>", "<tool_call>{", '<tool_call>{"a": "', "<tool_call>{“", "<tool_call>{/*", "<tool_call>{//",
        "</tool_call>", "{</tool_call>", "<tool_call><function=f><parameter=x>", "<think>", "x</think>", "```json\n{",
        "`<tool_call>`", "`<tool_call>{", '`<tool_call>[{"a":`', '"<tool_call>', "<tool_call> a b. ", "<tool_call> x\n",
        "`", "<toolcall>", '<toolcall>{"name":', "<tool_call",
        "</s>", "\ufeff", " \n", '{"name":', "[", "\\", '<TOOLCALL>[{"name":', "[TOOL_CALLS]f[ARGS]{", "functools[",
        "f(", "f(x=1)\n", "\nf(x=", 'f("a") ', "f {", "<f>", '\n{"name": "f", "arguments":', '{"calls": [', "`f(",
    ],
    "llama3_json": ["{", '\n{"name":', '{"a": "b", ', "\n{'", '{"a":', "[{"],
    "raw_json": [
        '{"name": "f", "arguments": {', '{"name": "f", "arguments": {}} ', '[{"name": "f", "arguments": {x}}, ',
    ],
    "lfm2": ["<|tool_call_start|>{", "<|tool_call_start|>[{"],
    "plamo3": ["<|plamo:begin_tool_request:plamo|><|plamo:begin_tool_name:plamo|>f<|plamo:end_tool_name:plamo|>"],
    "xlam": ['[{"name": "f", "arguments": {}} ', "[{"],
    "mistral_array": ["[TOOL_CALLS][{"],
    "qwen3_coder": ["<function=f><parameter=x>", "<function=", "<parameter=x></parameter>"],
    "glm": ["<tool_call>f<arg_key>x</arg_key><arg_value>"],
    "pythonic": [
        "a [f(x=[", "a [f(x='", "a [f(x=1)]", "a [f(",
        "\n[f(x=[", "\n[f(x='", "[f(x=1,", "\n[f(#", "<|python_start|>[f(",
    ],
    "gemma4": ['<|tool_call>call:f{x:<|"|>', "<|tool_call>call:f{x:["],
    "kimi_k2": ["<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"],
    "harmony": ["to=functions.f<|message|>{"],
    "functionary": [">>>f\n{", ">>>f\n"],
    "deepseek_v32": ['<｜DSML｜invoke name="f"><｜DSML｜parameter name="x">'],
}  # fmt: skip
ATTACKS = [(family, unit) for family, units in HOSTILE.items() for unit in units]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "unit"), ATTACKS, ids=[f"{f}-{i}" for i, (f, _) in enumerate(ATTACKS)])
def test_linear_time(family: str, unit: str) -> None:
    """Five times the text takes about five times the time; a rescan would take twenty-five times as long."""

    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        best = float("inf")
        gc.collect()
        gc.disable()  # its passes go over whatever the other tests left behind, more of them for the longer text
        try:
            for _ in range(2):
                start = time.process_time()
                parse_tool_calls(text, family, [{"name": "f"}])
                best = min(best, time.process_time() - start)
        finally:
            gc.enable()
        return best

    small, large = seconds(50_000), seconds(250_000)
    assert large < 0.05 or large / small < 12, (small, large)
