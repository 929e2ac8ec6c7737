"""Conversations in any of the usual spellings to the record's turns.

A turn is {role, content} or {from, value}; roles have many names. An assistant turn's calls stand in `tool_calls`, in
`function_call`, in a turn of their own ("function_call"), in parts of its content, or in its text. Text and calls of
one turn stay together, and a tool turn gets the name and the place of the call that it answers: most chat templates
write no ids. Marks of what is trained become `trained: false`, reasoning becomes `reasoning_content`. Tags inside the
strings of a block are text.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from data.formats.keys import ARGUMENTS, CALL, REASONING, ROLE, reasoning_of
from data.formats.literals import decode, excerpt
from data.formats.marks import weight_of
from data.formats.schema import tools_of
from data.record import tool_call
from data.words import fault, phrase
from tooltune.errors import InputError
from tooltune.files import dump_json

Message = dict[str, Any]
InText = Callable[[str], tuple[str, list[Message]]]
"""Reads an assistant's text: what is said, and the calls."""


def read_turns(turns: Any, in_text: InText | None = None) -> list[Message]:
    """The turns of a conversation as records have them.

    Args:
        turns: a list, or its JSON or Python text.
        in_text: finds calls in an assistant's text; `tagged_calls` if not given.

    Raises:
        InputError: naming the turn that cannot be read.
    """
    if isinstance(turns, str):
        turns = decode(turns, phrase("value.turns"))
    if not isinstance(turns, list):
        raise fault("turns.list")
    messages: list[Message] = []
    results = _Results()
    for i, turn in enumerate(turns):
        try:
            for message in _turn(turn, in_text or tagged_calls, bool(results.due)):
                if message["role"] == "tool":
                    results.place(message, messages)
                    continue
                _append(messages, message)
                if message["role"] == "assistant":
                    results.wait(messages[-1].get("tool_calls", []))
        except InputError as e:
            raise InputError(phrase("turn.at", i=i, what=e.said), fix=e.advice) from None
    for message in messages:
        message.pop("place", None)
        for call in message.get("tool_calls", []):
            call.pop("id", None)
    return messages


@dataclass
class _Results:
    """Which calls wait for results, while a row is read.

    Attributes:
        calls: id (empty where it has none) and tool of the last answer's calls.
        due: the places of those that wait.
        late: tools of earlier calls that still wait, by id.
        ids: whether a call of the row has one.
    """

    calls: list[tuple[str, str]] = field(default_factory=list)
    due: list[int] = field(default_factory=list)
    late: dict[str, str] = field(default_factory=dict)
    ids: bool = False

    def wait(self, calls: list[Message]) -> None:
        late = [*self.late.items(), *(self.calls[n] for n in self.due)]
        self.calls = [(call.get("id", ""), call["function"]["name"]) for call in calls]
        self.due = list(range(len(calls)))
        self.late = {own: tool for own, tool in late if own not in ("", *dict(self.calls))}
        self.ids = self.ids or any(own for own, _ in self.calls)

    def place(self, message: Message, messages: list[Message]) -> None:
        """Add a result at its call's place among the results, with the tool's name.

        Where ids tell calls apart, it has one of theirs, or none. Where they do not (calls without ids, or with equal
        ones), its name or else the order tells which call it answers.

        Raises:
            InputError: no call with its id waits for a result.
        """
        own, name = message.pop("call_id", ""), message.get("name", "")
        told = [own for own, _ in self.calls]
        found = next((n for n in self.due if own and own in self.calls[n]), -1)  # some write the tool's name for an id
        if found < 0 and own in self.late:
            message.setdefault("name", self.late.pop(own))
        elif found < 0:
            if own and (all(told) and len({*told}) == len(told) if told else self.ids):
                raise fault("result.id", id=excerpt(own))
            found = next((n for n in self.due if self.calls[n][1] == name), self.due[0] if self.due else -1)
        if found >= 0:
            self.due.remove(found)
            message.setdefault("name", self.calls[found][1])
        at = len(messages)
        while found >= 0 and messages[at - 1].get("place", -1) > found:
            at -= 1
        messages.insert(at, message | {"place": found})


def call_of(value: Any) -> Message:
    """One call from `{"name", "arguments"}`, with or without `{"type": "function", "function": …}`, object or text."""
    if isinstance(value, str):
        value = decode(value, phrase("value.call"))
    function = value.get("function", value) if isinstance(value, dict) else None
    if isinstance(function, str) and isinstance(value, dict):  # {"function": "f", "arguments": …}
        function = value | {"name": function}
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"].strip():
        raise fault("call.unnamed", value=excerpt(str(value)))
    name = function["name"].strip()
    found = [function[key] for key in ARGUMENTS if key in function]
    if not found and (others := sorted(map(str, function.keys() - CALL))):
        raise fault("call.bare", name=name, others=", ".join(others))
    return tool_call(name, arguments_of(found[0] if found else None, name))


