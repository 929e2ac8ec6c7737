"""Calls without a marker that are no JSON object (parsing policy, rule 7): Python syntax, or an offered tool's name and
its arguments in brackets of another kind or in none."""

import re
from collections.abc import Mapping

from eval.formats.envelope import skip_space
from eval.formats.parse_state import NAME_KEYS, ParseState, Tools, functions, is_offered
from eval.formats.python_calls import LIST_START, NAME, calls_body

_WRAP = re.compile(r"\s*(?:```[\w+-]{0,20}\s|`{1,2}(?!`))?\s*")
_SIGNATURE = r"(?!\s{0,9}\w{1,200}\??\s{0,9}:\s{0,9}[^\W\d])"
"""Not `lamp(room: str)`: a tool that is described."""
_LINE = re.compile(
    r"(?:^[ \t]{0,20}(?:(?:[-*•>]|\d{1,2}[.)])[ \t]{1,3})?|(?<=`))(?:\w{1,60} ?= ?|await )?"
    rf"(?=(?:\[\s{{0,20}})?{NAME}[ \t]{{0,9}}\({_SIGNATURE})",
    re.MULTILINE,
)
_LINE_END = re.compile(r"[ \t;]*(?:\n|\Z)")

_ROUND = rf"[(（]{_SIGNATURE}(?:[^()（）]|\([^()]*(?:\)|\Z))*+(?:[)）]|\Z)"
_NAMED = r"(?=[(（]\s{0,9}(?:[)）\"'{]|\w{1,60}\s?=))"
"""Brackets behind a name in marks: not `**lamp**(the one in the hall)`."""
_LABEL = (
    r"(?:(?:(?:tool|function|action|call|도구|함수|호출)[ _-]?){1,2}:\s{0,9}"
    r"|\[\w{1,20}\]\s?|<\|?\w{1,20}\|?>\s?(?=\w)|[-*•>/@$!#→▶]{1,3}\s?|call |return )?"
)
_WHOLE = re.compile(
    rf"(?i:{_LABEL})(?:"
    rf"(?:\[?\s*(?:\w{{1,60}} ?= ?|await |print\()?"
    rf"[\[\"'*]{{0,3}}(?P<round>{NAME})(?:[\"'*`\]]{{0,3}} ?{_NAMED})?{_ROUND}[\s,;\])*.]*)++"
    rf"|[\[\"'*]{{0,3}}(?P<braces>{NAME})(?::\d{{1,3}})?[\"'*]{{0,2}}[\s:,=>-]{{0,9}}(?:```\w{{0,9}}\s)?\{{\s*(?:[\"'\w}}].*\}}|\}}|[\"'][^}}]*)[\s;\])]*"
    rf"|(?P<square>{NAME})\[[^\]]+\]"
    rf"|<\w{{1,30}}>\s{{0,9}}(?P<inner>{NAME})\s{{0,9}}</\w{{1,30}}>\s{{0,9}}<.*>"
    rf"|<(?P<tag>{NAME})(?:\s{{1,9}}name=[\"']?(?P<attribute>{NAME}))?[^<>]{{0,500}}(?:/>|>.*</(?P=tag)\s*>)"
    r")(?:</\w{1,20}>)?\Z",
    re.DOTALL,
)
_WORDS = re.compile(
    rf"(?i:{_LABEL})(?P<of>[\w.]{{1,60}}\()?[\"'*]{{0,3}}(?P<name>{NAME})[\"'*]{{0,3}}"
    r"(?:\.?\Z|(?(of)(?<=[\"'])[,)].*\)\Z|(?!))"
    r"|[\s:,|>-]{1,9}(?:(?<=--)(?P<flag>\w{1,60})\s|(?P<key>\w{1,60})[\"']?\s?[=:]))",
    re.DOTALL,
)
"""An offered tool's name alone, before one of its parameters, or the first argument of a call: `lamp room=3`,
`lamp --room 3`, `call_tool("lamp", …)`."""
_MARKS = r"[\"'*`]{0,3}"
_KEYED = re.compile(
    rf"^[ \t>*\"'-]{{0,9}}(?P<key>{'|'.join(NAME_KEYS)}|도구|함수){_MARKS}\s?[:=][ \t]{{0,5}}"
    rf"{_MARKS}\s?(?P<name>{NAME}){_MARKS}"
    r"[\s,;]{1,9}[\"'*-]{0,3}\s?"
    r"(?P<arguments>arguments|parameters|args|(?:(?:action|tool)[ _])?input|인자|인수|매개변수)"
    rf"{_MARKS}\s?[:=]",
    re.MULTILINE | re.IGNORECASE,
)


def read_python(text: str, tools: Tools, *, native: bool) -> ParseState:
    """Read calls of offered tools in Python syntax: the whole text, in a fence or not, or lines with arguments.

    Args:
        native: the family writes Python.
    """
    r, offered = ParseState(text), functions(tools)
    begin, stop = _inner(text)
    for line in _LINE.finditer(text, begin) if offered else ():
        if line.start() < r.end or r.budget <= 0:
            continue
        start = line.end()
        trial = r.trial()
        end = calls_body("list" if LIST_START.match(text, start) else "lines")(trial, start)
        r.budget = trial.budget
        names = {call.name for call in trial.calls}
        if not names or not names <= offered.keys():
            continue
        whole = line.start() == begin and skip_space(text, end) >= stop
        if whole or (_LINE_END.match(text, end) and any(call.arguments for call in trial.calls)):
            r.calls += trial.calls
            for problem in trial.problems:
                r.broken(problem)
            r.cover(0 if whole else line.start(), len(text) if whole else end)
    if r.attempted and not native:
        r.broken("python_syntax")
    return r


def read_loose(text: str, tools: Tools) -> ParseState:
    """See an attempt, which is not read, in a text that is an offered tool's name with its arguments and nothing else,
    and in a line that gives the two under their keys without an object around them."""
    r, offered = ParseState(text), functions(tools)
    begin, stop = _inner(text)
    whole = _WHOLE.match(text, begin, stop)
    words = _WORDS.match(text, begin, stop)
    if words and is_offered(words["name"], offered):
        key, known = words["flag"] or words["key"], offered.get(words["name"], {}).get("properties")
        whole = words if not key or (isinstance(known, Mapping) and key in known) else whole
    if whole and any(name and is_offered(name, offered) for name in whole.groupdict().values()):
        r.broken("not_a_call")
        r.cut = text[stop - 1] not in ")]};>）*."
        r.cover(0, len(text), read=False)
        return r
    for keyed in _KEYED.finditer(text):
        exact = keyed["key"] == "name" and keyed["arguments"] in ("arguments", "parameters")
        inside = text[max(0, keyed.start() - 200) : keyed.start()].rstrip()[-1:] in tuple("{[,")
        if (exact or keyed["name"] in offered) and not inside:
            r.broken("no_braces")
            r.cover(keyed.start(), len(text), read=False)
            return r
    return r


def _inner(text: str) -> tuple[int, int]:
    """Where a text begins and ends inside a fence, or a code span, that is the whole of it."""
    begin = _WRAP.match(text)
    return begin.end() if begin else 0, len(text.rstrip().rstrip("`").rstrip())
