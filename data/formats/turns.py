"""Conversations in any of the usual spellings to the record's turns.

A turn is {role, content} or {from, value}; roles have many names. An assistant turn's calls stand in `tool_calls`, in
`function_call`, in a turn of their own ("function_call"), or in its text. Text and calls of one turn stay together, and
a tool turn gets the name of the call that it answers.
"""

from collections.abc import Callable
from typing import Any

from data.errors import InputError
from data.files import dump_json
from data.formats.literals import decode, excerpt
from data.formats.schema import tools_of
from data.record import tool_call

Message = dict[str, Any]
InText = Callable[[str], tuple[str, list[Message]]]
"""Reads an assistant's text: what is said, and the calls."""

ROLES = {
    "system": "system developer",
    "user": "user human",
    "assistant": "assistant gpt model bot chatgpt",
    "tool": "tool observation ipython tool_response function_response tool_result",
    "call": "function_call tool_call",
}
_ROLE = {spelling: role for role, spellings in ROLES.items() for spelling in spellings.split()}


def read_turns(turns: Any, in_text: InText | None = None) -> list[Message]:
    """The turns of a conversation as records have them.

    Args:
        turns: a list, or its JSON or Python text.
        in_text: finds calls in an assistant's text; `tagged_calls` if not given.

    Raises:
        InputError: naming the turn that cannot be read.
    """
    if isinstance(turns, str):
        turns = decode(turns, "the turns")
    if not isinstance(turns, list):
        raise InputError("the turns are not a list", fix='write [{"role": "user", "content": …}, …]')
    messages: list[Message] = []
    names: dict[str, str] = {}  # call id → tool
    waiting: list[str] = []  # tools whose results have not come yet
    for i, turn in enumerate(turns):
        try:
            made = _turn(turn, in_text or tagged_calls)
        except InputError as e:
            raise InputError(f"turn {i}: {e.what}", fix=e.fix) from None
        for message in made:
            if message["role"] == "tool":
                name = message.pop("name", None) or names.get(message.pop("call_id", ""), "")
                due = name if name in waiting else waiting[0] if waiting else ""
                if due:
                    waiting.remove(due)
                if name or due:
                    message["name"] = name or due
            elif message["role"] == "assistant":
                names |= message.pop("ids", {})
            _append(messages, message)
            if message["role"] == "assistant":
                waiting = [call["function"]["name"] for call in messages[-1].get("tool_calls", [])]
    return messages


def call_of(value: Any) -> Message:
    """One call from `{"name", "arguments"}`, with or without `{"type": "function", "function": …}`, object or text."""
    if isinstance(value, str):
        value = decode(value, "the call")
    function = value.get("function", value) if isinstance(value, dict) else None
    if isinstance(function, str) and isinstance(value, dict):  # {"function": "f", "arguments": …}
        function = value | {"name": function}
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"].strip():
        raise InputError(f"a call has no name: {excerpt(str(value))}", fix='write {"name": …, "arguments": {…}}')
    arguments = function.get("arguments", function.get("parameters"))
    return tool_call(function["name"].strip(), arguments_of(arguments, function["name"]))


def calls_of(value: Any) -> list[Message]:
    """A list of calls, or one; as text too."""
    if isinstance(value, str):
        value = decode(value, "the calls") if value.strip() else []
    return [call_of(call) for call in (value if isinstance(value, list) else [value])]


def arguments_of(value: Any, name: str) -> dict[str, Any]:
    """A call's arguments as an object: decoded where they are text, even twice; nothing is an empty object."""
    for _ in range(2):
        if isinstance(value, str):
            value = decode(value, f"the arguments of {name!r}") if value.strip() else {}
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"the arguments of {name!r} are not an object: {excerpt(str(value))}")
    return value


def tagged_calls(text: str) -> tuple[str, list[Message]]:
    """An assistant's text without its `<tool_call>` blocks, and the calls in them."""
    blocks, said = _between(text, "tool_call")
    calls = [call for block in blocks for call in calls_of(block)]
    if "<tool_call>" in said or "</tool_call>" in said:
        raise InputError(f"a <tool_call> is not closed: {excerpt(said[said.index('tool_call>') - 1 :])}")
    return (said, calls) if calls else (text, [])


