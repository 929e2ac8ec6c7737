"""gpt-oss (harmony): a message whose header says `to=functions.f` and whose body is the arguments.

`<|channel|>commentary to=functions.f <|constrain|>json<|message|>{…}<|call|>`, or the recipient behind the role, as the
chat template writes it. The analysis channel is reasoning.
"""

import re
from collections.abc import Sequence

from eval.formats.envelope import LOST, skip_space
from eval.formats.family import Family
from eval.formats.named_json import add_call
from eval.formats.parse_state import ParseState, Tools
from eval.formats.render import json_text, single
from eval.parsed import ToolCall

_TOKEN = re.compile(r"<\|(start|channel|message|end|call|return)\|>")
_RECIPIENT = re.compile(r"\bto=(functions\.)?([^\s<>{}]{1,200})")
_CHANNEL = re.compile(r"<\|channel\|>\s{0,9}(\w{1,20})")
_HEADER = 400


def _parse(text: str, tools: Tools) -> ParseState:
    """Read the messages in order: calls, reasoning (dropped) and text."""
    r, begin = ParseState(text), 0
    tokens = list(_TOKEN.finditer(text))
    for i, token in enumerate(tokens):
        if token.start() < r.end:
            continue
        if token[1] in ("start", "end", "call", "return"):
            begin = token.start() if token[1] == "start" else token.end()
            r.spans.append((token.start(), token.end()))
            continue
        if token[1] != "message":
            continue
        header = text[max(begin, r.end, token.start() - _HEADER) : token.start()]
        recipient, channel = _RECIPIENT.search(header), _CHANNEL.search(header)
        following = tokens[i + 1] if i + 1 < len(tokens) else None
        until = following.start() if following else len(text)
        if recipient:
            _call(r, recipient, channel[1] if channel else "", header, begin, token, tokens, i + 1)
        elif channel and channel[1] == "analysis":
            r.spans.append((begin, until))
        else:
            r.spans.append((begin, token.end()))
        begin = max(r.end, token.end())
    return r


def _call(
    r: ParseState,
    recipient: re.Match[str],
    channel: str,
    header: str,
    begin: int,
    token: re.Match[str],
    tokens: list[re.Match[str]],
    i: int,
) -> None:
    text = r.text
    end = add_call(r, recipient[2], skip_space(text, token.end()))
    if end < 0:
        if end != LOST:
            r.broken("no_payload")
        until = tokens[i].start() if i < len(tokens) else len(text)
        r.cut |= i >= len(tokens)
        r.cover(begin, until, read=False)
        return
    typed = "json" in header.split(recipient[0])[-1] or "json" in header.split("<|channel|>")[-1]
    if not recipient[1] or channel != "commentary" or not typed:
        r.deviates("header")
    while i < len(tokens) and tokens[i].start() < end:
        i += 1
    if i < len(tokens) and tokens[i][1] in ("call", "end", "return"):
        if text[end : tokens[i].start()].strip():
            r.broken("text_in_block")
        end = tokens[i].end()
    r.cover(begin, end)


def _render(calls: Sequence[ToolCall]) -> str:
    """Write the one call of a turn as the gpt-oss chat template does."""
    call = single(calls, "harmony")
    return (
        f"<|start|>assistant to=functions.{call.name}<|channel|>commentary json<|message|>"
        f"{json_text(call.arguments)}<|call|>"
    )


FAMILIES = (
    Family(
        names=("harmony", "gpt_oss"),
        markers=(("<|channel|>", "<|message|>"),),
        openers=("to=functions.",),
        parse=_parse,
        render=_render,
    ),
)
