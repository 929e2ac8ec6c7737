"""Outputs that were made elsewhere, with the right answers beside them: JSON Lines to samples.

A row is `{"id", "output", "gold"}` and may carry `tools` (those that this prompt offered), `truncated` (the generation
stopped without its end token), `meta` (bucket, lang, phenomena, acceptable) and `prompt` (its text, for the check of
ungrounded values). `output` is the raw text, special tokens included; `gold` is a list of calls, as `{"name",
"arguments"}` or as OpenAI's `tool_calls`, and empty where no call is right.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data.formats.schema import tools_of
from data.formats.turns import call_of
from data.validate import offered, schema_errors
from eval.scoring import Sample
from eval.scoring.gold import read_gold, spelled_out
from tooltune.errors import InputError
from tooltune.files import read_jsonl, read_text

_ROW = 'a row is {"id": …, "output": "raw text", "gold": [{"name": …, "arguments": {…}}]}'
_KEYS: dict[str, tuple[Any, str]] = {
    "id": ((str, int), "a name"),
    "output": (str, "text"),
    "gold": (list, "a list of calls"),
    "truncated": (bool, "true or false"),
    "meta": (dict, "an object"),
    "prompt": (str, "text"),
    "tools": (object, "a list"),
}
Tools = list[dict[str, Any]]


def read_outputs(path: Path, tools: Tools | None = None, unread: Counter[str] | None = None) -> list[Sample]:
    """Every row of a file as a sample, in order.

    Args:
        tools: what a row without `tools` of its own offered.
        unread: counts the keys of rows that are not read.

    Raises:
        InputError: with file:line, for the first row that is wrong; the file is empty.
    """
    samples = []
    for number, row in read_jsonl(path):
        samples.append(_sample(row, tools, f"{path}:{number}"))
        if unread is not None:
            unread.update(map(repr, row.keys() - _KEYS.keys()))
    if not samples:
        raise InputError("the file has no rows", where=str(path), fix=_ROW)
    return samples


def gold_faults(samples: Iterable[Sample]) -> list[str]:
    """How right answers, alternatives included, break the schemas of their tools: one line for each such call."""
    found = []
    for sample in samples:
        schemas = offered(sample.tools, where=sample.id)
        for call in read_gold(sample.gold, sample.meta.get("acceptable"), where=sample.id):
            tried = (schema_errors(arguments, schemas[call.name]) for arguments in spelled_out(call))
            if errors := next(filter(None, tried), None):
                found.append(f"row {sample.id}: {call.name}: {'; '.join(errors[:3])}")
    return found


def read_tools(path: Path) -> Tools:
    """The tool schemas of a JSON file: a list, in OpenAI's form or bare.

    Raises:
        InputError: the file is missing, not JSON, or holds something else.
    """
    try:
        value = json.loads(read_text(path))
    except FileNotFoundError:
        raise InputError("no such file", where=str(path), fix="check the path") from None
    except (OSError, ValueError, RecursionError) as e:
        what = f"cannot be read as a file ({e.strerror})" if isinstance(e, OSError) else f"this is not JSON ({e})"
        raise InputError(what, where=str(path), fix="name a file with a JSON list of function schemas") from None
    try:
        tools = _tools(value)
    except InputError as e:
        raise InputError(e.what, where=str(path), fix=e.fix) from None
    if not tools:
        raise InputError("the file has no tools", where=str(path), fix="write a JSON list of function schemas")
    return tools


def _sample(row: Any, common: Tools | None, where: str) -> Sample:
    if not isinstance(row, dict):
        raise InputError("the row is not an object", where=where, fix=_ROW)
    for key, (kinds, named) in _KEYS.items():
        needed = key in ("id", "output", "gold")
        if needed and key not in row:
            raise InputError(f'the row has no "{key}"', where=where, fix=_ROW)
        if not isinstance(row.get(key), kinds) and (needed or row.get(key) is not None):
            raise InputError(f'"{key}" must be {named}', where=where, fix=_ROW)
    try:
        tools = _tools(row["tools"]) if row.get("tools") is not None else common
    except InputError as e:
        raise InputError(e.what, where=where, fix=e.fix) from None
    if tools is None:
        raise InputError(
            "the row does not say which tools were offered", where=where, fix='give it "tools", or --tools'
        )
    gold = [_call(call, where) for call in row["gold"]]
    unknown = {call["name"] for call in gold} - {tool["function"]["name"] for tool in tools}
    if unknown:
        raise InputError(f"gold calls {min(unknown)!r}, which is not among the tools", where=where)
    return Sample(
        id=str(row["id"]),
        gold=gold,
        tools=tools,
        output=row["output"],
        truncated=row.get("truncated") is True,
        meta=row.get("meta") or {},
        prompt=row.get("prompt") or "",
    )


def _tools(value: Any) -> Tools:
    """The tools as schemas. One that gives no `properties` stays without: it declares nothing, and so the scorer knows
    none of its arguments for an invented one."""
    tools = tools_of(value)
    given = value if isinstance(value, list) else [value]
    for tool, raw in zip(tools, given if len(given) == len(tools) else [], strict=False):
        function = raw.get("function", raw) if isinstance(raw, dict) else {}
        parameters = next((function[k] for k in ("parameters", "input_schema", "inputSchema") if k in function), None)
        said = isinstance(raw, str) or isinstance(parameters, str) or "properties" in (parameters or {})
        if not said and not tool["function"]["parameters"].get("properties"):
            tool["function"]["parameters"].pop("properties", None)
    return tools


def _call(call: Any, where: str) -> dict[str, Any]:
    """A gold call, read as one of the training rows is."""
    try:
        function: dict[str, Any] = call_of(call)["function"]
    except InputError as e:
        raise InputError(e.what, where=where, fix=_ROW) from None
    return function
