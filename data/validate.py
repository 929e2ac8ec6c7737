"""Checks of one row: its shape, and every tool call against the tools that the row offers."""

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from data.formats.marks import is_mark
from data.words import fault, has_words, phrase
from tooltune.words import Phrase, joined

ROLES = ("system", "user", "assistant", "tool")
_THOUGHTS = ("reasoning", "thinking", "thought")
_ELSEWHERE = {
    **{key: key for key in ("system", "functions", "function_call")},
    **dict.fromkeys(_THOUGHTS, "thought"),
}
"""Keys of other formats, and what a record has for them: left alone, they would be lost."""


def check_row(row: Any, where: str) -> None:
    """Raise InputError for the first fault of a parsed JSON row; `where` is file:line."""
    _expect(isinstance(row, dict), where, "row.kind", kind=row)
    for key in ("id", "messages"):
        _expect(key in row, where, "row.lacks", key=key)
    for key, kinds in (
        ("id", (str, int)),
        ("messages", list),
        ("tools", (list, type(None))),
        ("meta", (dict, type(None))),
    ):
        _expect(isinstance(row.get(key), kinds), where, "row.value", key=key, kind=row.get(key))
    if row["id"] == "" or isinstance(row["id"], bool):
        raise fault("row.value", where, key="id", kind=repr(row["id"]))
    _known(row, ("system", "functions"), where)
    _check_meta(row.get("meta") or {}, where)
    schemas = offered(row.get("tools") or [], where)
    messages = row["messages"]
    for i, message in enumerate(messages):
        _check_message(message, f"{where} messages[{i}]", schemas)
    _expect(any(m["role"] == "assistant" for m in messages), where, "row.unanswered")
    _expect(messages[-1]["role"] == "assistant", where, "row.last", role=messages[-1]["role"])
    _expect(messages[0]["role"] != "assistant", where, "row.first")
    _expect(messages[-1].get("trained", True), where, "row.last_masked")


def offered(tools: list[Any], where: str = "") -> dict[str, dict[str, Any]]:
    """Map each offered tool's name to its parameter schema; raise InputError when a tool is not an OpenAI function."""
    schemas: dict[str, dict[str, Any]] = {}
    for i, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not (isinstance(function, dict) and isinstance(function.get("name"), str) and function["name"]):
            raise fault("tool.form", where, i=i)
        parameters = function.get("parameters") or {}
        _expect(isinstance(parameters, dict) and _has_properties(parameters), where, "tool.schema", i=i)
        key = "" if "parameters" in function else schema_elsewhere(function, "input_schema", "inputSchema")
        _expect(not key, where, "tool.elsewhere", i=i, key=key)
        said = function.get("description")
        _expect(isinstance(said, (str, type(None))), where, "tool.description", i=i, kind=said)
        _expect(function["name"] not in schemas, where, "tool.twice", name=function["name"])
        schemas[function["name"]] = parameters
    return schemas


def _has_properties(schema: Any) -> bool:
    """Whether a schema's properties are an object, and theirs: a template goes through them."""
    inner = (schema.get("properties") or {}) if isinstance(schema, dict) else {}
    return isinstance(inner, dict) and all(map(_has_properties, inner.values()))


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
    return list(map(str, schema_faults(arguments, schema)))


def schema_faults(arguments: dict[str, Any], schema: dict[str, Any]) -> list[Phrase]:
    """The same in both languages."""
    from data.bounded_schema import TooMuch, faults  # a tenth of a second to import

    try:
        errors = sorted(faults(arguments, schema), key=lambda e: (len(e.path), str(e.path)))
    except TooMuch as e:
        return [phrase("schema.long", why=e)]
    except Exception as e:  # jsonschema raises whatever the broken keyword makes Python raise
        said = str(e).splitlines()[0][:80] if str(e) else ""
        return [phrase("schema.wrong", why=f"{type(e).__name__}: {said}")]
    return [_schema_fault(e) for e in errors]


