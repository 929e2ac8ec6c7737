"""Families whose calls are JSON without a marker around them (policy, rule 7)."""

import re
from collections.abc import Mapping
from typing import Any

from eval.formats.bare_json import read_lines, read_whole
from eval.formats.family import Family
from eval.formats.parse_state import PLAIN, CallShape, ParseState, Tools, call_names, decode, read_call
from eval.formats.render import call_objects, json_text, single
from eval.formats.strict_json import Unreadable

_TAG = re.compile(r"<\|python_tag\|>")
_LLAMA3 = CallShape(arguments="parameters", others=frozenset({"type"}))


def _llama3_json(text: str, tools: Tools) -> ParseState:
    """Call objects that stand in the open; braces in the prose around them are no payload."""
    r = read_lines(text, tools, _LLAMA3, "lines", _TAG)
    if not r.attempted and _TAG.match(text):
        r.broken("no_payload")
        r.attempted = True
    r.spans = sorted([*r.spans, *((m.start(), m.end()) for m in _TAG.finditer(text))])
    return r


def _raw_json(text: str, tools: Tools) -> ParseState:
    """A text that is JSON from end to end, where JSON that is no call is a failed attempt; else calls in prose."""
    r = read_whole(text, want="one", all_json=True)
    return r if r.attempted else read_lines(text, tools, PLAIN, "one")


def _xlam(text: str, tools: Tools) -> ParseState:
    """The array, or the older wrapper; an empty one says that no tool is needed."""
    start = len(text) - len(text.lstrip())
    r = ParseState(text)
    if text.startswith("{", start) and '"tool_calls"' in text:
        wrapper = _wrapper(r, start)
        if wrapper is not None:
            return wrapper
    return read_lines(text, tools, PLAIN, "array")


def _wrapper(r: ParseState, start: int) -> ParseState | None:
    try:
        decoded = decode(r, start)
    except Unreadable:
        return None
    value: Any = decoded.value
    calls = value.get("tool_calls") if isinstance(value, Mapping) else None
    if not isinstance(calls, list) or not (not calls or call_names(calls)):
        return None
    if not calls:
        return r  # the format's own way to say that no tool is needed: the text of the answer
    for problem in decoded.problems:
        r.broken(problem)
    if not value.keys() <= {"thought", "tool_calls"}:
        r.deviates("extra_key")
    for call in calls:
        read_call(r, call, PLAIN, decoded.repeated)
    r.cover(start, decoded.end)
    return r


FAMILIES = (
    # Llama 3.1: {"name": "f", "parameters": {…}}, one call. A <|python_tag|> may stand before it and
    # `"type": "function"` in it; several are joined by `; ` or newlines.
    Family(
        names=("llama3_json", "llama3", "llama3_1"),
        markers=(("<|python_tag|>",), ("<|start_header_id|>", '"parameters"')),
        openers=("<|python_tag|>",),
        parse=_llama3_json,
        render=lambda calls: json_text(
            {"name": single(calls, "llama3_json").name, "parameters": single(calls, "llama3_json").arguments}
        ),
    ),
    # No template of its own: one call object or an array of them, bare or in a fence
    Family(
        names=("raw_json", "json"),
        markers=(),
        openers=(),
        parse=_raw_json,
        render=lambda calls: json_text(call_objects(calls)[0] if len(calls) == 1 else call_objects(calls)),
    ),
    # xLAM-2, Hammer: a bare array; xLAM-1: {"thought": "", "tool_calls": […]}
    Family(
        names=("xlam", "hammer"),
        markers=(('"tool_calls": [',), ("tool_calls", "thought")),
        openers=(),
        parse=_xlam,
        render=lambda calls: json_text(call_objects(calls)),
    ),
)
