"""Outputs and chat templates that users brought: what is an attempt, which family a template writes, what is scored."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval.cli import app
from eval.formats import families
from eval.formats.probe import written_calls
from eval.outputs import read_outputs
from eval.parse import detect_family, parse_tool_calls
from eval.scoring import Sample, score, score_sample
from tooltune.errors import InputError

CASES = Path(__file__).parent / "cases"
FIELDS = ("expected_calls", "attempted", "json_valid", "format_ok", "truncated")


def load(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").split("\n") if line]


CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": CITY}},
    {"type": "function", "function": {"name": "list_sections", "parameters": {"type": "object", "properties": {}}}},
    {
        "type": "function",
        "function": {"name": "analyze_beam", "parameters": {"properties": {"span_m": {"type": "number"}}}},
    },
]
USUAL = {"tools": TOOLS, "expected_calls": [], "truncated": False}
"""What stands in a case only where it is otherwise."""
FIELD = [USUAL | case for case in load("field_cases.jsonl")]
MISSING = load("missing_families.jsonl")
READ = {"missing_plamo3", "missing_longcat", "missing_dots"}


@pytest.mark.parametrize("case", FIELD, ids=[case["id"] for case in FIELD])
def test_field_case(case: dict[str, Any]) -> None:
    parsed = parse_tool_calls(case["text"], case["family"], case["tools"])
    calls = [{"name": c.name, "arguments": c.arguments} for c in parsed.calls]
    got = (calls, parsed.attempted, parsed.json_valid, parsed.format_ok, parsed.truncated)
    assert got == tuple(case[field] for field in FIELDS), parsed.problems


UNREAD = [case for case in FIELD if case["attempted"] and not case["expected_calls"]]


@pytest.mark.parametrize("case", UNREAD, ids=[case["id"] for case in UNREAD])
def test_a_broken_call_is_no_refusal(case: dict[str, Any]) -> None:
    parsed = parse_tool_calls(case["text"], case["family"], case["tools"])
    assert not parsed.json_valid and not parsed.format_ok and not parsed.strict_calls
    verdict = score_sample(Sample("s", [], case["tools"], case["text"]), parsed)
    assert verdict.attempted and not verdict.strict.exact_match and not verdict.repaired.exact_match


@pytest.mark.parametrize(
    "text",
    [
        "get_weather city=서울",
        "/get_weather --city 서울",
        "get_weather: city=서울",
        "도구: get_weather\n매개변수: city=서울",
        "Function: get_weather\ncity = 서울",
        "Action: get_weather[서울]",
        "**get_weather**",
        'client.call_tool("get_weather", {"city": "서울"})',
        "<tool>get_weather</tool><tool_input>서울</tool_input>",
        "<call>get_weather(city='서울')</call>",
        "[TOOL_CALL] get_weather(city='서울')",
        '**get_weather**(city="서울")',
        '`get_weather` (city="서울")',
        '"get_weather"(city="서울").',
        '**get_weather(city="서울")**',
        'get_weather（city="서울"）',
        '>>> get_weather(city="서울")',
        'return get_weather(city="서울")',
        'get_weather\n```json\n{"city": "서울"}\n```',
        '{"tool_uses": [{"recipient_name": "functions.get_weather", "parameters": {}}]}',
    ],
)
def test_a_name_with_its_arguments_and_nothing_else_is_no_refusal(text: str) -> None:
    test_a_broken_call_is_no_refusal({"text": text, "family": "hermes", "tools": TOOLS})


@pytest.mark.parametrize(
    "text",
    [
        "get_weather needs: city",
        "get_weather? 그런 도구는 없습니다.",
        "Action: none",
        "- get_weather: 날씨",
        "**get_weather**(city: str): 날씨를 조회합니다.",
        "**get_weather**(날씨 도구)는 도시가 있어야 합니다.",
        "`get_weather()`를 쓰려면 도시를 알려 주세요.",
        "get_weather (서울)와 다른 도구 하나",
        '["get_weather", "list_sections"]',
        "I'll call get_weather with city=서울.",
    ],
)
def test_a_text_that_names_a_tool_is_a_text(text: str) -> None:
    parsed = parse_tool_calls(text, "hermes", TOOLS)
    assert not parsed.attempted and parsed.text == text


def test_lists_of_calls_names_in_pieces_and_white_space_that_json_has_not() -> None:
    listed = parse_tool_calls(
        "이렇게 합니다:\n- get_weather(city='서울')\n2. get_weather(city='부산')", "hermes", TOOLS
    )
    assert [c.arguments["city"] for c in listed.calls] == ["서울", "부산"] and not listed.strict_calls
    pieces = parse_tool_calls("\u1102\u1161\u11af\u110a\u1175(x=1)", "hermes", [{"name": "날씨", "parameters": {}}])
    assert pieces.attempted and not pieces.calls
    tag = '<tool_call>%s{"name": "get_weather", "arguments": {"city": "서울"}}</tool_call>'
    assert [bool(parse_tool_calls(tag % mark, "hermes", TOOLS).strict_calls) for mark in "\n\u2028\u00a0"] == [1, 0, 0]


@pytest.mark.parametrize("case", MISSING, ids=[case["id"] for case in MISSING])
def test_a_family_that_is_not_known_gives_its_calls_or_none(case: dict[str, Any]) -> None:
    """Formats of models above 8B have no parser; nothing is made up from them, and nothing counts as strict."""
    parsed = parse_tool_calls(case["text"], case["family"], case["tools"])
    calls = [{"name": c.name, "arguments": c.arguments} for c in parsed.calls]
    assert calls == (case["expected_calls"] if case["id"] in READ else [])
    assert parsed.strict_calls == []


def test_plamo3_reads_its_own() -> None:
    case = next(case for case in MISSING if case["id"] == "missing_plamo3")
    assert parse_tool_calls(case["text"], "plamo3", case["tools"]).format_ok


@pytest.mark.parametrize("family", sorted({module.names[0] for module in families().values() if module.openers}))
def test_every_opening_marker_is_an_attempt(family: str) -> None:
    """At a line's start, in the middle of a line, and last in the text; not in a code span."""
    marker = families()[family].openers[0]
    for text in (f"{marker} x\ny", f"물론입니다 {marker} x\ny", f"물론입니다 {marker}"):
        parsed = parse_tool_calls(text, family)
        assert (parsed.attempted, parsed.json_valid, parsed.format_ok) == (True, False, False), text
    assert not parse_tool_calls(f"형식은 `{marker}` 입니다", family).attempted


