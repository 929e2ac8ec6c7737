"""Families that write calls in Python syntax: bare, in a fence, or between markers of their own."""

import re

from eval.formats.envelope import LOST, NOTHING, json_body, markers, read_blocks, skip_space
from eval.formats.family import Family, blocks
from eval.formats.mentions import Mentions
from eval.formats.parse_state import ParseState, Tools, functions
from eval.formats.python_calls import LIST_START, NAME, calls_body, write_calls

_TOKENS = markers(r"<\|python_start\|>", "<|python_end|>")
_TOKENS_BODY = calls_body("list", "<|python_end|>")
_FENCE = markers(r"```tool_code", "```")
_FENCE_BODY = calls_body("any", "```")
_WHOLE = calls_body("list")
_LINE_LIST = re.compile(r"^[ \t]{0,20}" + LIST_START.pattern, re.MULTILINE)
_FIRST = re.compile(
    rf"(?P<tokens><\|python_(?:start|end)\|>)|(?P<fence>```tool_code)|(?P<list>{_LINE_LIST.pattern})", re.MULTILINE
)


def _pythonic(text: str, tools: Tools) -> ParseState:
    """Read the calls between tokens, in a fence, or standing as a list on a line of their own."""
    first = _FIRST.search(text)
    if first and first.lastgroup == "tokens":
        return read_blocks(ParseState(text), _TOKENS, _TOKENS_BODY)
    if first and first.lastgroup == "fence":
        return read_blocks(ParseState(text), _FENCE, _FENCE_BODY)
    return _bare(ParseState(text), tools)


def _bare(r: ParseState, tools: Tools) -> ParseState:
    """Lists of calls that begin a line; else the whole text as calls without the brackets; else lists in prose."""
    text = r.text
    for match in _LINE_LIST.finditer(text):
        if match.start() < r.end:
            continue
        start = skip_space(text, match.start())
        end = _WHOLE(r, start)
        r.cover(start, end if end >= 0 else len(text), read=end >= 0)
        r.cut |= end == LOST
    start = skip_space(text, 0)
    if not r.attempted and start < len(text):
        trial = r.trial()
        end = _WHOLE(trial, start)
        if end != NOTHING and trial.calls and skip_space(text, end) >= len(text):
            trial.cover(start, end)
            return trial
        _in_prose(r, tools)
    return r


def _in_prose(r: ParseState, tools: Tools) -> None:
    """Lists in the middle of a line: one that can be read is a call, its name offered or not; one that cannot be read
    is an attempt where it names an offered tool."""
    text, mentions, offered = r.text, Mentions(r.text), functions(tools)
    for match in LIST_START.finditer(text):
        if match.start() < r.end or r.budget <= 0 or mentions.in_code(match.start()):
            continue
        trial = r.trial()
        end = _WHOLE(trial, match.start())
        r.budget = trial.budget
        name = re.compile(NAME).match(text, match.end())
        if trial.calls and trial.json_valid:
            r.calls += trial.calls
            r.cover(match.start(), end)
        elif name and name[0] in offered:
            r.broken(trial.problems[-1] if trial.problems else "not_python")
            r.cover(match.start(), max(end, match.end()), read=False)


_LFM2_PYTHON = calls_body(stop="<|tool_call_end|>")
_LFM2_JSON = json_body(want="one", stop="<|tool_call_end|>")


def _lfm2_body(r: ParseState, pos: int) -> int:
    end = _LFM2_PYTHON(r, pos)
    return _LFM2_JSON(r, pos) if end == NOTHING else end


FAMILIES = (
    # LFM2: <|tool_call_start|>[f(x=1, s='a')]<|tool_call_end|>. Where the system prompt asks for JSON, the same tokens
    # hold one call object or an array of them.
    Family(
        names=("lfm2",),
        markers=(("<|tool_call_start|>",), ("<|im_start|>", "List of tools: "), ("<|tool_list_start|>",)),
        openers=("<|tool_call_start|>",),
        parse=blocks(markers(r"<\|tool_call_start\|>", "<|tool_call_end|>"), _lfm2_body),
        render=lambda calls: f"<|tool_call_start|>[{', '.join(write_calls(calls))}]<|tool_call_end|>",
        python=True,
    ),
    # Olmo 3: <function_calls>\nf(x=1)\ng()\n</function_calls>, one call a line; JSON's null/true/false allowed
    Family(
        names=("olmo3",),
        markers=(("<function_calls>",),),
        openers=("<function_calls>",),
        parse=blocks(markers("<function_calls>", "</function_calls>"), calls_body("lines", "</function_calls>")),
        render=lambda calls: "<function_calls>\n" + "\n".join(write_calls(calls)) + "\n</function_calls>",
        python=True,
    ),
    # Llama 3.2 and 4, Gemma 3 prompts: [f(x=1), g()]. The list may stand in <|python_start|>…<|python_end|>; Gemma 3
    # prompts ask for a ```tool_code fence.
    Family(
        names=("pythonic", "gemma3", "llama4", "llama4_pythonic", "llama3_2"),
        markers=(("<|python_start|>",), ("tool_code",), ("<|header_start|>",)),
        openers=("<|python_start|>", "```tool_code"),
        parse=_pythonic,
        render=lambda calls: f"[{', '.join(write_calls(calls))}]",
        python=True,
    ),
)
