"""Checks of one row: its shape, and every tool call against the tools that the row offers."""

import unicodedata
from collections.abc import Callable
from typing import Any

from tooltune.errors import InputError

ROLES = ("system", "user", "assistant", "tool")
_CONVERT = "`python -m data convert FILE --to records` reads it"
_WEIGHTS = ("trainable", "train", "training", "loss", "weight", "loss_weight", "loss_scale", "mask")
_THOUGHTS = ("reasoning", "thinking", "thought")
_ELSEWHERE = {
    "system": "a record's system text is its first turn",
    "functions": "a record's tools stand in `tools`",
    "function_call": "a record has `tool_calls`",
    **dict.fromkeys(_WEIGHTS, 'a record has "trained": false'),
    **dict.fromkeys(_THOUGHTS, "a record has `reasoning_content`"),
}
"""Keys of other formats, and what a record has for them: left alone, they would be lost."""


def check_row(row: Any, where: str) -> None:
    """Raise InputError for the first fault of a parsed JSON row; `where` is file:line."""
    _expect(isinstance(row, dict), f"a row must be a JSON object, not {_kind(row)}", where)
    for key in ("id", "messages"):
        _expect(key in row, f'the row has no "{key}"', where, "a record is {id, messages, tools, meta}")
    for key, kinds in (
        ("id", (str, int)),
        ("messages", list),
        ("tools", (list, type(None))),
        ("meta", (dict, type(None))),
    ):
        _expect(isinstance(row.get(key), kinds), f'"{key}" must not be {_kind(row.get(key))}', where)
    _expect(row["id"] != "" and not isinstance(row["id"], bool), f'"id" must not be {row["id"]!r}', where)
    _known(row, ("system", "functions"), where)
    _check_meta(row.get("meta") or {}, where)
    schemas = offered(row.get("tools") or [], where)
    messages = row["messages"]
    for i, message in enumerate(messages):
        _check_message(message, f"{where} messages[{i}]", schemas)
    _expect(
        any(m["role"] == "assistant" for m in messages),
        "the row has no assistant turn, so there is nothing to learn from it",
        where,
        "add the turn with the tool call (or the text answer) as the last message",
    )
    _expect(messages[-1]["role"] == "assistant", f"the last turn is {messages[-1]['role']!r}, not the answer", where)
    _expect(
        messages[0]["role"] != "assistant",
        "the first turn is the assistant's, which no request comes before",
        where,
        "begin with the user's request, or put a greeting into the system text",
    )
    _expect(
        messages[-1].get("trained", True),
        "the last turn is marked as not to be trained",
        where,
        "end the row with the last answer that is",
    )


def offered(tools: list[Any], where: str = "") -> dict[str, dict[str, Any]]:
    """Map each offered tool's name to its parameter schema; raise InputError when a tool is not an OpenAI function."""
    schemas: dict[str, dict[str, Any]] = {}
    for i, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        good = isinstance(function, dict) and isinstance(function.get("name"), str) and function["name"]
        _expect(
            bool(good),
            f"tools[{i}] is not an OpenAI function schema",
            where,
            'write {"type": "function", "function": {"name": …, "description": …, "parameters": {…}}}',
        )
        assert isinstance(function, dict)
        parameters = function.get("parameters") or {}
        _expect(isinstance(parameters, dict), f"tools[{i}].parameters must be a JSON schema object", where)
        key = "" if "parameters" in function else schema_elsewhere(function, "input_schema", "inputSchema")
        _expect(not key, f"tools[{i}] has no `parameters` but {key!r}", where, _CONVERT)
        said = function.get("description")
        _expect(isinstance(said, (str, type(None))), f"tools[{i}].description must be text, not {_kind(said)}", where)
        _expect(function["name"] not in schemas, f"the tool {function['name']!r} is offered twice", where)
        schemas[function["name"]] = parameters
    return schemas


def schema_elsewhere(function: dict[str, Any], *more: str) -> str:
    """The key under which a tool without `parameters` seems to describe them; empty where none does.

    Left alone, the tool would be offered as one that takes nothing.
    """
    keys = ("properties", "args", "arguments", "args_schema", "schema", "params", "parameter", "input", "inputs", *more)
    return next((key for key in keys if isinstance(function.get(key), (dict, list)) and function[key]), "")


