"""From a model's output to calls: one entry for every tool-call format.

The rules that this module and `eval.formats` follow, and cite by number, are those of docs/parsing-policy.md.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from eval.formats.bare_calls import read_loose, read_python
from eval.formats.bare_json import read_fences, read_lines, read_whole
from eval.formats.envelope import json_body, markers, read_blocks
from eval.formats.family import Family, families
from eval.formats.mentions import Mentions
from eval.formats.outside import cut_reasoning, cut_run_on, has_reasoning, skip_reasoning, trim
from eval.formats.parse_state import PLAIN, ParseState
from eval.formats.probe import TOOL, written_calls
from eval.parsed import Parsed, ToolCall
from tooltune.errors import InputError


def parse_tool_calls(
    text: str, family: str = "hermes", tools: Sequence[Mapping[str, Any]] = (), truncated: bool = False
) -> Parsed:
    """Read the tool calls of one generated text.

    Args:
        text: the output as decoded with special tokens, without the prompt.
        family: a name from `families()`, as `detect_family` gives it.
        tools: the schemas that were offered, in OpenAI's form or bare; XML formats need them to type their values.
        truncated: the generation stopped without an end token.

    Never raises on any text; a hostile text takes time linear in its length.

    Raises:
        InputError: there is no such family.
    """
    own = _family(family)
    body, unclosed = trim(text), False
    start = 0
    thinking = has_reasoning(body)
    if thinking:
        start, unclosed = skip_reasoning(body)
    if unclosed:
        attempted = any(opener in body for opener in own.openers)
        return Parsed([], True, False, True, attempted, "", ["unclosed_think"])
    body = body[start:] if start else body
    try:
        r = _read(body, own, tools)
        if thinking and (cut := cut_reasoning(body, r.call_spans)):
            body, unclosed = cut
            r = _read(body, own, tools)
        if (answer := cut_run_on(body, r.call_spans)) is not None:
            r = _read(answer, own, tools)
    except RecursionError:  # the caller's own stack is nearly full
        r = ParseState(body)
        r.broken("too_deep")
        r.attempted = True
    if unclosed:
        r.deviates("unclosed_think")
    return Parsed(
        r.calls,
        r.json_valid,
        r.format_ok,
        truncated or r.cut or unclosed,
        r.attempted,
        r.outside(),
        list(dict.fromkeys(r.problems)),
    )


def _family(family: str) -> Family:
    found = families().get(family)
    if found is None:
        near = get_close_matches(family, families(), n=1)
        fix = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(sorted(families()))
        raise InputError(f"no tool-call format named {family!r}", fix=fix)
    return found


def _read(body: str, own: Family, tools: Sequence[Mapping[str, Any]]) -> ParseState:
    """Read with the family's own parser; where it finds no attempt, look for drift into another format (rule 7)."""
    r: ParseState = own.parse(body, tools)
    if r.attempted or not body:
        return r
    best = r
    for read in (_other_markers, _whole_json, _python, _fenced, _damaged):
        drift = read(body, own, tools)
        if drift is not None and drift.attempted:
            drift.deviates("other_format")
            if drift.calls:
                return drift
            best = best if best.attempted else drift
    if not best.attempted and (stray := _stray(body, tools)).attempted:
        return stray
    if not best.attempted and (loose := read_loose(body, tools)).attempted:
        return loose
    if not best.attempted:
        _unread(best, own)
    return best


def _unread(r: ParseState, own: Family) -> None:
    """An opening marker of any family that no reader took, or the beginning of one of `own` at the end (rule 10)."""
    text, mentions = r.text, Mentions(r.text)
    found = [match.span() for match in _openers().finditer(text)]
    for (start, end), (until, _) in zip(found, [*found[1:], (len(text), 0)], strict=False):
        if not mentions.covers(start, end, until):
            r.broken("unread_marker")
            r.cover(start, end, read=False)
            return
    cut = max((n for o in own.openers for n in range(5, len(o)) if text.endswith(o[:n])), default=0)
    if cut and not mentions.in_code(len(text) - cut):
        r.broken("cut")
        r.cover(len(text) - cut, len(text), read=False)
        r.cut = True


