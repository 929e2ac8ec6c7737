"""Calls written as XML: a function tag holding parameter tags whose text the schema types.

The text of a value is anything, the family's own tags included; so a close tag ends a value only where the grammar goes
on behind it, and a value without a close tag ends where the next parameter begins on a new line.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eval.formats.envelope import LOST, NOTHING, Body, skip_space
from eval.formats.named_json import add_bare_call
from eval.formats.parse_state import ParseState, Tools, functions
from eval.formats.strict_json import Unreadable, strict_loads
from eval.formats.typed_values import typed
from eval.parsed import ToolCall

NAME = r"([^<>\n]{1,200}?)"


@dataclass(frozen=True)
class Grammar:
    """The tags of one family.

    Attributes:
        function, parameter: patterns of the open tags; group 1 is the name, group 2 of `parameter` (if there is one)
            says "true" when the text is a string and "false" when it is JSON.
        newlines: the template puts one newline on each side of a value.
        python: the template writes containers as Python does.
        cdata: a value may stand in `<![CDATA[…]]>`.
        wrapper: the tags around the functions; empty when there are none.
    """

    function: str
    function_close: str
    parameter: str
    parameter_close: str
    newlines: bool = False
    python: bool = False
    cdata: bool = False
    wrapper: tuple[str, str] = ("", "")

    def tags(self) -> re.Pattern[str]:
        """One pattern for every tag, so that a scan meets them in order."""
        fclose, pclose = re.escape(self.function_close), re.escape(self.parameter_close)
        wrapper = "|".join(re.escape(w) for w in self.wrapper if w) or "(?!)"
        return re.compile(
            rf"(?P<function>{_unnamed(self.function)})|(?P<function_close>{fclose})"
            rf"|(?P<parameter>{_unnamed(self.parameter)})|(?P<parameter_close>{pclose})|(?P<wrapper>{wrapper})"
        )


def _unnamed(pattern: str) -> str:
    return re.sub(r"\((?!\?)", "(?:", pattern)


QWEN3_CODER = Grammar(
    rf"<function={NAME}>", "</function>", rf"<parameter={NAME}>", "</parameter>",
    newlines=True, wrapper=("<tool_call>", "</tool_call>"),
)  # fmt: skip


def function_body(grammar: Grammar, tools: Tools, *, json_native: bool = False, xml_native: bool = True) -> Body:
    """The body reader for one or more functions in a row.

    Args:
        json_native, xml_native: whether the family's template writes the arguments as one JSON object, as parameters.
    """
    opening, parameter, tags = re.compile(grammar.function), re.compile(grammar.parameter), grammar.tags()
    schemas: dict[str, Mapping[str, Any]] | None = None

    def body(r: ParseState, pos: int) -> int:
        nonlocal schemas
        if not opening.match(r.text, pos):
            return NOTHING
        schemas = functions(tools) if schemas is None else schemas
        end = LOST
        while match := opening.match(r.text, pos):
            name, start = match[1].strip(), skip_space(r.text, match.end())
            if end == LOST and r.text[start : start + 1] not in ("", "{") and not tags.match(r.text, start):
                r.spend(len(r.text) - start)
                if r.budget > 0 and not tags.search(r.text, start):
                    return NOTHING  # the tag is only mentioned
            if r.text[start : start + 1] in (("{", '"') if json_native else ("{",)):
                after = _json_arguments(r, name, start, grammar)
                native = json_native
            else:
                after = _parameters(r, name, match.end(), grammar, parameter, tags, schemas.get(name, {}))
                native = xml_native
            if after < 0:
                return end  # what was read before it stands
            if not native:
                r.deviates("other_dialect")
            end, pos = after, skip_space(r.text, after)
        return end

    return body


def _json_arguments(r: ParseState, name: str, pos: int, grammar: Grammar) -> int:
    end = add_bare_call(r, name, pos, grammar.function_close)
    if end == LOST:
        return LOST
    close = skip_space(r.text, end)
    if r.text.startswith(grammar.function_close, close):
        return close + len(grammar.function_close)
    r.deviates("missing_close")
    return end


def _parameters(
    r: ParseState, name: str, pos: int, g: Grammar, parameter: re.Pattern[str], tags: re.Pattern[str], schema: Any
) -> int:
    """Read parameters up to the function's close tag; add the call and return the index after it, or LOST."""
    text = r.text
    arguments: dict[str, Any] = {}
    problems: list[tuple[bool, str]] = []  # (the payload is broken, what it is)
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    properties = properties if isinstance(properties, Mapping) else {}
    while True:
        tag = tags.search(text, pos)
        if not tag or tag.lastgroup == "function":
            return _lost(r, pos, tag)
        if text[pos : tag.start()].strip():
            problems.append((True, "text_in_block"))
        if tag.lastgroup == "function_close":
            pos = tag.end()
            break
        if tag.lastgroup == "wrapper":
            if tag.group() != g.wrapper[1]:
                return _lost(r, pos, tag)
            problems.append((True, "missing_function_close"))
            pos = tag.start()
            break
        if tag.lastgroup == "parameter_close":
            problems.append((True, "extra_close"))
            pos = tag.end()
            continue
        opened = parameter.match(text, tag.start())
        assert opened is not None
        key, kind = opened[1], opened[2] if parameter.groups > 1 else None
        expected = properties.keys() - arguments.keys() - {key}
        stop, pos = _value_end(r, opened.end(), tags, parameter, expected)
        if stop < 0:
            return _lost(r, opened.end(), None)
        if pos == stop:
            problems.append((True, "missing_parameter_close"))
        if key in arguments:
            problems.append((True, "duplicate_key"))
        raw, style = _unwrap(text[opened.end() : stop], g, closed=pos > stop)
        if style:
            problems.append((False, style))
        if kind == "true":
            arguments[key] = raw
        elif kind == "false":
            try:
                arguments[key] = strict_loads(raw)
            except Unreadable as e:
                return _lost(r, pos, None, e.reason)
        else:
            if parameter.groups > 1:
                problems.append((False, "missing_attribute"))
            arguments[key], problem = typed(raw, properties.get(key), schema, python=g.python)
            if problem:
                problems.append((True, problem))
    if not arguments and (True, "text_in_block") in problems:
        return _lost(r, pos, None, "text_in_block")  # arguments in another dialect: they are not to be left out
    for broken, problem in problems:
        (r.broken if broken else r.deviates)(problem)
    r.calls.append(ToolCall(name, arguments))
    return pos