def take_tools(text: str) -> tuple[list[Message], str]:
    """The tools that a system text lists between `<tools>` and `</tools>`, and the text without them."""
    blocks, rest = _between(text, "tools")
    for block in blocks:
        if block.strip().startswith("["):
            return tools_of(block), rest
        if block.strip().startswith("{"):  # one tool a line
            return tools_of([line for line in block.splitlines() if line.strip()]), rest
    return [], text


def text_of(content: Any) -> str:
    """The text of a turn's content: text, a list of text parts, or a value that is written as JSON."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list) and content and all(isinstance(p, dict) and "type" in p for p in content):
        if all(isinstance(part.get("text"), str) for part in content):
            return "".join(part["text"] for part in content)
        raise InputError("only text can be learnt, and this turn has other parts")
    return dump_json(content)


def _turn(turn: Any, in_text: InText) -> list[Message]:
    if not isinstance(turn, dict):
        raise InputError(f"a turn must be an object, not {excerpt(str(turn))}")
    given = turn.get("role", turn.get("from"))
    value = turn.get("content", turn.get("value"))
    role = _ROLE.get(str(given).strip().lower())
    if given == "function":  # OpenAI's old name for a result, and some ShareGPT files' name for a call
        role = "call" if isinstance(value, str) and '"arguments"' in value and "name" not in turn else "tool"
    if role is None:
        raise InputError(f"unknown role {given!r}", fix=f"use one of {', '.join(_ROLE)}")
    if role == "call":
        return [{"role": "assistant", "tool_calls": calls_of(value)}]
    text = text_of(value)
    if role == "assistant":
        return [_assistant(turn, text, in_text)]
    if role == "tool":
        return _results(turn, text)
    return [{"role": role, "content": text}]


def _assistant(turn: Message, text: str, in_text: InText) -> Message:
    given = turn.get("tool_calls") or ([turn["function_call"]] if turn.get("function_call") else [])
    if isinstance(given, str):
        given = decode(given, "tool_calls")
    if not isinstance(given, list):
        raise InputError("tool_calls must be a list")
    message: Message = {"role": "assistant"}
    text, calls = (text, [call_of(call) for call in given]) if given else in_text(text)
    if text or not calls:
        message["content"] = text
    if calls:
        message["tool_calls"] = calls
    numbers = [call.get("id") if isinstance(call, dict) else None for call in given]
    named = zip(numbers, calls, strict=False)
    ids = {number: call["function"]["name"] for number, call in named if isinstance(number, str)}
    return message | ({"ids": ids} if ids else {})


def _results(turn: Message, text: str) -> list[Message]:
    """One tool turn for each result; `<tool_response>` marks are taken off."""
    found = []
    parts, _ = _between(text, "tool_response")
    for part in parts or [text]:
        message: Message = {"role": "tool", "content": part}
        if parts and part.startswith("{"):
            message |= _named_result(part)
        if isinstance(turn.get("name"), str):
            message["name"] = turn["name"]
        if isinstance(turn.get("tool_call_id"), str):
            message["call_id"] = turn["tool_call_id"]
        found.append(message)
    return found


def _named_result(text: str) -> Message:
    """The parts of a result that is written as `{"name": …, "content": …}`."""
    try:
        value = decode(text, "the result")
    except InputError:
        return {}
    if isinstance(value, dict) and {"name", "content"} <= value.keys() <= {"name", "content", "tool_call_id"}:
        return {"name": str(value["name"]), "content": text_of(value["content"])}
    return {}


def _between(text: str, tag: str) -> tuple[list[str], str]:
    """What stands between `<tag>` and `</tag>`, each time, and the text around; both stripped. Linear in the text."""
    inside, outside, pos = list[str](), list[str](), 0
    while (start := text.find(f"<{tag}>", pos)) >= 0 and (end := text.find(f"</{tag}>", start)) >= 0:
        outside.append(text[pos:start])
        inside.append(text[start + len(tag) + 2 : end].strip())
        pos = end + len(tag) + 3
    return inside, "".join([*outside, text[pos:]]).strip()


def _append(messages: list[Message], message: Message) -> None:
    """Add a turn; calls that follow an assistant's text, or other calls, belong to the same turn."""
    last = messages[-1] if messages else {}
    if message["role"] == last.get("role") == "assistant" and "content" not in message:
        last.setdefault("tool_calls", []).extend(message["tool_calls"])
    else:
        messages.append(message)