@cache
def _openers() -> re.Pattern[str]:
    return re.compile("|".join(re.escape(opener) for own in families().values() for opener in own.openers))


def _other_markers(body: str, own: Family, tools: Sequence[Mapping[str, Any]]) -> ParseState | None:
    """Another family's markers are in the text."""
    attempt = None
    for other in dict.fromkeys(families().values()):
        if other is own or not any(opener in body for opener in other.openers):
            continue
        r: ParseState = other.parse(body, tools)
        if r.calls or (r.attempted and attempt is None):
            if other.python and not own.python:
                r.broken("python_syntax")
            attempt = r
        if r.calls:
            return r
    return attempt


def _whole_json(body: str, own: Family, tools: Sequence[Mapping[str, Any]]) -> ParseState:
    """The whole output, or a whole fence, is one call object."""
    return read_whole(body)


def _python(body: str, own: Family, tools: Sequence[Mapping[str, Any]]) -> ParseState | None:
    """Calls of offered tools in Python syntax."""
    return read_python(body, tools, native=own.python) if "(" in body else None


def _fenced(body: str, own: Family, tools: Sequence[Mapping[str, Any]]) -> ParseState | None:
    """An object in a fence, in prose, names an offered tool."""
    return read_fences(body, tools) if "```" in body else None


def _stray(body: str, tools: Sequence[Mapping[str, Any]]) -> ParseState:
    """An object in prose, without a marker, that calls: it has exactly a call's keys, or names an offered tool."""
    r = read_lines(body, tools, PLAIN, "one", stray=True)
    if r.attempted:
        r.deviates("no_marker")
    return r


_LIKE_MARKER = markers(
    r"(?i:<\|?[\w:.-]{0,30}(?:tool|function)[ _-]?calls?(?:\|?>|(?=\s{0,9}[{\[]))|(?<![^\n])(?:tool|function)_calls?>"
    r"|\[(?:tool|function)\\?[ _-](?:calls?|request)\](?=\s{0,9}\[?\s{0,9}\{)"
    r"|(?<![^\n])[*#\s]{0,9}(?:tool|function)[ _-]calls?\**:\**(?=\s{0,9}\[?\s{0,9}\{))"
)
_LIKE_BODY = json_body(want="any")


def _damaged(body: str, own: Family, tools: Sequence[Mapping[str, Any]]) -> ParseState:
    """What is no family's marker but means to be one: `<toolcall>`, `[TOOL_REQUEST]`, a line that says `Tool call:`."""
    r = read_blocks(ParseState(body), _LIKE_MARKER, _LIKE_BODY)
    if r.attempted:
        r.deviates("damaged_marker")
    return r


def detect_family(chat_template: str) -> str:
    """The family that a chat template writes: the one whose parser reads the template's own calls back.

    Where several do, or none (the template writes no calls, or refuses every probe), the most specific set of markers
    in the template decides; "hermes" when none is there: the project then renders with its own Hermes template.
    """
    candidates = [own for own in dict.fromkeys(families().values()) if own.markers]
    fallback = families()["hermes"]
    for calls, written in written_calls(chat_template):
        readings = [(parse_tool_calls(written, m.names[0], [TOOL]), m) for m in candidates]
        exact = [(r, m) for r, m in readings if r.strict_calls == calls]
        if exact:
            candidates = [m for r, m in exact if not r.text] or [m for _, m in exact]
            fallback = candidates[0]
            break
    best = max(candidates, key=lambda own: _weight(own, chat_template))
    return str((best if _weight(best, chat_template) else fallback).names[0])


def _weight(own: Family, chat_template: str) -> int:
    fit = [markers for markers in own.markers if all(marker in chat_template for marker in markers)]
    return max((sum(map(len, markers)) for markers in fit), default=0)


def render_calls(calls: Iterable[ToolCall], family: str = "hermes") -> str:
    """Write calls as the family's chat template does.

    Raises:
        InputError: no such family, or the format cannot carry these calls (their number, or a mark inside a string).
    """
    return _family(family).render(list(calls))
