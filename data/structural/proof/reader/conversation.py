"""What a conversation supports: the request first, then, for what it leaves out, the turns before it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from data.structural.proof.reader.numbers import Number
from data.structural.proof.reader.request_mentions import Direction, Ids, RequestMentions, read

T = TypeVar("T")
Call = dict[str, Any]


@dataclass(frozen=True)
class Conversation:
    """The request as read, the earlier user turns as read (newest first), and the calls already made (newest first)."""

    now: RequestMentions
    earlier: tuple[RequestMentions, ...]
    made: tuple[Call, ...]

    def ids(self, kind: str) -> list[Ids]:
        """Id groups that can be nodes ("node") or members ("member"); any of them when kind is ""."""
        found = self._newest(lambda r: [g for g in r.ids if not kind or g.kind in ("", kind)])
        if found or not self.made:
            return found
        return [Ids(tuple(ids), kind, -1, -1) for ids in (_call_ids(c, kind) for c in self.made) if ids]

    def numbers(self, fits: Callable[[Number], bool]) -> list[Number]:
        """Numbers of the newest turn that has any that fit."""
        return self._newest(lambda r: [n for n in r.numbers if fits(n)])

    def directions(self) -> list[Direction]:
        """Directions of the newest turn that has any; else those of the calls made before."""
        if self.made and not self.now.directions and self.matches("반대|opposite|revers"):
            return [Direction(d.axis, -d.sign, -1, -1) for c in self.made for d in _call_directions(c)]
        found = self._newest(lambda r: r.directions)
        return found or [d for c in self.made for d in _call_directions(c)]

    def axes(self) -> set[str]:
        """Axis letters said, as directions or inside DX, FY, MZ …"""
        here = {d.axis[-1].upper() for d in self.now.directions} | {axis for _, axis in self.now.components}
        return here or {d.axis[-1].upper() for d in self.directions()} | {
            axis for r in self.earlier for _, axis in r.components
        }

    def says(self, word: str) -> bool:
        """Whether a name stands in the request or an earlier turn, or was used by a call; case and spaces aside."""
        letters = r"[\s_-]*".join(re.escape(c) for c in re.sub(r"[\s_-]", "", word))
        pattern = re.compile(rf"(?<![A-Za-z]){letters}(?![A-Za-z0-9])", re.I)
        return any(pattern.search(r.text) for r in (self.now, *self.earlier)) or any(
            word in map(str, leaves(c["arguments"])) for c in self.made
        )

    def matches(self, pattern: str) -> bool:
        """Whether a pattern occurs in the request, or, when the request is a short answer, in the turn before."""
        readings = (self.now, *self.earlier[:1]) if self.earlier else (self.now,)
        return any(re.search(pattern, r.text, re.I) for r in readings)

    def _newest(self, pick: Callable[[RequestMentions], list[T]]) -> list[T]:
        return next((found for found in map(pick, (self.now, *self.earlier)) if found), [])


def gather(sentence: str, history: Sequence[dict[str, Any]]) -> Conversation:
    """Read the request and the user turns of its history; collect the calls of the assistant turns."""
    earlier = [read(m["content"]) for m in reversed(history) if m["role"] == "user" and m.get("content")]
    made = [c.get("function", c) for m in reversed(history) for c in reversed(m.get("tool_calls") or [])]
    return Conversation(read(sentence), tuple(earlier), tuple(made))


def _call_ids(call: Call, kind: str) -> list[int]:
    keys = {"node": ("node_id", "node_ids"), "member": ("member_id", "member_ids")}
    wanted = keys.get(kind, (*keys["node"], *keys["member"]))
    values = [call["arguments"][k] for k in wanted if k in call["arguments"]]
    return [i for v in values for i in (v if isinstance(v, list) else [v])]


def _call_directions(call: Call) -> list[Direction]:
    a = call["arguments"]
    axis = a.get("direction") or a.get("axis")
    return [Direction(axis, 1 if a.get("value", 1) > 0 else -1, -1, -1)] if axis else []


def leaves(value: Any) -> list[Any]:
    """Every scalar in a JSON value, the keys of its objects among them."""
    if isinstance(value, dict):
        return [x for k, v in value.items() for x in (k, *leaves(v))]
    return [x for v in value for x in leaves(v)] if isinstance(value, list) else [value]
