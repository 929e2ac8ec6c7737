"""The body of a GLM block: `f\\n<arg_key>x</arg_key>\\n<arg_value>1</arg_value>\\n`, newlines optional."""

import re
from collections.abc import Mapping
from typing import Any

from eval.formats.envelope import LOST, NOTHING, Body, skip_space
from eval.formats.parse_state import ParseState, Tools, functions
from eval.formats.typed_values import typed
from eval.parsed import ToolCall

CLOSE = "</tool_call>"
_NAME = re.compile(r"([^\s<>{}\[\]\"']{1,200})\s*(?=(<arg_key>)|</tool_call>)")
_KEY = re.compile(r"<arg_key>([^<>]{1,200})</arg_key>\s*<arg_value>")
_VALUE_CLOSE = "</arg_value>"
_KEY_OR_CLOSE = re.compile(r"\s*(?:<arg_key>|</tool_call>|\Z)")
_STOP = re.compile(r"</arg_value>|\n<arg_key>|\n?</tool_call>|<tool_call>")


def body(tools: Tools, *, strict: bool = False) -> Body:
    """The body reader.

    Args:
        strict: the block is met in another family's text: a lone word counts only when it is an offered name.
    """
    schemas: dict[str, Mapping[str, Any]] | None = None

    def read(r: ParseState, pos: int) -> int:
        nonlocal schemas
        match = _NAME.match(r.text, pos)
        if not match:
            return NOTHING
        schemas = functions(tools) if schemas is None else schemas
        name = match[1]
        if strict and not match[2] and name not in schemas:
            return NOTHING
        return _pairs(r, name, match.end(), schemas.get(name, {}))

    return read


def _pairs(r: ParseState, name: str, pos: int, schema: Mapping[str, Any]) -> int:
    text = r.text
    arguments: dict[str, Any] = {}
    problems: list[str] = []
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    while True:
        pos = skip_space(text, pos)
        if text.startswith(CLOSE, pos):
            break
        if pos >= len(text):  # more arguments may follow
            r.broken("cut")
            return LOST
        key = _KEY.match(text, pos)
        if not key:
            if text.startswith("<arg_key>", pos):
                r.broken("cut" if text.find(">", pos + 9) < 0 else "unclosed")
                return LOST
            break  # text behind the pairs: the envelope notes it
        stop, end = _value(r, key.end())
        if stop < 0:
            r.broken("cut")
            return LOST
        if key[1] in arguments:
            problems.append("duplicate_key")
        if end == stop:
            problems.append("missing_value_close")
        value, problem = typed(text[key.end() : stop], properties.get(key[1]), schema)
        arguments[key[1]], pos = value, end
        if problem:
            problems.append(problem)
    for problem in problems:
        r.broken(problem)
    r.calls.append(ToolCall(name, arguments))
    return pos


def _value(r: ParseState, start: int) -> tuple[int, int]:
    """Where the value stops, and the index after its close tag; a close tag followed by anything else is content."""
    text, pos, fallback = r.text, start, -1
    while r.budget > 0 and (tag := _STOP.search(text, pos)):
        pos = tag.end()
        if tag.group() == _VALUE_CLOSE:
            if _KEY_OR_CLOSE.match(text, pos):
                return tag.start(), pos
        elif tag.group() == "<tool_call>":
            opened = _NAME.match(text, pos)
            if fallback >= 0 or (opened and opened[2]):
                break  # the next block begins
        elif tag.group() == "\n<arg_key>":
            return tag.start(), tag.start()
        elif fallback < 0:
            fallback = tag.start()
    r.spend(len(text) - start)
    return fallback, fallback
