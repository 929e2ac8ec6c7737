"""A finding: what a rule saw in a run's figures, and its words in Korean and English."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from tooltune.metrics import HEADLINE
from tooltune.words import LANGUAGES, Language

Level = Literal["good", "note", "warning", "fault"]

NAMED_IDS = 8
"""Row ids that a sentence names before it says how many more there are."""


@dataclass(frozen=True)
class Words:
    """A finding in one language. Plain text: row ids in it come from the data, so a page escapes it."""

    title: str
    meaning: str
    advice: str


@dataclass(frozen=True)
class RunFinding:
    """What a rule found.

    Attributes:
        rule: its name, the key of its words.
        level: `fault`: the run is of no use as it is; `warning`: something costs quality, time or safety; `note`:
            worth knowing; `good`: as it should be.
        figures: those that led to it, unrounded. `step` and `epoch` say where, where there is such a place.
    """

    rule: str
    level: Level
    figures: dict[str, Any]

    def text(self, lang: Language) -> Words:
        """Title, meaning and advice, the figures filled in."""
        values = {name: _value(value, lang) for name, value in self.figures.items()}
        parts = _words()[self.rule]
        return Words(*(parts[part][LANGUAGES.index(lang)].format(**values) for part in ("title", "meaning", "advice")))


def verdict_word(word: str, lang: Language) -> str:
    """A word of the epoch table ("overfitting") in a language; as it is where the table knows no other."""
    return str(_words()["verdicts"].get(word, [word, word])[LANGUAGES.index(lang)])


def _value(value: Any, lang: Language) -> Any:
    if isinstance(value, Mapping):
        names = {m.key: m.column(lang) for m in HEADLINE}
        return ", ".join(f"{names[key]} {a:.0%} → {b:.0%}" for key, (a, b) in value.items())
    if not isinstance(value, Sequence) or isinstance(value, str):
        return value
    unknown, longer = (_words()[key][LANGUAGES.index(lang)] for key in ("unknown_rows", "more_rows"))
    if not value:
        return unknown
    named = ", ".join(map(str, value[:NAMED_IDS]))
    return named if len(value) <= NAMED_IDS else longer.format(named=named, n=len(value) - NAMED_IDS)


@cache
def _words() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))
    return read
