"""Glaive v2: `system` and `chat` as one text each.

    SYSTEM: You are a helpful assistant with access to the following functions. Use them if required -
    {"name": …, "description": …, "parameters": {…}}

    USER: … ASSISTANT: <functioncall> {"name": "f", "arguments": '{"k": "Doctor's"}'} <|endoftext|> FUNCTION RESPONSE: …

The arguments stand in single quotes, which is not JSON; an apostrophe may stand inside them.
"""

import re
from collections.abc import Iterable
from typing import Any

from data.formats.companion_files import Beside
from data.formats.conversations import with_system
from data.formats.literals import MAX_TEXT, decode, decoder, excerpt
from data.formats.schema import tools_of
from data.formats.syntax import own_words
from data.formats.turns import call_of, read_turns, tagged_calls
from data.record import tool_call
from data.words import fault, phrase

NAME = "Glaive v2"
_TURN = re.compile(r"(?:^|\n|<\|endoftext\|>)[ \t]*(USER|ASSISTANT|FUNCTION RESPONSE|SYSTEM):")
_ROLE = {"USER": "user", "ASSISTANT": "assistant", "FUNCTION RESPONSE": "tool", "SYSTEM": "system"}
_MARK = "<functioncall>"
_CALL = re.compile(r'<functioncall>(?=\s*\{\s*"name")')  # the mark inside an argument is text
_QUOTED = re.compile(r'\{\s*"name"\s*:\s*"([^"]{1,200})"\s*,\s*"arguments"\s*:\s*\'(.*)\'\s*\}', re.DOTALL)


def matches(row: dict[str, Any]) -> bool:
    return isinstance(row.get("chat"), str)


def read(row: dict[str, Any], beside: Beside) -> Iterable[dict[str, Any]]:
    messages = read_turns(_turns(row["chat"]), _in_text)
    system = str(row.get("system") or "").strip().removeprefix("SYSTEM:").strip()
    tools, rest = _tools(system)
    made = {"messages": with_system(messages, own_words(rest) if tools else system), "tools": tools}
    return [made | ({"meta": {"system": rest}} if tools else {})]


def _turns(chat: Any) -> list[dict[str, str]]:
    if not isinstance(chat, str):
        raise fault("chat.text")
    if len(chat) > MAX_TEXT:
        raise fault("chat.long", most=MAX_TEXT)
    marks = list(_TURN.finditer(chat))
    if not marks or chat[: marks[0].start()].strip():
        raise fault("chat.start", text=excerpt(chat, 40))
    ends = [mark.start() for mark in marks[1:]] + [len(chat)]
    texts = [chat[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]
    return [
        {"role": _ROLE[mark.group(1)], "content": text.replace("<|endoftext|>", "").strip()}
        for mark, text in zip(marks, texts, strict=True)
    ]


def _in_text(text: str) -> tuple[str, list[dict[str, Any]]]:
    if _MARK not in text:
        return tagged_calls(text)
    said, *calls = _CALL.split(text) if _CALL.search(text) else text.split(_MARK)
    return said.strip(), [_call(call.strip()) for call in calls]


def _call(text: str) -> dict[str, Any]:
    quoted = _QUOTED.fullmatch(text)
    if not quoted:
        return call_of(text)
    name, inner = quoted.groups()
    for arguments in (inner, inner.replace("\\'", "'")):
        twice: list[str] = []
        try:
            value = decoder(twice, strict=False).decode(arguments)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and not twice:
            return tool_call(name, value)
    value = decode(inner, phrase("value.arguments", name=name))
    if not isinstance(value, dict):
        raise fault("call.arguments", name=name, value=excerpt(inner))
    return tool_call(name, value)


def _tools(system: str) -> tuple[list[dict[str, Any]], str]:
    """The objects with a name that stand one after the other in a system text, and the text around them."""
    pos, found, rest, twice = 0, [], "", list[str]()
    while (start := system.find("{", pos)) >= 0:
        try:
            value, end = decoder(twice).raw_decode(system, start)
        except (ValueError, RecursionError) as e:
            if '"parameters"' in system[start:] and '"name"' in system[start:]:
                raise fault("system.json", text=excerpt(system[start:])) from e
            break
        named = isinstance(value, dict) and ("name" in value or "function" in value)
        found += [value] if named else []
        rest += system[pos : start if named else end]
        pos = end
    if twice:
        raise fault("system.twice", key=twice[0])
    return tools_of(found), (rest + system[pos:]).strip()