HEAD = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.tool_calls %}"
TAIL = "{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
TAIL += "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
HEADER = "<|start_header_id|>assistant<|end_header_id|>"
ARRAY = "[{% for c in m.tool_calls %}{{ c.function | tojson }}{% if not loop.last %}, {% endif %}{% endfor %}]"
XML = (
    "{% for c in m.tool_calls %}<function={{ c.function.name }}>\n{% for k, v in c.function.arguments.items() %}"
    "<parameter={{ k }}>{{ v }}</parameter>\n{% endfor %}</function>{% endfor %}"
)
PYTHON = (
    "[{% for c in m.tool_calls %}{{ c.function.name }}({% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}"
    "{% if not loop.last %}, {% endif %}{% endfor %}){% if not loop.last %}, {% endif %}{% endfor %}]"
)
# The markers in the prose of these templates point elsewhere: the calls that they write decide.
WRITTEN = {
    "apertus_arguments_as_text": (
        "apertus",
        '{# "tool_calls": [ thought tool_calls #}' + HEAD + "<|tools_prefix|>[{% for c in m.tool_calls %}"
        "{{ '{\"' + c.function.name + '\": ' + c.function.arguments + '}' }}{% if not loop.last %}, {% endif %}"
        "{% endfor %}]<|tools_suffix|>" + TAIL,
    ),
    "seed_oss": ("seed_oss", HEAD + "<seed:tool_call>\n" + XML + "\n</seed:tool_call>" + TAIL),
    "xlam_qwen": ("xlam", "Not <tool_call></tool_call>, but one array." + HEAD + ARRAY + TAIL),
    "xlam_llama": ("xlam", HEADER + ' {"name": …, "parameters": …} <tool_call>' + HEAD + ARRAY + TAIL),
    "apriel_arguments_as_text": (
        "tool_calls_tag",
        "Return them within <tool_call></tool_call>." + HEAD + "<tool_calls>[{% for c in m.tool_calls %}"
        "{{ '{\"name\": \"' + c.function.name + '\", \"arguments\": ' + c.function.arguments | string + '}' }}"
        "{% if not loop.last %}, {% endif %}{% endfor %}]</tool_calls>" + TAIL,
    ),
    "pythonic_without_quotes": ("pythonic", HEADER + ' "parameters"' + HEAD + PYTHON + TAIL),
    "gigachat_one_call": (
        "gigachat",
        "{% for m in messages %}{{ m.role }}<|role_sep|>\n{{ m.content or '' }}<|message_sep|>\n\n{% if m.tool_calls %}"
        'function call<|role_sep|>\n{"name": "{{ m.tool_calls[0].function.name }}", "arguments": '
        "{{ m.tool_calls[0].function.arguments | tojson }}}<|message_sep|>\n\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}assistant<|role_sep|>\n{% endif %}",
    ),
    "own_llama3_json_in_chatml": (
        "llama3_json",
        "<tool_call>"
        + HEAD
        + "{% if m.tool_calls | length > 1 %}{{ raise_exception('one call') }}{% endif %}{% for c in m.tool_calls %}"
        '{"name": "{{ c.function.name }}", "parameters": {{ c.function.arguments | tojson }}}{% endfor %}' + TAIL,
    ),
    "own_lfm2_json": ("lfm2", "<tool_call>" + HEAD + "<|tool_call_start|>" + ARRAY + "<|tool_call_end|>" + TAIL),
    "own_phi4_beside_granite": (
        "phi4",
        "<|start_of_role|>" + HEAD + "<|tool_call|>" + ARRAY + "<|/tool_call|>" + TAIL,
    ),
}


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        ('"{\\"x\\": 1}"', [{"x": 1}]),
        ('"{}"', [{}]),
        ("\"{'x': 1}\"", []),
        ('"x"', []),
    ],
)
def test_arguments_as_text_are_read_once_in_a_function_tag(arguments: str, made: list[Any]) -> None:
    """Rule 5, where the template writes one object: some write what they are given through tojson."""
    parsed = parse_tool_calls(f"<function=f>{arguments}</function>", "llama3_function")
    assert [call.arguments for call in parsed.calls] == made
    assert parsed.attempted and not parsed.format_ok and not parsed.truncated


