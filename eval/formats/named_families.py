"""Families that write the name outside the JSON, between tokens of their own."""

import re

from eval.formats.envelope import NOTHING, Body, markers, read_blocks
from eval.formats.family import Family, Parse
from eval.formats.named_json import add_call, check_section, named_body
from eval.formats.parse_state import ParseState, Tools
from eval.formats.render import json_text

_NAME = r"(?P<name>[^\s<>{}]{1,200})\s{0,9}"


def _section(call: str, call_end: str, body: Body, begin: str, end: str = "") -> Parse:
    """The parser of calls between `call` and `call_end`, all of them between `begin` and `end`."""
    marks = markers(re.escape(call), call_end)
    return lambda text, tools: check_section(read_blocks(ParseState(text), marks, body), begin, end)


_KIMI_BEGIN, _KIMI_END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
_KIMI_CALL, _KIMI_ARGUMENTS, _KIMI_CALL_END = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
_KIMI_HEAD = re.compile(rf"{_NAME}{re.escape(_KIMI_ARGUMENTS)}\s{{0,9}}")
_KIMI_ID = re.compile(r"(functions\.)?(.+?)(:[0-9]+)?")


def _kimi_body(r: ParseState, pos: int) -> int:
    """Only the `functions.` prefix and the `:N` suffix come off the id; an id without them is kept as it is written."""
    head = _KIMI_HEAD.match(r.text, pos)
    if not head:
        return NOTHING
    parts = _KIMI_ID.fullmatch(head["name"])
    if not parts or not (parts[1] and parts[3]):
        r.deviates("call_id")
    return add_call(r, parts[2] if parts else head["name"], head.end(), _KIMI_CALL_END)


def _plamo(word: str) -> str:
    return f"<|plamo:{word}:plamo|>"


_PLAMO_BEGIN, _PLAMO_END = _plamo("begin_tool_requests"), _plamo("end_tool_requests")
_PLAMO_CALL, _PLAMO_NAME, _PLAMO_NAME_END = (
    _plamo("begin_tool_request"), _plamo("begin_tool_name"), _plamo("end_tool_name"),
)  # fmt: skip
_PLAMO_ARGUMENTS = _plamo("begin_tool_arguments") + "<|plamo:constrain|>json<|plamo:msg|>"
_PLAMO_CALL_END = _plamo("end_tool_arguments") + _plamo("end_tool_request")
_PLAMO_HEAD = re.compile(
    rf"{re.escape(_PLAMO_NAME)}\s{{0,9}}{_NAME}{re.escape(_PLAMO_NAME_END)}\s{{0,9}}(?:{re.escape(_PLAMO_ARGUMENTS)}|"
    rf"(?P<drift>{re.escape(_plamo('begin_tool_arguments'))}(?:<\|plamo:msg\|>)?))\s{{0,9}}"
)

_SOLAR_BEGIN, _SOLAR_CALL, _SOLAR_NAME, _SOLAR_ARGUMENTS, _SOLAR_CALL_END, _SOLAR_END = (
    "<|tool_calls|>", "<|tool_call:begin|>", "<|tool_call:name|>", "<|tool_call:args|>", "<|tool_call:end|>",
    "<|calls|>",
)  # fmt: skip
_SOLAR_HEAD = re.compile(
    rf"[^\s<>{{}}]{{0,64}}\s{{0,9}}{re.escape(_SOLAR_NAME)}\s{{0,9}}{_NAME}{re.escape(_SOLAR_ARGUMENTS)}\s{{0,9}}"
)
_SOLAR = _section(_SOLAR_CALL, _SOLAR_CALL_END, named_body(_SOLAR_HEAD, _SOLAR_CALL_END), _SOLAR_BEGIN)


def _solar(text: str, tools: Tools) -> ParseState:
    """Id, name and arguments of every call; the id is metadata, and `<|calls|>` is the turn's end token."""
    r = _SOLAR(text, tools)
    end = text.rfind(_SOLAR_END)
    if end >= r.end:
        r.spans.append((end, end + len(_SOLAR_END)))
    return r


FAMILIES = (
    # Kimi K2: a section of <|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|>, numbered
    # from 0; names may hold dots and hyphens
    Family(
        names=("kimi_k2", "kimi"),
        markers=((_KIMI_CALL, _KIMI_ARGUMENTS), (_KIMI_BEGIN,)),
        openers=(_KIMI_CALL,),
        parse=_section(_KIMI_CALL, _KIMI_CALL_END, _kimi_body, _KIMI_BEGIN, _KIMI_END),
        render=lambda calls: (
            _KIMI_BEGIN
            + "".join(
                f"{_KIMI_CALL}functions.{c.name}:{i}{_KIMI_ARGUMENTS}{json_text(c.arguments)}{_KIMI_CALL_END}"
                for i, c in enumerate(calls)
            )
            + _KIMI_END
        ),
    ),
    # PLaMo 3: a section of requests, each with the name in one pair of tags and the arguments in another
    Family(
        names=("plamo3", "plamo"),
        markers=((_PLAMO_CALL,), ("tool_request", "<|plamo:")),
        openers=(_PLAMO_CALL,),
        parse=_section(
            _PLAMO_CALL, _PLAMO_CALL_END, named_body(_PLAMO_HEAD, _PLAMO_CALL_END), _PLAMO_BEGIN, _PLAMO_END
        ),
        render=lambda calls: (
            _PLAMO_BEGIN
            + "".join(
                f"{_PLAMO_CALL}{_PLAMO_NAME}{c.name}{_PLAMO_NAME_END}"
                f"{_PLAMO_ARGUMENTS}{json_text(c.arguments)}{_PLAMO_CALL_END}"
                for c in calls
            )
            + _PLAMO_END
        ),
    ),
    # Solar Open: <|tool_call:begin|>ID<|tool_call:name|>f<|tool_call:args|>{…}<|tool_call:end|>, with ids call_01, …
    # `<|tool_calls|>` opens the turn and `<|calls|>` ends it.
    Family(
        names=("solar", "solar_open"),
        markers=((_SOLAR_CALL,),),
        openers=(_SOLAR_CALL,),
        parse=_solar,
        render=lambda calls: (
            _SOLAR_BEGIN
            + "".join(
                f"{_SOLAR_CALL}call_{i:02d}{_SOLAR_NAME}{c.name}"
                f"{_SOLAR_ARGUMENTS}{json_text(c.arguments)}{_SOLAR_CALL_END}"
                for i, c in enumerate(calls, 1)
            )
            + _SOLAR_END
        ),
    ),
)
