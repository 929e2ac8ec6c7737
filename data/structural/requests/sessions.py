"""Training rows come in sessions: an engineer at one model, who has one list of tools for everything asked there.

The rows of a session have the same system turn and the same tools in the same order, so that whoever trains on them
may read both once. What these depend on is settled for the session: model, language of the descriptions, names. A
session is about a few tools; what else its rows need (conversations, chains) widens the list, and others fill it up.
"""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from data.structural.language.speaker import Speaker
from data.structural.requests import renames, toolsets
from data.structural.requests.frames import COUNTS, Frame, make_frame
from data.structural.requests.intents import HELDOUT, INTENTS, PARALLEL, by_weight
from data.structural.requests.request import Request, Twin
from data.structural.requests.splits import LANGUAGES, STYLES

LONGEST = 16
LENGTHS = (4, 4, 4, 5, 5, 6, 6, 7, 8, 9, 11, 14)
"""How many tools a list may have; one of these is drawn, and exceeded (up to the last) where rows need more."""
ALIKE = (1, 2, 3, 4)
NEEDED = LENGTHS[-1] - 1  # a tool of every list is needed by none of its rows
PATIENCE = 60  # so many drafts of a row have to do with the tools that are there, later ones may bring their own
Way = tuple[str, str]
_SINGLE = {name: weight for name, (_, weight) in INTENTS.items() if weight}
_WAYS: dict[Way, float] = {
    (lang, style): share * portion
    for lang, share in (("ko", 1 - LANGUAGES["en"]), ("en", LANGUAGES["en"]))
    for style, portion in STYLES.items()
}


@dataclass
class Drawn:
    """What the sessions so far hold: rows by way, and single requests by tool."""

    ways: Counter[Way] = field(default_factory=Counter)
    singles: Counter[str] = field(default_factory=Counter)

    def wanted(self, names: Iterable[str]) -> dict[str, float]:
        """How far each of these tools is behind its share of the single requests; never quite nothing."""
        total = (self.singles.total() + 10) / sum(_SINGLE.values())
        return {n: max(_SINGLE[n] * total - self.singles[n], 0.05) for n in names}


@dataclass
class Session:
    """One session while its rows are drawn.

    Attributes:
        name: what `meta.session` of its rows says.
        way: the language of the descriptions (ko, en) and the style of the tools (see `splits.STYLES`).
        size: how many rows it is to have.
        about: the tools that it is about, and those that rows brought in.
        rows: those it has; until `offer` each of them offers only the tools that it needs.
        twins: what its next single rows are to ask for, the twins of its rows without a call.
    """

    name: str
    model: Frame
    way: Way
    size: int
    about: list[str]
    speaker: Speaker
    drawn: Drawn
    rows: list[dict[str, Any]] = field(default_factory=list)
    twins: list[Twin] = field(default_factory=list)

    @property
    def languages(self) -> dict[str, float]:
        """The languages of its rows, with their weights: English, or Korean with some mixed."""
        return {lang: weight for lang, weight in LANGUAGES.items() if (lang == "en") == (self.way[0] == "en")}

    def weights(self, kind: str) -> dict[str, float]:
        """The tools that a single or a parallel request may be for, by weight."""
        if kind == "parallel":
            return {n: w for n, w in PARALLEL.items() if n in self.about} or PARALLEL
        return self.drawn.wanted(n for n in self.about if n in _SINGLE)

    def fits(self, kind: str, tools: list[str], attempt: int) -> bool:
        """Whether a draft that needs these tools may be a row; conversations and chains may always widen the list."""
        free = kind in ("multi_tool", "multi_turn") or attempt >= PATIENCE
        return {*tools} <= {*self.about} or (free and len({*tools, *self.about}) <= NEEDED)

    def twin(self, kind: str, attempt: int) -> Twin | None:
        """The twin that a draft is to be; after a few refusals it is given up."""
        return self.twins[0] if kind == "single" and self.twins and attempt < 3 else None

    def add(self, row: dict[str, Any], request: Request) -> None:
        """Take a row in, made from this request."""
        self.rows.append(row)
        self.about += [n for n in _needed([row]) if n not in self.about]
        self.drawn.ways[self.way] += 1
        if row["meta"]["phenomena"][0] == "single":
            self.drawn.singles[row["meta"]["relevant_tools"][0]] += 1
            self.twins = self.twins[1:]
        self.twins += [request.twin] if request.twin else []

    def offer(self, rows: list[dict[str, Any]], seen: set[tuple[str, ...]]) -> list[str]:
        """Draw a list of tools, one not in `seen`, for these rows of the session that is full, and put it on them.

        Returns:
            The names before any renaming.
        """
        names = toolsets.choose(self.speaker, _needed(rows), LENGTHS, ALIKE, others=1, seen=seen)
        renames.offer_to(rows, names, *self.way, self.speaker, set(HELDOUT))
        return names


def start(number: int, seed: int, drawn: Drawn) -> Session:
    """The numbered session, in the way that is furthest behind its share."""
    speaker = Speaker(random.Random(f"{seed}:train:session:{number}"))
    total = drawn.ways.total()
    way = max(_WAYS, key=lambda w: _WAYS[w] * total - drawn.ways[w]) if total else ("ko", "")
    size = speaker.at(range(1, LONGEST // 2 + 1)) + speaker.at(range(LONGEST // 2 + 1))
    about: list[str] = []
    while len(about) < 1 + size // 4:
        about.append(by_weight(speaker.rng.random(), drawn.wanted(n for n in _SINGLE if n not in about)))
    model = make_frame("train", number * 37 % COUNTS["train"])  # 37: every model in turn, neighbours unlike
    return Session(f"session-{number:03d}", model, way, size, about, speaker, drawn)


def _needed(rows: list[dict[str, Any]]) -> list[str]:
    """The tools that rows of an open session need, each once."""
    return list(dict.fromkeys(t["function"]["name"] for row in rows for t in row["tools"]))
