"""Checks of one row: its shape, and every tool call against the tools that the row offers."""

from typing import Any

from data.errors import InputError

ROLES = ("system", "user", "assistant", "tool")


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
        _expect(function["name"] not in schemas, f"the tool {function['name']!r} is offered twice", where)
        schemas[function["name"]] = parameters
    return schemas


def schema_errors(arguments: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Every way in which `arguments` break the JSON schema, best first, each as one short sentence.

    A schema that is none, or refers to another document, is itself the error: nothing is fetched from anywhere.
    """
    from jsonschema import Draft202012Validator
    from referencing import Registry

    try:
        found = Draft202012Validator(schema, registry=Registry()).iter_errors(arguments)
        errors = sorted(found, key=lambda e: (len(e.path), str(e.path)))
    except Exception as e:  # jsonschema raises whatever the broken keyword makes Python raise
        return [f"the schema itself is wrong ({type(e).__name__}: {str(e).splitlines()[0][:80] if str(e) else ''})"]
    return [f"{'.'.join(map(str, e.path)) or 'arguments'}: {e.message}" for e in errors]


def _check_message(message: Any, where: str, schemas: dict[str, dict[str, Any]]) -> None:
    _expect(isinstance(message, dict), f"a message must be an object, not {_kind(message)}", where)
    role = message.get("role")
    _expect(role in ROLES, f"unknown role {role!r}", where, f"use one of {', '.join(ROLES)}")
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
    _expect(
        name in schemas,
        f"the call {name!r} is not among the tools this row offers ({', '.join(sorted(schemas)) or 'none'})",
        where,
        "add the tool's schema to the row's tools, or correct the name",
    )
    assert isinstance(arguments, dict)
    errors = schema_errors(arguments, schemas[name])
    _expect(not errors, f"the arguments of {name!r} do not match its schema: {'; '.join(errors[:3])}", where)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _expect(ok: bool, what: str, where: str, fix: str = "") -> None:
    if not ok:
        raise InputError(what, where=where, fix=fix)
