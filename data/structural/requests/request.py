"""One command of a user: the calls that it means and the slots its sentence is made of, from one intent."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from data.structural.language import quantities as units
from data.structural.language.sentence import say, sentence
from data.structural.language.speaker import Choice, Speaker
from data.structural.requests.frames import Frame

Call = tuple[str, dict[str, Any]]


@dataclass
class Situation:
    """Where a request is made: the model, whose values may be used, who speaks, and what is fixed beforehand.

    Attributes:
        split: the value pool.
        many: how many ids a request for a single-id tool should name (parallel calls).
        fix: slots that earlier clauses have settled: `case`, `name`, `section`, `load`, `node`, …
        about: the tools of the training session, which a request should rather be for.
    """

    model: Frame
    split: str
    speaker: Speaker
    many: int = 1
    fix: dict[str, Any] = field(default_factory=dict)
    about: list[str] = field(default_factory=list)

    def amount(self, kind: str) -> units.Amount:
        return units.draw(self.speaker, self.split, kind)

    def some(self, pool: list[int], count: int) -> list[int]:
        """`count` ids of a pool in ascending order, in a row two times in three."""
        speaker = self.speaker
        count = min(count, len(pool))
        if speaker.chance(0.66):
            start = int(speaker.rng.random() * (len(pool) - count + 1))
            return pool[start : start + count]
        left = list(pool)
        return sorted(left.pop(int(speaker.rng.random() * len(left))) for _ in range(count))


@dataclass
class Command:
    """The calls and their words.

    Attributes:
        calls: the gold calls, arguments in any order (`ordered` sorts them).
        slots: slot name → text, particles still marked.
        needs: required slot → (what to ask back for when it is unsaid, the words left in its place).
        topic: what a later turn may call this (`절점`, a load case …): material for follow-ups.
    """

    calls: list[Call]
    slots: dict[str, str]
    ko: Choice
    en: Choice
    needs: dict[str, tuple[str, str]] = field(default_factory=dict)
    topic: dict[str, Any] = field(default_factory=dict)

    @property
    def tool(self) -> str:
        return self.calls[0][0]

    def clause(self, speaker: Speaker, mode: str = "final") -> str:
        return say(speaker, self.ko if speaker.korean else self.en, self.slots, mode)

    def sentence(self, speaker: Speaker) -> str:
        return sentence(speaker, self.ko, self.en, self.slots)


@dataclass
class Twin:
    """A sentence close to one that no call answers, its calls, and the speaker that said it."""

    text: str
    calls: list[Call]
    speaker: Speaker


@dataclass
class Request:
    """What a row is made of, besides its model and tools.

    Attributes:
        text: the user's last turn.
        calls: the gold calls; empty when the right answer is `answer`.
        template: which kind of request it is, for the row's template_id.
        history: the turns before.
        concerns: the tools that it is or seems to be about.
        refused: the calls that it literally asks for and the engine must refuse.
        acceptable: further right argument values, as `meta.acceptable` writes them.
        twin: the nearest request that a call does answer, for the same training session.
    """

    text: str
    calls: list[Call]
    template: str
    history: list[dict[str, Any]] = field(default_factory=list)
    answer: str = ""
    concerns: list[str] = field(default_factory=list)
    refused: list[Call] = field(default_factory=list)
    acceptable: dict[str, Any] = field(default_factory=dict)
    twin: Twin | None = None

    @property
    def tools(self) -> list[str]:
        """The tools that a row with this request has to offer, those of its history last."""
        earlier = [c["function"]["name"] for m in self.history for c in m.get("tool_calls") or []]
        return list(dict.fromkeys([*(name for name, _ in self.calls), *self.concerns, *earlier]))


Intent = Callable[[Situation], Command]
