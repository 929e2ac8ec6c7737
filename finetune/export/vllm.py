"""A run for vLLM: its tool-call parser, the command that serves the merged folder, and the tools as vLLM hands them to
the chat template."""

from dataclasses import replace
from pathlib import Path

from data.record import Record
from eval.formats import families
from finetune.export.merged import TEMPLATE
from tooltune.errors import InputError
from tooltune.files import quoted

PARSERS = {
    "apertus": "apertus",
    "cohere": "cohere_command3",
    "deepseek_v3": "deepseek_v3",
    "deepseek_v31": "deepseek_v31",
    "deepseek_v32": "deepseek_v32",
    "functiongemma": "functiongemma",
    "gemma4": "gemma4",
    "gigachat": "gigachat3",
    "glm": "glm45",
    "granite20b": "granite-20b-fc",
    "granite3": "granite",
    "harmony": "openai",
    "hermes": "hermes",
    "internlm": "internlm",
    "kimi_k2": "kimi_k2",
    "lfm2": "lfm2",
    "llama3_json": "llama3_json",
    "minicpm5": "minicpm5",
    "minimax_m2": "minimax_m2",
    "mistral_args": "mistral",
    "mistral_array": "mistral",
    "olmo3": "olmo3",
    "plamo3": "plamo3",
    "pythonic": "pythonic",
    "qwen3_coder": "qwen3_xml",
    "seed_oss": "seed_oss",
    "tool_calls_tag": "jamba",
    "xlam": "xlam",
}
"""Of each family of tool calls, by its first name, the name that `--tool-call-parser` has for it
(vllm/tool_parsers/__init__.py of 0.33.0). Not phi4_mini_json, which reads `functools[` alone."""


def tool_parser(family: str) -> str:
    """vLLM's parser for a family of tool calls.

    Raises:
        InputError: it has none.
    """
    name = families()[family].names[0]
    if name not in PARSERS:
        raise InputError(
            f"vLLM has no parser for tool calls of the family {name!r}",
            where="--to vllm",
            fix="export --to merged and parse the text with eval.parse_tool_calls; "
            "or train with data.template=project, whose calls vLLM reads as hermes",
        )
    return PARSERS[name]


def command(folder: Path, parser: str) -> str:
    return (
        f"vllm serve {quoted(folder)} --enable-auto-tool-choice --tool-call-parser {parser} "
        f"--chat-template {quoted(folder / TEMPLATE)}"
    )


def as_vllm(record: Record) -> Record:
    """A record as vLLM hands it to the chat template: each tool a model of pydantic, with name, description and
    parameters in this order whether or not they were sent (FunctionDefinition, vllm/entrypoints/openai)."""
    tools = []
    for tool in record.tools:
        function = {key: tool["function"].get(key) for key in ("name", "description", "parameters")} | tool["function"]
        tools.append({"type": "function", "function": function} | {k: v for k, v in tool.items() if k != "function"})
    return replace(record, tools=tools)
