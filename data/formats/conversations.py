"""From a row with turns and tools to a record, for the formats that differ only in how they name their columns."""

from typing import Any

from data.formats.schema import tools_of
from data.formats.turns import InText, read_turns, take_tools


def record_of(messages: list[dict[str, Any]], tools: Any) -> dict[str, Any]:
    """A record of these turns; where a row has no tools of its own, those that its system text lists are taken.

    Such a text is an instruction on how to write calls, which the chat template writes anew: it goes to `meta.system`.
    """
    offered = tools_of(tools)
    if messages and messages[0]["role"] == "system" and "<tools>" in messages[0]["content"]:
        listed, rest = take_tools(messages[0]["content"])
        if listed:
            return {"messages": messages[1:], "tools": offered or listed, "meta": {"system": rest}}
    return {"messages": messages, "tools": offered}


def from_messages(row: dict[str, Any]) -> dict[str, Any]:
    """The record of a row with columns `messages` and `tools` (or `functions`)."""
    return record_of(read_turns(row["messages"]), row.get("tools") or row.get("functions"))


def from_conversations(row: dict[str, Any], in_text: InText | None = None) -> dict[str, Any]:
    """The record of a row with columns `conversations`, `tools` and perhaps `system`."""
    messages = read_turns(row["conversations"], in_text)
    system = row.get("system")
    if isinstance(system, str) and system.strip() and (not messages or messages[0]["role"] != "system"):
        messages = [{"role": "system", "content": system}, *messages]
    return record_of(messages, row.get("tools"))


def said_by(row: dict[str, Any]) -> list[tuple[str, str]]:
    """(from, value) of each turn of `conversations` that is text, for telling formats apart."""
    turns = row.get("conversations")
    pairs = [(t.get("from"), t.get("value")) for t in turns if isinstance(t, dict)] if isinstance(turns, list) else []
    return [(who, said) for who, said in pairs if isinstance(who, str) and isinstance(said, str)]