def calls_of(value: Any) -> list[Message]:
    """A list of calls, or one; as text too."""
    if isinstance(value, str):
        value = decode(value, phrase("value.calls")) if value.strip() else []
    return [call_of(call) for call in (value if isinstance(value, list) else [value])]


def arguments_of(value: Any, name: str) -> dict[str, Any]:
    """A call's arguments as an object: decoded where they are text, even twice; nothing is an empty object."""
    for _ in range(2):
        if isinstance(value, str):
            value = decode(value, phrase("value.arguments", name=name)) if value.strip() else {}
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise fault("call.arguments", name=name, value=excerpt(str(value)))
    return value


def tagged_calls(text: str) -> tuple[str, list[Message]]:
    """An assistant's text without its `<tool_call>` blocks, and the calls in them."""
    end = text.find("</think>") + 8 if text.lstrip().startswith("<think>") and "</think>" in text else 0
    blocks, said = _between(text[end:], "tool_call")  # a call that is only thought of is none
    calls = [call for block in blocks for call in calls_of(block)]
    if "<tool_call>" in said or "</tool_call>" in said:
        raise fault("call.unclosed", text=excerpt(said[said.index("tool_call>") - 1 :]))
    return (f"{text[:end]}\n{said}".strip(), calls) if calls else (text, [])


def take_tools(text: str) -> tuple[list[Message], str]:
    for start, end, block in _blocks(text, "tools"):
        if block.startswith(("[", "{")):  # an empty pair of marks is a word in a sentence
            listed = block if block.startswith("[") else [line for line in block.split("\n") if line.strip()]
            return tools_of(listed), (text[:start] + text[end:]).strip()
    return [], text


def text_of(content: Any) -> str:
    """The text of a turn's content: text, a number, or parts that have a text each.

    Raises:
        InputError: it is another value, or has other parts.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, (bool, int, float)):
        return dump_json(content)
    texts = [_part(part) for part in (content if isinstance(content, list) else [content])]
    if not all(isinstance(text, str) for text in texts):
        raise fault("turn.parts")
    return "".join(map(str, texts))


def result_of(content: Any) -> str:
    """The text of a tool's result: text or text parts, or any other value, which is written as JSON."""
    parts = content if isinstance(content, list) else []
    kinds = [str(part.get("type")) if isinstance(part, dict) else "" for part in parts]
    if any(kind.startswith(_MEDIA) for kind in kinds):
        raise fault("turn.parts")
    if parts and all(kind == "text" for kind in kinds):
        return text_of(parts)
    return content if isinstance(content, str) else "" if content is None else dump_json(content)


_MEDIA = ("image", "audio", "video", "input_image", "input_audio")


def _part(part: Any) -> Any:
    """What a content part says; None where it is no text."""
    if not isinstance(part, dict):
        return None
    kind = part.get("type", "text")
    return part.get("text", part.get("value") if kind == "text" else part.get("refusal"))


def _turn(turn: Any, in_text: InText, waiting: bool) -> list[Message]:
    """The messages of a turn; `waiting`: results of calls before it have not come yet."""
    if not isinstance(turn, dict):
        raise fault("turn.object", value=excerpt(str(turn)))
    given = turn.get("role") or turn.get("from")
    value = next((turn[key] for key in ("content", "value") if turn.get(key) is not None), None)
    role = ROLE.get(str(given).strip().lower())
    if given == "function":  # OpenAI's old name for a result, and some ShareGPT files' name for a call
        role = "call" if isinstance(value, str) and '"arguments"' in value and "name" not in turn else "tool"
    if role is None:
        raise fault("role.unknown", role=repr(given), roles=", ".join(ROLE))
    weight = weight_of(turn)
    marks: Message = {"trained": False} if weight == 0 else {}
    if thought := reasoning_of(turn):
        marks[REASONING[0]] = thought
    if role == "call":
        return [{"role": "assistant", "tool_calls": calls_of(value), **marks}]
    if role == "assistant":
        return [_assistant(turn, value, in_text) | marks]
    text = result_of(value) if role == "tool" else text_of(value)
    results, rest = _between(text, "tool_response") if text.lstrip().startswith("<tool_response>") else ([], "")
    if role == "tool":
        return _results(turn, results) if results and not rest else [_result(text) | _about(turn)]
    if role == "user" and waiting and results:  # Hermes' own chat format
        return _results({}, results) + ([{"role": role, "content": rest}] if rest else [])
    return [{"role": role, "content": text}]


