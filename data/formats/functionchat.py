"""FunctionChat-Bench (Korean), its three files.

- Singlecall: a tool with several requests and several tool lists. One record for each request with each list; the
  list's kind (exact, 4_random, …) is the bucket.
- Dialog: one record for each turn that the benchmark asks for, with the turns before it.
- CallDecision: one record a row.

`acceptable_arguments` becomes `meta.acceptable` where it lists values; a sentence about the values is kept as
`meta.acceptable_rule`, for nothing here can apply it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from data.formats.companion_files import Beside
from data.formats.literals import decode
from data.formats.schema import tools_of
from data.formats.turns import call_of, read_turns
from data.words import fault, phrase

NAME = "FunctionChat-Bench"


def matches(row: dict[str, Any]) -> bool:
    return (
        {"query", "ground_truth", "tools"} <= row.keys()
        or {"dialog_num", "turns"} <= row.keys()
        or {"input_messages", "ground_truth"} <= row.keys()
    )


def read(row: dict[str, Any], beside: Beside) -> Iterable[dict[str, Any]]:
    if "input_messages" in row:
        return [_record(row["input_messages"], row["ground_truth"], row.get("input_tools"), row)]
    if "turns" in row:
        return [_record(t.get("query"), t.get("ground_truth"), row.get("tools"), t) for t in _objects(row, "turns")]
    return _single(row)


def _single(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    answers = {str(item.get("serial_num")): item.get("content") for item in _objects(row, "ground_truth")}
    accepted = {str(item.get("serial_num")): item.get("content") for item in _objects(row, "acceptable_arguments")}
    for query in _objects(row, "query"):
        number = str(query.get("serial_num"))
        if number not in answers:
            raise fault("query.truth", number=number)
        for tools in _objects(row, "tools"):
            kind = str(tools.get("type"))
            about = {"id": f"{number}-{kind}", "bucket": kind, "acceptable_arguments": accepted.get(number)}
            turns = [{"role": "user", "content": query.get("content")}]
            yield _record(turns, answers[number], tools.get("content"), about)


def _record(query: Any, truth: Any, tools: Any, about: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(query, list):
        raise fault("query.list")
    answer = decode(truth, phrase("value.truth")) if isinstance(truth, str) else truth
    if isinstance(answer, dict) and "name" in answer and "role" not in answer:
        answer = {"role": "assistant", "tool_calls": [call_of(answer)]}
    if not isinstance(answer, dict):
        raise fault("truth.kind")
    messages = read_turns([*query, answer | {"role": "assistant"}])  # two answers in the benchmark say "user"
    meta = _acceptable(about.get("acceptable_arguments"), messages[-1])
    bucket = about.get("bucket") or about.get("type_of_output")
    made = {"messages": messages, "tools": tools_of(tools), "meta": meta | ({"bucket": bucket} if bucket else {})}
    number = about.get("id", about.get("serial_num"))
    return made | ({"id": number} if number is not None else {})


def _acceptable(value: Any, answer: dict[str, Any]) -> dict[str, Any]:
    calls = [call["function"] for call in answer.get("tool_calls", [])]
    if isinstance(value, str) and value.strip().startswith("{"):
        value = decode(value, "acceptable_arguments")
    if not isinstance(value, dict) or len(calls) != 1:
        return {"acceptable_rule": value} if value and isinstance(value, str) else {}
    table: dict[str, Any] = {}
    rules: dict[str, str] = {}
    for key, listed in value.items():
        if isinstance(listed, str) and " " in listed and listed.endswith(("allowed.", ".")):
            rules[key] = listed
        else:
            given = calls[0]["arguments"].get(key)
            more = [v for v in (listed if isinstance(listed, list) else [listed]) if v != given]
            table |= {key: more} if more else {}
    return ({"acceptable": {calls[0]["name"]: table}} if table else {}) | ({"acceptable_rule": rules} if rules else {})


def _objects(row: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise fault("objects.list", key=key)
    return value
