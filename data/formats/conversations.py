"""From a row with turns and tools to a record, for the formats that differ only in how they name their columns."""

from typing import Any

from data.formats.schema import tools_of
from data.formats.syntax import own_words
from data.formats.turns import InText, read_turns, take_tools, text_of
from data.words import fault


def record_of(messages: list[dict[str, Any]], tools: Any) -> dict[str, Any]:
    """A record of these turns; where a row has no tools of its own, those that its system text lists are taken.

    What such a text says on how to write calls, the chat template writes anew: it goes to `meta.system`, and the rest
    stays the system turn.
    """
    offered = tools_of(tools)
    if messages and messages[0]["role"] == "system" and "<tools>" in messages[0]["content"]:
        listed, rest = take_tools(messages[0]["content"])
        if listed and offered and {str(tool) for tool in listed} != {str(tool) for tool in offered}:
            raise fault("tools.differ")
        if listed:
            messages = with_system(messages[1:], own_words(rest))
            return {"messages": messages, "tools": offered or listed, "meta": {"system": rest}}
    return {"messages": messages, "tools": offered}


def from_messages(row: dict[str, Any]) -> dict[str, Any]:
    """The record of a row with columns `messages` and `tools` (or `functions`)."""
    messages = with_system(read_turns(row["messages"]), row.get("system"))
    return record_of(messages, row.get("tools") or row.get("functions"))


def from_conversations(row: dict[str, Any], in_text: InText | None = None) -> dict[str, Any]:
    """The record of a row with columns `conversations`, `tools` and perhaps `system`."""
    messages = with_system(read_turns(row["conversations"], in_text), row.get("system"))
    return record_of(messages, row.get("tools"))


def with_system(messages: list[dict[str, Any]], system: Any) -> list[dict[str, Any]]:
    """The turns with a row's system text as the first, before what a system turn of their own says.

    Raises:
        InputError: the system text is no text.
    """
    text = text_of(system)
    if not text.strip():
        return messages
    if messages and messages[0]["role"] == "system":
        own = messages[0]["content"]
        text = own if text.strip() in own else f"{text}\n\n{own}"
        messages = messages[1:]
    return [{"role": "system", "content": text}, *messages]


def said_by(row: dict[str, Any]) -> list[tuple[str, str]]:
    """(from, value) of each turn of `conversations` that is text, for telling formats apart."""
    turns = row.get("conversations")
    pairs = [(t.get("from"), t.get("value")) for t in turns if isinstance(t, dict)] if isinstance(turns, list) else []
    return [(who, said) for who, said in pairs if isinstance(who, str) and isinstance(said, str)]