def _assistant(turn: Message, value: Any, in_text: InText) -> Message:
    given = turn.get("tool_calls") or ([turn["function_call"]] if turn.get("function_call") else [])
    if isinstance(given, str):
        given = decode(given, "tool_calls")
    if not isinstance(given, list):
        raise fault("calls.list")
    if isinstance(value, list):  # parts: LLaMA-Factory writes calls and reasoning as such
        parts = [part for part in value if isinstance(part, dict)]
        given = [*given, *(call for p in parts if p.get("type") == "tool_call" for call in _listed(p.get("value")))]
        value = [part for part in value if not isinstance(part, dict) or part.get("type") not in _PARTS] or ""
    text = text_of(value) or text_of(turn.get("refusal"))
    message: Message = {"role": "assistant"}
    text, calls = (text, [call_of(call) for call in given]) if given else in_text(text)
    if text or not calls:
        message["content"] = text
    if calls:
        message["tool_calls"] = calls
    for call, own in zip(calls, given, strict=False):
        if isinstance(own, dict) and (number := own.get("id", own.get("call_id"))):
            call["id"] = str(number)
    return message


_PARTS = ("tool_call", *REASONING)
"""Types of content parts that are not what is said."""


def _listed(value: Any) -> list[Any]:
    """The calls of a content part, as objects or texts."""
    value = decode(value, phrase("value.call")) if isinstance(value, str) else value
    return value if isinstance(value, list) else [value]


def _results(turn: Message, parts: list[str]) -> list[Message]:
    """One tool turn for each `<tool_response>` block of a turn."""
    named = [_named_result(part) if part.startswith("{") else {} for part in parts]
    return [_result(part) | said | _about(turn) for part, said in zip(parts, named, strict=True)]


def _result(text: str) -> Message:
    return {"role": "tool", "content": text}


def _about(turn: Message) -> Message:
    """The tool's name and the call's id, where a tool turn has them."""
    name, own = turn.get("name"), turn.get("tool_call_id")
    return ({"name": name} if isinstance(name, str) and name else {}) | ({"call_id": str(own)} if own else {})


def _named_result(text: str) -> Message:
    """The parts of a result that is written as `{"name": …, "content": …}`."""
    try:
        value = decode(text, phrase("value.result"))
    except InputError:
        return {}
    if isinstance(value, dict) and {"name", "content"} <= value.keys() <= {"name", "content", "tool_call_id"}:
        return {"name": str(value["name"]), "content": result_of(value["content"])}
    return {}


def _between(text: str, tag: str) -> tuple[list[str], str]:
    """What stands between `<tag>` and `</tag>`, each time, and the text around; both stripped."""
    inside, outside, pos = list[str](), list[str](), 0
    for start, end, block in _blocks(text, tag):
        outside.append(text[pos:start])
        inside.append(block)
        pos = end
    return inside, "".join([*outside, text[pos:]]).strip()


def _blocks(text: str, tag: str) -> Iterator[tuple[int, int, str]]:
    """Where each block `<tag>…</tag>` starts and ends, and what stands in it, stripped."""
    pos, opening = 0, f"<{tag}>"
    while (start := text.find(opening, pos)) >= 0 and (end := _closing(text, start + len(opening), tag)) >= 0:
        pos = end + len(opening) + 1
        yield start, pos, text[start + len(opening) : end].strip()


def _closing(text: str, start: int, tag: str) -> int:
    """Where the block that starts at `start` is closed, or -1. A mark inside one of its strings closes nothing."""
    mark, pos = f"</{tag}>", _after_values(text, start)
    if pos > start or not _VALUE.match(text, start):
        return text.find(mark, pos)
    # a quotation mark that nothing closes is looked for once: it takes all that is left
    string = r"""\"(?:[^"\\]|\\.)*+(?:"|\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z)"""
    quoted = re.compile(f"{string}|{re.escape(mark)}", re.DOTALL)
    ends = (found.start() for found in quoted.finditer(text, start, start + MAX_DAMAGED) if found.group() == mark)
    return next(ends, text.find(mark, start))  # a Python literal, or damaged


MAX_DAMAGED = 20_000
"""Characters of a block that is no JSON in which its end is looked for outside of strings."""
_VALUE = re.compile(r"[\s,]*(?=[{\[])")


def _after_values(text: str, pos: int) -> int:
    """The place after the JSON objects and lists that stand at `pos`, one after the other; `pos` where none does."""
    decoder = json.JSONDecoder(strict=False)
    while found := _VALUE.match(text, pos):
        try:
            _, pos = decoder.raw_decode(text, found.end())
        except (ValueError, RecursionError):
            break
    return pos


def _append(messages: list[Message], message: Message) -> None:
    """Add a turn; calls that follow an assistant's text, or other calls, belong to the same turn.

    Raises:
        InputError: one part of such a turn is to be trained and the other is not.
    """
    last = messages[-1] if messages else {}
    if message["role"] == last.get("role") == "assistant" and "content" not in message:
        if last.get("trained", True) != message.get("trained", True):
            raise fault("turn.mixed")
        last.setdefault("tool_calls", []).extend(message["tool_calls"])
        if thought := message.get(REASONING[0]):
            last[REASONING[0]] = f"{last[REASONING[0]]}\n{thought}" if REASONING[0] in last else thought
    else:
        messages.append(message)
