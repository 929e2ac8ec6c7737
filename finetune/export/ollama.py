"""A run for Ollama: a Modelfile beside the GGUF, and what Ollama makes of a request before the chat template sees it.

Ollama 0.30 and newer asks llama.cpp, which follows the GGUF's own chat template; the Modelfile therefore has no
TEMPLATE. One in Ollama's language would take its place, and could not write what was trained: it is handed a tool's
properties in the order of the alphabet (`template/template.go`: templateProperties is a Go map).

What Ollama does change is the schemas: it reads them into structs (`api/types.go`) that have a place for some keywords
only, and drops the others. `as_ollama` does the same, so that the proof is of what llama.cpp is given there.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.record import Record
from tooltune.errors import InputError
from tooltune.licence import licence_files

REQUIRES = "0.30.0"
_PROPERTY = ("anyOf", "type", "items", "description", "enum", "properties", "required")


def modelfile(gguf: Path, *, context: int, end: str) -> str:
    """The Modelfile for a GGUF that stands beside it, with the licence files of its folder.

    Args:
        context: tokens of a prompt and its answer.
        end: the token that ends an answer.
    """
    settings = {"num_ctx": context, "temperature": 0, "repeat_penalty": 1, "stop": f'"{end}"'}
    licences = [path.read_text(encoding="utf-8").replace('"""', "'''") for path in licence_files(gguf.parent)]
    return "\n".join(
        [
            f"# Ollama {REQUIRES} or newer: it follows the chat template in the GGUF; a TEMPLATE would replace it.",
            f"FROM ./{gguf.name}",
            f"REQUIRES {REQUIRES}",
            *(f"PARAMETER {name} {value}" for name, value in settings.items()),
            *(f'LICENSE """{text}"""' for text in licences),
            "",
        ]
    )


def as_ollama(record: Record) -> Record:
    """A record as Ollama hands it to llama.cpp: tools without the keywords that it drops, the keys of objects inside
    arguments sorted.

    Raises:
        InputError: Ollama refuses the schema of a tool.
    """
    messages = [
        turn | {"tool_calls": [_call(call) for call in turn["tool_calls"]]} if turn.get("tool_calls") else turn
        for turn in record.messages
    ]
    return replace(record, messages=messages, tools=[_tool(tool, record.id) for tool in record.tools])


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = {name: _sorted(value) for name, value in function["arguments"].items()}
    return call | {"function": function | {"arguments": arguments}}


def _tool(tool: dict[str, Any], row: str) -> dict[str, Any]:
    function = tool["function"]
    where = f"row {row}, tool {function['name']}"
    schema = _readable(function.get("parameters") or {}, {"type": str}, where)
    parameters: dict[str, Any] = {"type": schema.get("type") or ""}
    parameters |= {key: _sorted(schema[key]) for key in ("$defs", "items") if schema.get(key) is not None}
    if schema.get("required"):
        parameters["required"] = schema["required"]
    parameters["properties"] = _properties(schema, where)
    described = {"description": function["description"]} if function.get("description") else {}
    return {"type": tool["type"], "function": {"name": function["name"], **described, "parameters": parameters}}


def _properties(schema: dict[str, Any], where: str) -> dict[str, Any] | None:
    if schema.get("properties") is None:
        return None
    return {name: _property(value, f"{where}, {name}") for name, value in schema["properties"].items()}


def _property(schema: Any, where: str) -> dict[str, Any]:
    schema = _readable(schema, {"type": (str, list), "enum": list, "anyOf": list, "description": str}, where)
    kept = {key: schema[key] for key in _PROPERTY if schema.get(key)}
    if "anyOf" in kept:
        kept["anyOf"] = [_property(option, f"{where}, anyOf") for option in kept["anyOf"]]
    if schema.get("items") is not None:
        kept["items"] = _sorted(schema["items"])
    if schema.get("properties") is not None:
        kept["properties"] = _properties(schema, where)
    if isinstance(kept.get("type"), list) and len(kept["type"]) == 1:
        kept["type"] = kept["type"][0]
    return kept


def _readable(schema: Any, kinds: dict[str, type | tuple[type, ...]], where: str) -> dict[str, Any]:
    """The schema, where its keywords have the types that Ollama's structs have."""
    kinds = kinds | {"properties": dict, "required": list}
    if not isinstance(schema, dict):
        what = f"{json.dumps(schema)[:60]} is no object"
    elif wrong := [k for k, kind in kinds.items() if schema.get(k) is not None and not isinstance(schema[k], kind)]:
        what = f"{wrong[0]} is {json.dumps(schema[wrong[0]])[:60]}"
    else:
        return schema
    raise InputError(f"Ollama refuses this schema: {what}", where=where, fix="export --to gguf or --to vllm")


def _sorted(value: Any) -> Any:
    """A JSON value as Go writes what it has no struct for: the keys of objects in the order of their bytes."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(inner) for inner in value] if isinstance(value, list) else value
