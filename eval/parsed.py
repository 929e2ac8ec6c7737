"""What parsing a model's output gives: the calls, and how cleanly they were written."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ToolCall:
    """One call as the model wrote it: the name is never folded or corrected, the arguments keep their JSON types."""

    name: str
    arguments: dict[str, Any]


@dataclass
class Parsed:
    """The reading of one output.

    Attributes:
        calls: every call that could be read, relaxed repairs included (the "repaired" reading). The strict reading
            counts them only when `json_valid and format_ok`.
        json_valid: every payload is strict JSON (for XML and Pythonic families: well formed). True when there was no
            attempt; JSON Validity therefore counts only samples whose gold has a call, and asks `attempted`.
        format_ok: envelope and shape are exactly what the family's chat template writes.
        truncated: the output stopped without the end token (told by the caller) or inside an open envelope.
        attempted: the output tried to call: the family's opening marker or a payload is there, readable or not, whole
            or cut, anywhere but where the marker is only talked about (`eval.formats.mentions`). What is attempted and
            cannot be read has `json_valid` and `format_ok` False and is never a refusal.
        text: what stands outside the calls, think block removed, trimmed.
        problems: one short machine-readable word for each deviation, for example "trailing_comma".
    """

    calls: list[ToolCall] = field(default_factory=list)
    json_valid: bool = False
    format_ok: bool = False
    truncated: bool = False
    attempted: bool = False
    text: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def strict_calls(self) -> list[ToolCall]:
        """The calls that a strict client would get: all of them or none."""
        return self.calls if self.json_valid and self.format_ok else []