def schema_errors(arguments: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """The ways in which `arguments` break the JSON schema, best first, each as one short sentence.

    A schema that is none, refers to another document, or takes too long (`data.bounded_schema`) is itself the error.
    """
    from data.bounded_schema import TooMuch, faults  # a tenth of a second to import

    try:
        errors = sorted(faults(arguments, schema), key=lambda e: (len(e.path), str(e.path)))
    except TooMuch as e:
        return [f"the schema takes too long to check: {e}"]
    except Exception as e:  # jsonschema raises whatever the broken keyword makes Python raise
        return [f"the schema itself is wrong ({type(e).__name__}: {str(e).splitlines()[0][:80] if str(e) else ''})"]
    return [f"{'.'.join(map(str, e.path)) or 'arguments'}: {e.message}" for e in errors]


def _check_message(message: Any, where: str, schemas: dict[str, dict[str, Any]]) -> None:
    _expect(isinstance(message, dict), f"a message must be an object, not {_kind(message)}", where)
    role = message.get("role")
    _expect(role in ROLES, f"unknown role {role!r}", where, f"use one of {', '.join(ROLES)}")
    _known(message, ("function_call", *_WEIGHTS, *_THOUGHTS), where)
    trained = message.get("trained", True)
    _expect(isinstance(trained, bool), f"trained must be true or false, not {_kind(trained)}", where)
    content, calls = message.get("content"), message.get("tool_calls")
    _expect(content is None or isinstance(content, str), f"content must be text, not {_kind(content)}", where)
    if role != "assistant":
        _expect(content is not None, f"a {role} turn needs content", where)
        _expect(not calls, f"a {role} turn cannot carry tool_calls", where)
        return
    _expect(bool(calls) or bool(content), "an assistant turn needs content or tool_calls", where)
    _expect(calls is None or isinstance(calls, list), "tool_calls must be a list", where)
    for call in calls or []:
        _check_call(call, where, schemas)


def _check_call(call: Any, where: str, schemas: dict[str, dict[str, Any]]) -> None:
    function = call.get("function") if isinstance(call, dict) else None
    _expect(
        isinstance(function, dict) and isinstance(function.get("name"), str),
        "a tool call is not an OpenAI function call",
        where,
        'write {"type": "function", "function": {"name": …, "arguments": {…}}}',
    )
    assert isinstance(function, dict)
    name, arguments = function["name"], function.get("arguments")
    _expect(
        isinstance(arguments, dict),
        f"the arguments of {name!r} must be a JSON object, not {_kind(arguments)}",
        where,
        "`python -m data convert FILE --to records` decodes arguments written as a string",
    )
    alike = name not in schemas and _composed(name) in map(_composed, schemas)
    _expect(
        name in schemas,
        f"the call {name!r} is not among the tools this row offers ({', '.join(sorted(schemas)) or 'none'})"
        + (f": {_FORM}" if alike else ""),
        where,
        "add the tool's schema to the row's tools, or correct the name",
    )
    assert isinstance(arguments, dict)
    errors = schema_errors(arguments, schemas[name])
    alike = bool(errors) and not schema_errors(_composed(arguments), _composed(schemas[name]))
    more = f" ({_FORM})" if alike else ""
    _expect(not errors, f"the arguments of {name!r} do not match its schema{more}: {'; '.join(errors[:3])}", where)


_FORM = "the same letters in another Unicode form, as macOS writes Hangul"


def _composed(value: Any) -> Any:
    """A value with every text in it in NFC."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {_composed(key): _composed(inner) for key, inner in value.items()}
    return [_composed(inner) for inner in value] if isinstance(value, list) else value


def _check_meta(meta: dict[str, Any], where: str) -> None:
    """See that what is read of `meta`, hours later in an evaluation, has the form that is read."""
    forms: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
        ("renamed", _is_renamed, '{new name: {"name": old, "parameters": {new: old}}}'),
        ("acceptable", _is_acceptable, "{tool: {parameter: [right values]}}"),
        ("relevant_tools", _is_names, "a list of names"),
        ("phenomena", _is_names, "a list of names"),
    )
    for key, right, form in forms:
        good = meta.get(key) is None or right(meta[key])
        _expect(good, f"meta.{key} is not {form}", where, "write it so, or call this key otherwise")


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_renamed(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(own, dict)
        and isinstance(own.get("name"), str)
        and isinstance(own.get("parameters"), dict)
        and _is_names(list(own["parameters"].values()))
        for own in value.values()
    )


def _is_acceptable(value: Any) -> bool:
    """The form that `eval.scoring.gold` reads: lists, or `{"any_of": [...], "optional": true}`."""
    return isinstance(value, dict) and all(
        isinstance(table, dict) and all(isinstance(more, list) or _is_marker(more) for more in table.values())
        for table in value.values()
    )


def _is_marker(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"any_of", "optional"}
        and isinstance(value.get("any_of"), list)
        and bool(value["any_of"])
        and isinstance(value.get("optional", False), bool)
    )


def _known(value: dict[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in keys:
        _expect(value.get(key) in (None, "", []), f"{key!r}: {_ELSEWHERE[key]}", where, _CONVERT)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _expect(ok: bool, what: str, where: str, fix: str = "") -> None:
    if not ok:
        raise InputError(what, where=where, fix=fix)