def test_what_a_template_writes_begins_with_its_tag() -> None:
    """A generation prompt that goes on with a tag of its own shares the first letters with the call."""
    template = (
        "{% for m in messages %}{% if m.tool_calls %}{% for c in m.tool_calls %}"
        '<function name="{{ c.function.name }}">{% for k, v in c.function.arguments.items() %}'
        '<param name="{{ k }}">{{ v }}</param>{% endfor %}</function>{% endfor %}{% else %}{{ m.content }}{% endif %}'
        "{% endfor %}{% if add_generation_prompt %}<think>\n\n</think>{% endif %}"
    )
    written = [text for _, text in written_calls(template)]
    assert written and all(text.startswith("<function name=") for text in written)
    assert detect_family(template) == "minicpm5"


@pytest.mark.parametrize("case", WRITTEN)
def test_what_a_template_writes_decides_its_family(case: str) -> None:
    family, template = WRITTEN[case]
    assert detect_family(template) == family


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('no') }}<tool_call></tool_call>",
        "{% for m in messages %}{{ m.content }}{% endfor %}<tool_call></tool_call>",
        "{% broken <tool_call></tool_call>",
    ],
)
def test_markers_decide_where_a_template_writes_no_calls(template: str) -> None:
    assert detect_family(template) == "hermes"
    assert detect_family(template.replace("tool_call>", "seed:tool_call>")) == "seed_oss"