def _lost(r: ParseState, pos: int, tag: re.Match[str] | None, reason: str = "") -> int:
    r.spend((tag.end() if tag else len(r.text)) - pos)
    r.broken(reason or ("unclosed" if tag else "cut"))
    return LOST


def _value_end(
    r: ParseState, start: int, tags: re.Pattern[str], parameter: re.Pattern[str], expected: set[str]
) -> tuple[int, int]:
    """Where the value that starts at `start` stops, and the index after its close tag (the same: it has none).

    A whole function inside the value is content, so its tags are counted; one that is only mentioned is not. `expected`
    are the parameters still to come: their tag ends the value even in the middle of a line.
    """
    text, depth, pos = r.text, 0, start
    inline = -1
    while r.budget > 0 and (tag := tags.search(text, pos)):
        kind, pos = tag.lastgroup, tag.end()
        new_line = text[tag.start() - 1] == "\n"
        if kind == "function":
            inside = tags.match(text, skip_space(text, pos))
            depth += inside is not None and inside.lastgroup in ("parameter", "function_close")
        elif depth > 0:
            depth -= kind == "function_close"
        elif kind == "parameter_close":
            goes_on = tags.match(text, skip_space(text, pos))
            at_end = skip_space(text, pos) >= len(text)
            if at_end or (goes_on and goes_on.lastgroup != kind) or (new_line and text[pos] in "\r\n"):
                return tag.start(), pos
        elif kind == "parameter" and (new_line or _name(parameter, tag) in expected):
            return tag.start(), tag.start()
        elif kind == "function_close":
            if new_line:
                return tag.start(), tag.start()
            inline = tag.start() if inline < 0 else inline
    r.spend(len(text) - start)
    return inline, inline


def _name(parameter: re.Pattern[str], tag: re.Match[str]) -> str:
    match = parameter.match(tag.string, tag.start())
    return match[1] if match else ""


def _unwrap(raw: str, g: Grammar, *, closed: bool) -> tuple[str, str]:
    """Take off what the template puts around a value: one newline each side, or CDATA."""
    if not g.newlines and not closed:
        raw = raw.removesuffix("\n")  # the line break before the tag that ended it
    if g.cdata and raw.startswith("<![CDATA[") and raw.endswith("]]>"):
        return raw[9:-3].replace("]]]]><![CDATA[>", "]]>"), ""
    if not g.newlines:
        return raw, ""
    lead = 2 if raw.startswith("\r\n") else 1 if raw.startswith("\n") else 0
    tail = 2 if raw[lead:].endswith("\r\n") else 1 if raw[lead:].endswith("\n") else 0
    return raw[lead : len(raw) - tail], "" if lead and tail else "value_newlines"
