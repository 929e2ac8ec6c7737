"""The record: one conversation with the tools it offers. The only form in which rows travel through the project."""

from dataclasses import dataclass, field
from typing import Any

from data.validate import check_row


@dataclass
class Record:
    """One training or test row.

    Attributes:
        id: unique within its file.
        messages: OpenAI-style turns. An assistant turn has `content` (text), `tool_calls`, or both; each tool call is
            `{"type": "function", "function": {"name": str, "arguments": object}}`. A tool turn has `name`, `content`.
            An assistant turn with `"trained": false` is read and carries no loss; the last turn is always trained.
            `reasoning_content` is what the answer's author thought: written where the chat template has a place for it.
        tools: OpenAI function schemas, `{"type": "function", "function": {"name", "description", "parameters"}}`.
        meta: what is known about the row: split, bucket, lang, phenomena, template_id, model_id, verified, …
    """

    id: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    meta: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, row: Any, *, where: str = "") -> "Record":
        """Check the shape of one parsed JSON row and make a Record of it.

        Raises:
            InputError: with `where` (file:line) when the row has not the record's shape, has no assistant turn,
                calls a tool that is not offered, or passes arguments that do not match the tool's schema.
        """
        check_row(row, where)
        # Chat templates join texts, and null is none.
        messages = [m | {"content": ""} if "content" in m and m["content"] is None else m for m in row["messages"]]
        return cls(str(row["id"]), messages, row.get("tools") or [], row.get("meta") or {})

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "messages": self.messages, "tools": self.tools, "meta": self.meta}

    @property
    def gold(self) -> list[dict[str, Any]]:
        """The calls of the last assistant turn as `{"name", "arguments"}`; empty when the right answer is text."""
        return calls_of(self.messages[-1])

    @property
    def prompt(self) -> list[dict[str, Any]]:
        """The turns before the last assistant turn: what a model sees when it is asked for this row's answer."""
        return self.messages[:-1]


def calls_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The calls of a turn as `{"name", "arguments"}`; empty where it makes none."""
    return [call["function"] for call in message.get("tool_calls") or []]


def tool_call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """One entry of `tool_calls`, as the record writes it."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}}
