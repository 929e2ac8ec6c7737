"""ToolACE: the tools are a JSON list inside the system text, the calls `[Name(a=1), …]` in the assistant's turns.

The system text explains the bracket syntax, which the chat template replaces: it goes to `meta.system`. What else it
says (a date, a role, a rule) stays the system turn.
"""

from collections.abc import Iterable
from typing import Any

from data.formats.bracket import is_call_list, read_calls
from data.formats.companion_files import Beside
from data.formats.conversations import from_conversations, said_by
from data.formats.literals import MAX_TEXT, decoder
from data.formats.schema import tools_of
from data.formats.syntax import own_words
from data.record import tool_call
from data.words import fault, phrase

NAME = "ToolACE"
_ROLES = {"user", "assistant", "tool", "system"}


def matches(row: dict[str, Any]) -> bool:
    """Whether a row has the tools in its system text and no column for them."""
    found = said_by(row)
    return (
        isinstance(row.get("system"), str)
        and not row.get("tools")
        and bool(found)
        and {who for who, _ in found} <= _ROLES
        and not any("<tool_call>" in said for _, said in found)
        and ("[" in row["system"] or any(who == "assistant" and is_call_list(said) for who, said in found))
    )


def read(row: dict[str, Any], beside: Beside) -> Iterable[dict[str, Any]]:
    tools, rest = listed_tools(str(row.get("system") or ""))
    known = [tool["function"]["name"] for tool in tools]

    def in_text(text: str) -> tuple[str, list[dict[str, Any]]]:
        if not is_call_list(text):
            return text, []
        calls = read_calls(text, known)
        if unnamed := next((name for name, positional, _ in calls if positional), None):
            raise fault("call.positional", name=unnamed)
        return "", [tool_call(name, named) for name, _, named in calls]

    made = from_conversations(row | {"system": own_words(rest) if tools else row.get("system")}, in_text)
    return [made | {"tools": tools, "meta": {"system": rest} if tools else {}}]


def listed_tools(text: str) -> tuple[list[dict[str, Any]], str]:
    if len(text) > MAX_TEXT:
        raise fault("system.long", most=MAX_TEXT)
    pos, twice = -1, list[str]()
    for _ in range(100):
        pos = text.find("[", pos + 1)
        if pos < 0:
            break
        try:
            value, end = decoder(twice).raw_decode(text, pos)
        except (ValueError, RecursionError):
            continue
        if value and isinstance(value, list) and isinstance(value[0], dict) and "name" in value[0]:
            if twice:
                raise fault("decode.twice", what=phrase("value.tools"), key=repr(twice[0]))
            return tools_of(value), f"{text[:pos].strip()}\n{text[end:].strip()}".strip()
    return [], text
