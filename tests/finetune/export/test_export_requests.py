"""What Ollama and vLLM make of a request before the chat template sees it, and the files that they are given."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.record import Record, tool_call
from data.template import signature
from finetune.export.ollama import as_ollama, modelfile
from finetune.export.vllm import as_vllm, command, tool_parser
from tooltune.errors import InputError

DEEP = {"type": "object", "properties": {"z": {"type": "integer"}, "a": {"type": "string"}}, "required": ["z"]}
SCHEMA = {
    "type": "object",
    "properties": {
        "value": {"type": ["number"], "minimum": 0, "default": 1, "description": "kN"},
        "axis": {"enum": ["Y", "X"], "type": "string"},
        "deep": DEEP,
        "list": {"type": "array", "items": DEEP, "minItems": 1},
    },
    "required": ["value"],
    "additionalProperties": False,
}


def record(schema: Any, arguments: dict[str, Any] | None = None) -> Record:
    tool = {"type": "function", "strict": True, "function": {"name": "load", "parameters": schema, "description": ""}}
    calls = {"role": "assistant", "content": "", "tool_calls": [tool_call("load", arguments or {})]}
    return Record("r1", [{"role": "user", "content": "x"}, calls, {"role": "user", "content": "y"}, calls], [tool])


def parameters(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = record.tools[0]["function"]["parameters"]
    return found


def test_ollama_keeps_the_keywords_of_its_structs() -> None:
    """The order of properties stays; what no struct describes (items) comes back sorted, as Go writes maps."""
    kept = as_ollama(record(SCHEMA))
    assert kept.tools[0].keys() == {"type", "function"} and kept.tools[0]["function"].keys() == {"name", "parameters"}
    assert json.dumps(parameters(kept)) == json.dumps(
        {
            "type": "object",
            "required": ["value"],
            "properties": {
                "value": {"type": "number", "description": "kN"},
                "axis": {"type": "string", "enum": ["Y", "X"]},
                "deep": {"type": "object", "properties": DEEP["properties"], "required": ["z"]},
                "list": {
                    "type": "array",
                    "items": {
                        "properties": {"a": {"type": "string"}, "z": {"type": "integer"}},
                        "required": ["z"],
                        "type": "object",
                    },
                },
            },
        }
    )


def test_ollama_sorts_objects_inside_arguments() -> None:
    kept = as_ollama(record(SCHEMA, {"b": {"y": 1, "x": [{"d": 1, "c": 2}]}, "a": 1}))
    written = json.dumps(kept.messages[1]["tool_calls"][0]["function"]["arguments"])
    assert written == '{"b": {"x": [{"c": 2, "d": 1}], "y": 1}, "a": 1}'


@pytest.mark.parametrize(
    ("value", "same"),
    [
        ({"enum": ["x", 2], "type": "string"}, True),
        (DEEP | {"additionalProperties": False}, True),
        (DEEP | {"additionalProperties": {"type": "number"}}, False),
        ({"type": "object", "additionalProperties": {"type": "number"}}, False),
        ({"const": 3}, False),
        ({"$ref": "#/$defs/a"}, False),
        ({"oneOf": [{"type": "number"}, {"type": "string"}]}, False),
    ],
    ids=["plain", "closed object", "open object", "map", "const", "reference", "oneOf"],
)
def test_the_proof_sees_what_ollama_drops(value: dict[str, Any], same: bool) -> None:
    properties = {"value": value, "a": {"type": "integer"}}
    asked = record({"type": "object", "properties": properties, "$defs": {"a": {"type": "number"}}})
    written = [signature(row.tools[0]["function"]) for row in (asked, as_ollama(asked))]
    assert (written[0] == written[1]) == same


@pytest.mark.parametrize(
    "schema",
    [
        {"type": ["object"], "properties": {}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"type": "string", "required": True}}},
        {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"enum": "x"}}}}},
        {"type": "object", "properties": []},
    ],
    ids=str,
)
def test_what_ollama_refuses_is_said(schema: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="Ollama refuses this schema"):
        as_ollama(record(schema))


def test_the_modelfile_has_no_template_and_brings_the_licence(tmp_path: Path) -> None:
    """A TEMPLATE would take the place of the GGUF's own, which is the proven one."""
    (tmp_path / "NOTICE").write_text('Terms """here"""', encoding="utf-8")
    (tmp_path / "model-q8_0.gguf").touch()
    lines = modelfile(tmp_path / "model-q8_0.gguf", context=2048, end="<end_of_turn>").splitlines()
    assert "FROM ./model-q8_0.gguf" in lines and "REQUIRES 0.30.0" in lines
    assert 'PARAMETER stop "<end_of_turn>"' in lines and "PARAMETER num_ctx 2048" in lines
    assert not any(line.startswith("TEMPLATE") for line in lines)
    assert "LICENSE \"\"\"Terms '''here'''\"\"\"" in lines


def test_vllm_writes_a_tool_in_its_own_order() -> None:
    tool = as_vllm(record(SCHEMA)).tools[0]
    assert list(tool) == ["type", "function", "strict"]
    assert list(tool["function"]) == ["name", "description", "parameters"]
    bare = Record("r", [], [{"function": {"name": "f"}, "type": "function"}])
    assert as_vllm(bare).tools == [
        {"type": "function", "function": {"name": "f", "description": None, "parameters": None}}
    ]


def test_vllm_has_a_parser_for_the_family_or_says_so(tmp_path: Path) -> None:
    assert [tool_parser(name) for name in ("hermes", "qwen3", "mistral", "plamo")] == [
        *("hermes", "hermes", "mistral", "plamo3")
    ]
    for name in ("phi4", "solar"):
        with pytest.raises(InputError, match=f"no parser for tool calls of the family '{name}'"):
            tool_parser(name)
    said = command(tmp_path / "a b", "hermes")
    assert "--tool-call-parser hermes" in said and f"--chat-template '{tmp_path}/a b/chat_template.jinja'" in said
