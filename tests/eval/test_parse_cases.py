"""The parser against the contract's cases and their siblings: calls with exact types, json_valid, format_ok."""

import json
from pathlib import Path
from typing import Any

import pytest

from eval.formats import families
from eval.parse import detect_family, parse_tool_calls, render_calls
from eval.parsed import Parsed, ToolCall
from tooltune.errors import InputError

CASES = Path(__file__).parent / "cases"
TOOLS = json.loads((CASES / "cases_tools.json").read_text(encoding="utf-8"))


def load(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").split("\n") if line]


ALL = load("cases.jsonl") + load("more_cases.jsonl")


def typed(value: Any) -> Any:
    """The value with its types spelled out, so that 6, 6.0, "6" and True differ."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value).__name__, value


def result(parsed: Parsed) -> tuple[Any, bool, bool]:
    return [(c.name, typed(c.arguments)) for c in parsed.calls], parsed.json_valid, parsed.format_ok


@pytest.mark.parametrize("case", ALL, ids=[case["id"] for case in ALL])
def test_case(case: dict[str, Any]) -> None:
    parsed = parse_tool_calls(case["text"], case["format"], TOOLS)
    expected = [(c["name"], typed(c["arguments"])) for c in case["expected_calls"]]
    assert result(parsed) == (expected, case["json_valid"], case["format_ok"]), parsed.problems
    assert parsed.attempted or not parsed.calls
    assert bool(parsed.problems) == (not parsed.format_ok)


@pytest.mark.parametrize("case", ALL, ids=[case["id"] for case in ALL])
def test_openai_form_of_tools(case: dict[str, Any]) -> None:
    wrapped = [{"type": "function", "function": tool} for tool in TOOLS]
    assert parse_tool_calls(case["text"], case["format"], wrapped) == parse_tool_calls(
        case["text"], case["format"], TOOLS
    )


@pytest.mark.parametrize(
    ("text", "family", "outside"),
    [
        ('앞\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>\n뒤<|im_end|>', "hermes", "앞\n\n뒤"),
        ("<think>생각</think>\n답입니다.<|im_end|>", "hermes", "답입니다."),
        ('<think>a</think><tool_call>{"name": "f", "arguments": {}}</tool_call>', "hermes", ""),
        ('확인합니다.[TOOL_CALLS]f[ARGS]{"x": 1}\n끝', "mistral_args", "확인합니다.\n끝"),
        ('<|python_tag|>{"name": "f", "parameters": {}}', "llama3_json", ""),
        ("<|channel|>analysis<|message|>생각<|end|><|start|>assistant<|channel|>final<|message|>답", "harmony", "답"),
        ('all\n말.>>>f\n{"x": 1}', "functionary", "말."),
        ('<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}<|tool_call_end|>'
         "<|tool_calls_section_end|>", "kimi_k2", ""),
    ],
)  # fmt: skip
def test_text_outside_the_calls(text: str, family: str, outside: str) -> None:
    assert parse_tool_calls(text, family).text == outside


@pytest.mark.parametrize(
    ("text", "family", "truncated"),
    [
        ('<tool_call>\n{"name": "f", "arg', "hermes", True),
        ('<tool_call>\n{"name": "f", "arguments": {}}', "hermes", True),
        ('<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>', "hermes", False),
        ('<tool_call>\n{"name": "f", "arguments": {x y}}\n</tool_call>', "hermes", False),
        ("답입니다.", "hermes", False),
        ("<think>끝없이", "hermes", True),
        ('{"name": "f", "parameters": {"x": 1', "llama3_json", True),
        ("[f(x=1", "pythonic", True),
        ("<tool_call>\n<function=f>\n<parameter=x>\n1", "qwen3_coder", True),
    ],
)
def test_truncated(text: str, family: str, truncated: bool) -> None:
    assert parse_tool_calls(text, family).truncated is truncated
    assert parse_tool_calls(text, family, truncated=True).truncated


@pytest.mark.parametrize(
    ("text", "attempted"),
    [
        ("", False),
        ("답입니다.", False),
        ("이 모델은 <tool_call> 태그를 사용합니다.", False),
        ("<tool_call>\n\n</tool_call>", True),
        ('<tool_call>\n{"name": 6 m}\n</tool_call>', True),
        ('{"name": "f", "arguments": {"x": 6 m}}', True),
        ('{"answer": 42}', False),
    ],
)
def test_attempted(text: str, attempted: bool) -> None:
    assert parse_tool_calls(text).attempted is attempted


def test_depth_limit_in_every_family() -> None:
    """10,000 levels are no call and no crash (rule 8); 100 levels are an ordinary value."""
    for brackets in ("[" * 10_000, "[" * 10_000 + "]" * 10_000, '{"a":' * 10_000, "[[" * 600 + "]]" * 600):
        for family, opening in {
            "hermes": '<tool_call>\n{"name": "f", "arguments": {"x": ',
            "llama3_json": '{"name": "f", "parameters": {"x": ',
            "mistral_args": '[TOOL_CALLS]f[ARGS]{"x": ',
            "pythonic": "[f(x=",
            "gemma4": "<|tool_call>call:f{x:",
            "qwen3_coder": "<tool_call>\n<function=f>\n<parameter=x>\n",
            "xlam": '[{"name": "f", "arguments": {"x": ',
        }.items():
            parsed = parse_tool_calls(opening + brackets + "}}", family)
            assert parsed.calls == [] and not parsed.json_valid, family
    deep = "[" * 100 + "]" * 100
    text = f'<tool_call>\n{{"name": "f", "arguments": {{"x": {deep}}}}}\n</tool_call>'
    assert parse_tool_calls(text).format_ok
    assert parse_tool_calls(text.replace("]}}", "],}}")).calls == parse_tool_calls(text).calls


TEMPLATES = {
    "hermes": '<tool_call>\\n{"name": <function-name>, "arguments": <args-json-object>}\\n</tool_call> <|im_start|>',
    "qwen3_coder": "<tool_call>\\n<function=f>\\n<parameter=p>\\nvalue\\n</parameter>\\n</function>\\n</tool_call>",
    "glm": "<tool_call>{name}\\n<arg_key>{k}</arg_key>\\n<arg_value>{v}</arg_value>\\n</tool_call>",
    "mistral_array": "'[TOOL_CALLS] ['",
    "mistral_args": "'[TOOL_CALLS]' + name + '[ARGS]' + arguments",
    "llama3_json": '<|start_header_id|>ipython {"name": function name, "parameters": dictionary} <|python_tag|>',
    "granite3": "<|start_of_role|>assistant<|end_of_role|><|tool_call|>",
    "phi4": "<|tool|>{tools}<|/tool|>",
    "deepseek_v3": "'<｜tool▁call▁begin｜>' + type + '<｜tool▁sep｜>' + name + '\\n' + '```json' + '\\n'",
    "deepseek_v31": "'<｜tool▁call▁begin｜>'+ name + '<｜tool▁sep｜>' + arguments",
    "deepseek_v32": '{%- set dsml_token = "｜DSML｜" -%}',
    "kimi_k2": "<|tool_calls_section_begin|><|tool_call_begin|>{{ id }}<|tool_call_argument_begin|>",
    "seed_oss": "{%- set toolcall_begin_token = '<seed:tool_call>' -%} <function=f>\\n<parameter=p>v</parameter>",
    "minimax_m2": "'<minimax:tool_call>' <invoke name=",
    "gemma4": "'<|tool_call>call:' + function['name'] '}<tool_call|>' <|\"|>",
    "functiongemma": "<start_function_call>call:",
    "lfm2": '"<|tool_call_start|>[" + calls + "]<|tool_call_end|>"',
    "harmony": "<|start|>assistant<|channel|>commentary to= <|message|>",
    "nemotron": "<TOOLCALL>[",
    "plamo3": "<|plamo:begin_tool_requests:plamo|>",
    "apertus": "<|tools_prefix|>",
    "cohere": "<|START_ACTION|>",
    "internlm": "<|action_start|><|plugin|>",
    "solar": "<|tool_calls|><|tool_call:begin|>",
    "hyperclovax": "assistant -> tool/function_call\\n",
    "gigachat": "<|function_call|>",
    "functionary_v32": ">>>all\\n",
    "olmo3": "<function_calls>",
    "minicpm5": '<function name="f"><param name="x">',
    "tool_calls_tag": "<tool_calls>[...]</tool_calls>",
    "pythonic": "<|header_start|>assistant<|python_start|>",
}


@pytest.mark.parametrize("family", TEMPLATES)
def test_detect_family(family: str) -> None:
    assert detect_family(TEMPLATES[family]) == family


def test_a_template_without_tools_falls_back_to_hermes() -> None:
    assert detect_family("{% for m in messages %}<|im_start|>{{ m.role }}{% endfor %}") == "hermes"


def test_unknown_family_names_the_near_one() -> None:
    with pytest.raises(InputError) as error:
        parse_tool_calls("x", "hermez")
    assert "hermes" in error.value.fix


def test_every_family_has_a_case() -> None:
    covered = {families()[case["format"]] for case in ALL}
    assert covered == set(families().values())


def test_a_format_with_room_for_one_call_refuses_two() -> None:
    for family in ("llama3_json", "gigachat", "harmony"):
        with pytest.raises(InputError):
            render_calls([ToolCall("f", {}), ToolCall("g", {})], family)