def test_a_tool_that_declares_no_parameters_has_no_unknown_argument() -> None:
    """Nor has a call that is right: a reader writes `properties: {}` where a tool says nothing."""
    output = '<tool_call>\n{"name": "lamp", "arguments": {"room": "3"}}\n</tool_call>'
    for parameters, unknown in (({}, []), ({"parameters": {"type": "object"}}, []),
                                ({"parameters": {"type": "object", "properties": {}}}, ["lamp: room"]),
                                ({"parameters": {"additionalProperties": False}}, ["lamp: room"])):  # fmt: skip
        tool = {"type": "function", "function": {"name": "lamp", "description": "x", **parameters}}
        for right, found in (({}, unknown), ({"room": "3"}, []), ({"room": {"any_of": ["4", "3"]}}, [])):
            sample = Sample("s", [{"name": "lamp", "arguments": right}], [tool], output)
            verdict = score_sample(sample, parse_tool_calls(output, tools=[tool]))
            assert verdict.strict.exact_match == bool(right) and verdict.unknown_arguments == found


def test_a_right_call_of_a_tool_without_declared_parameters_is_no_hallucination() -> None:
    path = CASES.parents[1] / "fixtures" / "cases" / "rows" / "score-right-call-is-hallucination.jsonl"
    headline = score(read_outputs(path))["headline"]
    assert headline["exact_match"]["value"] == 1 and headline["hallucination_rate"]["value"] == 0


@pytest.mark.parametrize(
    ("function", "unknown"),
    [
        ({"name": "lamp"}, []),
        ({"name": "lamp", "parameters": {"type": "object"}}, []),
        ({"name": "lamp", "parameters": None}, []),
        ({"name": "lamp", "parameters": {"type": "object", "properties": {}}}, ["lamp: room"]),
        (
            {"name": "lamp", "parameters": {"type": "object", "properties": {"level": {"type": "integer"}}}},
            ["lamp: room"],
        ),
    ],
)
def test_outputs_keep_whether_a_tool_declares_parameters(
    function: dict[str, Any], unknown: list[str], tmp_path: Path
) -> None:
    output = '<tool_call>\n{"name": "lamp", "arguments": {"room": "3"}}\n</tool_call>'
    for tools in ([function], [{"type": "function", "function": function}]):
        row = {"id": "a", "output": output, "gold": [], "tools": tools}
        path = tmp_path / "outputs.jsonl"
        path.write_text(json.dumps(row), encoding="utf-8")
        (sample,) = read_outputs(path)
        assert score_sample(sample, parse_tool_calls(output, tools=sample.tools)).unknown_arguments == unknown


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('"output": "b"', "a key twice"),
        ('"meta": "{}"', '"meta" must be an object'),
        ('"prompt": ["q"]', '"prompt" must be text'),
    ],
)
def test_outputs_that_say_two_things_or_none_are_refused(tmp_path: Path, more: str, words: str) -> None:
    path = tmp_path / "o.jsonl"
    path.write_text(f'{{"id": 1, "output": "a", "gold": [], "tools": [], {more}}}\n')
    with pytest.raises(InputError, match=words):
        read_outputs(path)


def test_keys_of_outputs_that_are_not_read_are_said(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    path.write_text('{"id": 1, "output": "a", "gold": [], "tools": [], "acceptable": {}}\n')
    assert "not read: 'acceptable' × 1" in CliRunner().invoke(app, ["score", str(path)]).stderr
