"""Labels that are well-formed and still teach the wrong thing."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from data.check.finding import EXAMPLES, Finding, Level, Placed, counted, shorten
from data.formats.names import legal
from data.record import Record

SAME_ANSWER = 0.2
"""Share of the rows without a call that may have one and the same answer."""
_MARKS = ("<tool_call", "<functioncall>", "[TOOL_CALLS]", '{"name":', "<|python_tag|>", "<function=", "Action Input:")

Look = Callable[[Record], Iterator[str]]


def label_problems(rows: Iterable[Placed]) -> list[Finding]:
    checks: list[tuple[Level, str, Look]] = [
        ("error", "blank", _blank),
        ("warning", "nulls", _nulls),
        ("warning", "undeclared", _undeclared),
        ("warning", "in_text", _in_text),
        ("warning", "unanswered", _unanswered),
        ("warning", "no_user", _no_user),
        ("warning", "no_tools", _no_tools),
        ("warning", "odd_names", _odd_names),
        ("warning", "lost", _lost),
        ("note", "renamed", _renamed),
    ]
    hits: list[list[str]] = [[] for _ in checks]
    counts, answers = [0] * len(checks), Counter[bytes]()  # of those, and of what is answered without a call
    said: dict[bytes, list[str]] = {}  # how such an answer begins, and its first places
    called = False
    for row in rows:
        for n, (_, _, look) in enumerate(checks):
            if (hit := next(look(row.record), None)) is not None:
                counts[n] += 1
                if len(hits[n]) < EXAMPLES:
                    hits[n].append(f"{row.where}: {hit}")
        called = called or bool(row.record.gold)
        if not row.record.gold:
            text = str(row.record.messages[-1].get("content")).strip()
            key = hashlib.sha256(text.encode()).digest()[:16]
            answers[key] += 1
            if len(kept := said.setdefault(key, [shorten(text)])) <= EXAMPLES:
                kept.append(row.where)
    found = [
        counted("error" if look is _in_text and not called else level, kind, count, places)
        for (level, kind, look), count, places in zip(checks, counts, hits, strict=True)
        if count
    ]
    for key, count in answers.most_common(3):
        if count >= 5 and count > SAME_ANSWER * answers.total():
            text, *places = said[key]
            found.append(counted("warning", "one_answer", count, places, share=count / answers.total(), text=text))
    return found


def _blank(record: Record) -> Iterator[str]:
    for i, m in enumerate(record.messages):
        if m["role"] == "assistant" and not m.get("tool_calls") and not str(m.get("content")).strip():
            yield f"messages[{i}]"


def _nulls(record: Record) -> Iterator[str]:
    for call in _calls(record):
        if _has_null(call["arguments"]):
            yield f"{call['name']} {shorten(str(call['arguments']))}"


def _undeclared(record: Record) -> Iterator[str]:
    known = {tool["function"]["name"]: (tool["function"].get("parameters") or {}) for tool in record.tools}
    for call in _calls(record):
        schema = known[call["name"]]
        free = schema.keys() & {"anyOf", "oneOf", "allOf", "$ref", "patternProperties"} or schema.get(
            "additionalProperties"
        )
        if "properties" in schema and not free and (more := call["arguments"].keys() - schema["properties"]):
            yield f"{call['name']} {', '.join(map(repr, sorted(more)))}"


def _has_null(value: Any) -> bool:
    if isinstance(value, (dict, list)):
        return any(_has_null(v) for v in (value.values() if isinstance(value, dict) else value))
    return value is None


def _in_text(record: Record) -> Iterator[str]:
    marks = (*_MARKS, *(f"{tool['function']['name']}(" for tool in record.tools))
    for m in record.messages:
        if m["role"] == "assistant" and any(mark in (m.get("content") or "") for mark in marks):
            yield shorten(m["content"])


def _unanswered(record: Record) -> Iterator[str]:
    for i, m in enumerate(record.messages[:-1]):
        calls = m.get("tool_calls") or []
        results = 0
        for later in record.messages[i + 1 :]:
            if later["role"] != "tool":
                break
            results += 1
        if results < len(calls):
            yield f"messages[{i}]: tool_calls {len(calls)}, tool {results}"


def _no_user(record: Record) -> Iterator[str]:
    if all(m["role"] != "user" for m in record.messages):
        yield record.id


def _no_tools(record: Record) -> Iterator[str]:
    if not record.tools:
        yield record.id


def _odd_names(record: Record) -> Iterator[str]:
    names = (tool["function"]["name"] for tool in record.tools)
    yield from (repr(name) for name in names if legal(name) != name)


def _lost(record: Record) -> Iterator[str]:
    for m in record.messages:
        if "\ufffd" in (m.get("content") or ""):
            yield shorten(m["content"])


def _renamed(record: Record) -> Iterator[str]:
    if "source" in record.meta and (renamed := record.meta.get("renamed")):
        yield ", ".join(f"{own['name']!r} → {new!r}" for new, own in list(renamed.items())[:2])


def _calls(record: Record) -> Iterator[dict[str, Any]]:
    for m in record.messages:
        for call in m.get("tool_calls") or []:
            yield call["function"]
