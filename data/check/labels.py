"""Labels that are well-formed and still teach the wrong thing."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from data.check.finding import Finding, Level, Placed, finding, shorten
from data.record import Record

SAME_ANSWER = 0.2
"""Share of the rows without a call that may have one and the same answer."""
_MARKS = ("<tool_call", "<functioncall>", "[TOOL_CALLS]", '{"name":', "<|python_tag|>", "<function=", "Action Input:")

Look = Callable[[Record], Iterator[str]]


def label_problems(rows: Sequence[Placed]) -> list[Finding]:
    """Every kind of label problem that occurs."""
    checks: list[tuple[Level, str, Look, str]] = [
        ("error", "an answer of spaces only", _blank, "write the answer, or leave the turn out"),
        ("warning", "an argument is null", _nulls, "leave out what is not given (Arrow fills absent keys with null)"),
        ("warning", "a call is written in the text", _in_text, "put it into tool_calls, and its tool into tools"),
        (
            "warning",
            "a call without a result before the next turn",
            _unanswered,
            "add the tool turn, or end the row",
        ),
        ("warning", "a result without a call before it", _uncalled, "add the assistant turn that makes the call"),
        ("warning", "no turn of the user", _no_user, "add the request that the answer answers"),
        (
            "warning",
            "no tools are offered",
            _no_tools,
            "offer the tools of the user, also where none is called",
        ),
        (
            "warning",
            "characters that were lost (�)",
            _lost,
            "read the source again as CP949 / EUC-KR",
        ),
        (
            "note",
            "tool names that not every syntax can carry",
            _renamed,
            "they were renamed; meta.renamed maps back",
        ),
    ]
    hits: list[list[str]] = [[] for _ in checks]
    said: dict[str, list[str]] = {}  # places by what is answered without a call
    called = False
    for row in rows:
        for places, (_, _, look, _) in zip(hits, checks, strict=True):
            if (hit := next(look(row.record), None)) is not None:
                places.append(f"{row.where}: {hit}")
        called = called or bool(row.record.gold)
        if not row.record.gold:
            said.setdefault(str(row.record.messages[-1].get("content")).strip(), []).append(row.where)
    kinds = zip(checks, hits, strict=True)
    found = [
        one
        for (level, what, look, fix), places in kinds
        for one in finding("error" if look is _in_text and not called else level, what, places, fix)
    ]
    return [*found, *_same_answers(said)]


def _same_answers(said: dict[str, list[str]]) -> list[Finding]:
    without = sum(map(len, said.values()))
    found = []
    for text, places in sorted(said.items(), key=lambda item: -len(item[1]))[:3]:
        if len(places) >= 5 and len(places) > SAME_ANSWER * without:
            what = f"{len(places) / without:.0%} of the rows without a call have one answer: {shorten(text)}"
            found += finding("warning", what, places, "vary the wording, or the model learns one sentence")
    return found


def _blank(record: Record) -> Iterator[str]:
    for i, m in enumerate(record.messages):
        if m["role"] == "assistant" and not m.get("tool_calls") and not str(m.get("content")).strip():
            yield f"messages[{i}]"


def _nulls(record: Record) -> Iterator[str]:
    for call in _calls(record):
        if _has_null(call["arguments"]):
            yield f"{call['name']} {shorten(str(call['arguments']))}"


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
            yield f"messages[{i}] makes {len(calls)} calls and {results} results follow"


def _uncalled(record: Record) -> Iterator[str]:
    for i, m in enumerate(record.messages):
        before = next((b for b in reversed(record.messages[:i]) if b["role"] != "tool"), None)
        if m["role"] == "tool" and not (before and before.get("tool_calls")):
            yield f"messages[{i}]"


def _no_user(record: Record) -> Iterator[str]:
    if all(m["role"] != "user" for m in record.messages):
        yield record.id


def _no_tools(record: Record) -> Iterator[str]:
    if not record.tools:
        yield record.id


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