def _schema_fault(error: Any) -> Phrase:
    """In English as jsonschema says it; in Korean too where there are words for the keyword."""
    place, key = ".".join(map(str, error.path)) or "arguments", f"schema.{error.validator}"
    if not has_words(key):
        return phrase("schema.fault", place=place, said=error.message)
    named = re.search(r"^'.*'(?= is a required)|(?<=\().*(?= w(as|ere) )", error.message)
    values = {"instance": _short(error.instance), "value": _short(error.validator_value)}
    said = phrase(key, message=error.message, named=named[0] if named else "", **values)
    return phrase("schema.fault", place=place, said=said)


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _check_message(message: Any, where: str, schemas: dict[str, dict[str, Any]]) -> None:
    _expect(isinstance(message, dict), where, "message.object", kind=message)
    role = message.get("role")
    _expect(role in ROLES, where, "role.unknown", role=repr(role), roles=", ".join(ROLES))
    marks = (key for key in message if key != "trained" and is_mark(key))
    _known(message, ("function_call", *_THOUGHTS, *marks), where)
    trained = message.get("trained", True)
    _expect(isinstance(trained, bool), where, "message.trained", kind=trained)
    content, calls = message.get("content"), message.get("tool_calls")
    _expect(content is None or isinstance(content, str), where, "message.content", kind=content)
    if role != "assistant":
        _expect(content is not None, where, "message.blank", role=role)
        _expect(not calls, where, "message.calls", role=role)
        return
    _expect(bool(calls) or bool(content), where, "answer.blank")
    _expect(calls is None or isinstance(calls, list), where, "calls.list")
    for call in calls or []:
        _check_call(call, where, schemas)


def _check_call(call: Any, where: str, schemas: dict[str, dict[str, Any]]) -> None:
    function = call.get("function") if isinstance(call, dict) else None
    if not (isinstance(function, dict) and isinstance(function.get("name"), str)):
        raise fault("call.form", where)
    name, arguments = function["name"], function.get("arguments")
    if not isinstance(arguments, dict):
        raise fault("call.text", where, name=name, kind=_kind(arguments))
    if name not in schemas:
        more = phrase("behind", said=phrase("unicode_form")) if _composed(name) in map(_composed, schemas) else ""
        tools = ", ".join(sorted(schemas)) or phrase("no_tools")
        raise fault("call.not_offered", where, name=name, tools=tools, more=more)
    if errors := schema_faults(arguments, schemas[name]):
        alike = not schema_errors(_composed(arguments), _composed(schemas[name]))
        more = phrase("aside", said=phrase("unicode_form")) if alike else ""
        raise fault("call.schema", where, name=name, more=more, errors=joined(errors[:3]))


def _composed(value: Any) -> Any:
    """A value with every text in it in NFC."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {_composed(key): _composed(inner) for key, inner in value.items()}
    return [_composed(inner) for inner in value] if isinstance(value, list) else value


def _check_meta(meta: dict[str, Any], where: str) -> None:
    """See that what is read of `meta`, hours later in an evaluation, has the form that is read."""
    forms: tuple[tuple[str, Callable[[Any], bool], Phrase | str], ...] = (
        ("renamed", _is_renamed, '{new name: {"name": old, "parameters": {new: old}}}'),
        ("acceptable", _is_acceptable, "{tool: {parameter: [right values]}}"),
        ("relevant_tools", _is_names, phrase("meta.names")),
        ("phenomena", _is_names, phrase("meta.names")),
    )
    for key, right, form in forms:
        good = meta.get(key) is None or right(meta[key])
        _expect(good, where, "meta.form", key=key, form=form)


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
        if value.get(key) not in (None, "", []):
            raise fault("key.elsewhere", where, key=key, instead=phrase(f"instead.{_ELSEWHERE.get(key, 'weight')}"))


def _kind(value: Any) -> Phrase:
    kinds = {dict: "object", list: "list", str: "text", bool: "boolean", type(None): "null"}
    return phrase(f"kind.{kinds.get(type(value), 'number')}")


def _expect(ok: bool, where: str, key: str, /, **values: Any) -> None:
    """Raise the fault of this key; of a value `kind` it says what kind of value it is."""
    if not ok:
        if "kind" in values:
            values["kind"] = _kind(values["kind"])
        raise fault(key, where, **values)
