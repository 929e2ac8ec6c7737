"""BFCL v4: `question` and `function`, with the right calls in `possible_answer/<same name>`.

A possible answer lists values: `{"f": {"arg": [v1, v2, ""]}}`, where `""` says that the argument may be left out. The
record's call has the first value, or leaves the argument out where that is right and the schema does not require it;
the other values become `meta.acceptable`. That table knows tools, not calls: where a row calls a tool twice, a
parameter's alternatives are kept only if they are the same for each call.

Irrelevance rows have no answer beside them: the right answer is any text without a call, and a fixed sentence stands
for it. Multi-turn rows name classes, whose functions stand in `multi_turn_func_doc/`; their conversation ends at the
first turn that no call answers. Tool results are not in the files.
"""

from collections.abc import Iterable
from itertools import islice, product
from typing import Any

from data.formats.bracket import read_calls
from data.formats.companion_files import Beside
from data.formats.schema import tools_of
from data.formats.turns import read_turns
from data.record import tool_call
from data.words import fault

NAME = "BFCL"
NO_CALL = "None of the functions offered can do this."
MAX_VARIANTS = 64
"""Alternatives of one nested value that are listed."""
_DOCS = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}


def matches(row: dict[str, Any]) -> bool:
    """Whether a row is a question with its functions, or an answer that stands alone."""
    asks = "question" in row and row.keys() & {"function", "involved_classes", "ground_truth"}
    return bool(asks) or row.keys() >= {"id", "ground_truth"}


def read(row: dict[str, Any], beside: Beside) -> Iterable[dict[str, Any]]:
    name = beside.file.name
    if "question" not in row:
        raise fault("row.only_answer")
    turns = _turns(row["question"])
    truth = row.get("ground_truth") or _answer(row.get("id"), beside)
    if "involved_classes" in row:
        return [_multi_turn(row, turns, truth, beside)]
    tools = tools_of(row.get("function"))
    messages = read_turns([message for turn in turns for message in turn])
    if truth is None and "irrelevance" in f"{row.get('id')}{name}":
        return [_done(messages, [{"role": "assistant", "content": NO_CALL}], tools, {"bucket": "irrelevance"})]
    if truth is None and "relevance" in f"{row.get('id')}{name}":
        raise fault("row.relevance")
    if truth is None:
        raise fault("truth.none", name=name)
    calls, acceptable = _calls(truth, tools)
    meta = {"acceptable": acceptable} if acceptable else {}
    return [_done(messages, [{"role": "assistant", "tool_calls": calls}], tools, meta)]


def _turns(question: Any) -> list[list[Any]]:
    if isinstance(question, str):
        return [[{"role": "user", "content": question}]]
    if not isinstance(question, list):
        raise fault("question.list")
    return [turn if isinstance(turn, list) else [turn] for turn in question]


def _answer(number: Any, beside: Beside) -> Any:
    name = beside.file.name
    for answer in beside.rows(f"possible_answer/{name}", f"../possible_answer/{name}"):
        if answer.get("id") == number:
            return answer.get("ground_truth")
    return None


def _done(
    before: list[dict[str, Any]], answer: list[dict[str, Any]], tools: list[dict[str, Any]], meta: dict[str, Any]
) -> dict[str, Any]:
    return {"messages": [*before, *answer], "tools": tools, "meta": meta}


def _calls(truth: Any, tools: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    if isinstance(truth, list) and truth and all(isinstance(call, str) for call in truth):
        return [_written(call, tools) for call in truth], {}
    if not isinstance(truth, list) or not truth or not all(isinstance(c, dict) and len(c) == 1 for c in truth):
        raise fault("truth.list")
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    calls, tables = [], []
    for call in truth:
        ((name, listed),) = call.items()
        if not isinstance(listed, dict):
            raise fault("truth.form", name=name)
        arguments, table = _one_call(listed, schemas.get(name, {}))
        calls.append(tool_call(name, arguments))
        tables.append((name, table))
    return calls, _common(tables)


def _one_call(listed: dict[str, Any], schema: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    required = schema.get("required") or []
    arguments: dict[str, Any] = {}
    table: dict[str, Any] = {}
    for key, values in listed.items():
        if not isinstance(values, list):
            raise fault("truth.values", key=key)
        optional, options = "" in values, [v for value in values if value != "" for v in _variants(value)]
        if optional and key not in required:
            table[key] = options
        elif options:
            arguments[key] = options[0]
            table[key] = {"any_of": options[1:] or options, "optional": True} if optional else options[1:]
        elif optional:  # required all the same: then the empty text is meant
            arguments[key] = ""
    return arguments, {key: more for key, more in table.items() if more}


def _variants(value: Any) -> list[Any]:
    """The plain values that a possible value stands for: inside an object, each key lists values again."""
    if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
        keys, found = list(value), []
        for choice in islice(product(*[_inner(value[key]) for key in keys]), MAX_VARIANTS):
            found.append({key: made[0] for key, made in zip(keys, choice, strict=True) if made})
        return found
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        return [list(choice) for choice in islice(product(*[_variants(v) for v in value]), MAX_VARIANTS)]
    return [value]


def _inner(values: list[Any]) -> list[tuple[Any, ...]]:
    """What a key inside an object may be: a tuple of one value each, empty where it may be left out."""
    found = [(v,) for value in values if value != "" for v in _variants(value)]
    return [*([()] if "" in values else []), *found][:MAX_VARIANTS] or [()]


def _common(tables: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    acceptable: dict[str, Any] = {}
    for name in {name for name, _ in tables}:
        mine = [table for other, table in tables if other == name]
        same = {key: more for key, more in mine[0].items() if all(table.get(key) == more for table in mine)}
        acceptable |= {name: same} if same else {}
    return acceptable


def _written(text: str, tools: list[dict[str, Any]]) -> dict[str, Any]:
    """A call that is written as Python, with arguments by place given their names."""
    known = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    ((name, positional, named),) = read_calls(text, known)
    parameters = list(known.get(name, {}).get("properties", {}))
    if len(positional) > len(parameters):
        raise fault("call.too_many", name=name, n=len(positional))
    return tool_call(name, dict(zip(parameters, positional, strict=False)) | named)


def _multi_turn(row: dict[str, Any], turns: list[list[Any]], truth: Any, beside: Beside) -> dict[str, Any]:
    classes = row["involved_classes"]
    if not isinstance(classes, list) or not all(isinstance(c, str) and c in _DOCS for c in classes):
        raise fault("truth.final")
    if not isinstance(truth, list) or not all(isinstance(calls, list) for calls in truth):
        raise fault("truth.none", name=beside.file.name)
    docs = [beside.rows(*(f"{up}multi_turn_func_doc/{_DOCS[c]}.json" for up in ("", "../", "../../"))) for c in classes]
    if not all(docs):
        raise fault("docs.none")
    excluded = set(row.get("excluded_function") or [])
    later = [name for names in (row.get("missed_function") or {}).values() for name in names]
    everything = tools_of([doc for listed in docs for doc in listed if doc.get("name") not in excluded])
    messages: list[dict[str, Any]] = []
    for asked, calls in zip(turns, truth, strict=False):
        messages += read_turns(asked)
        if not calls:
            messages.append({"role": "assistant", "content": NO_CALL})
            break
        made = [_written(call, everything) for call in calls if isinstance(call, str)]
        messages.append({"role": "assistant", "tool_calls": made})
    tools = [tool for tool in everything if tool["function"]["name"] not in later]
    return _done(messages, [], tools, {"bucket": "multi_turn", "tool_results": "missing"})
