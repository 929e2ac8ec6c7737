"""Leak checks: what a split may not share with another, as rules for the builder and as functions for the tests."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from data import overlap
from data.overlap import grams, near, user_text
from data.structural.engine.tool_schemas import core_tools, heldout_tools
from data.structural.requests.frames import spec_of

_NUMBER_WORDS = re.compile(
    r"[영일이삼사오육칠팔구십백천만]+(점[영일이삼사오육칠팔구]+)?(?=\s*(번|kN|킬로|톤|N|뉴턴|tonf|kgf))"
)
_UNITS = re.compile(
    r"kn|tonf|kgf|킬로뉴턴|킬로그램포스|톤포스|톤|뉴턴|ton|mm|cm|㎜|㎝|(?<=#)\s*(n|m)(?![a-z])|[·*.\-/](m²|m2|㎡|m)|%|m²|㎡"
)
_AXES = re.compile(r"(?<![a-z])[xyz](?![a-z])|(?<![a-z])[dr][xyz](?![a-z])|(?<![a-z])[fm][xyz](?![a-z])|엑스|와이|제트")
_NAMES = re.compile(r"(?<![a-z])(lcb|comb|cb)#|h-[#.x]+|rc-[#x]+")


def requests(row: dict[str, Any]) -> list[str]:
    """Everything the user says in a row."""
    return [m["content"] for m in row["messages"] if m["role"] == "user"]


def normalised(row: dict[str, Any]) -> str:
    """(a) The user's words without case, width or spaces."""
    return overlap.normalised(user_text(row["messages"]))


def fingerprint(text: str) -> str:
    """A short hash of one sentence without case, width, spaces and end marks."""
    plain = re.sub(r"[\s.?!]", "", unicodedata.normalize("NFKC", text).lower())
    return hashlib.sha256(plain.encode("utf-8")).hexdigest()[:16]


@cache
def reserved() -> frozenset[str]:
    """Fingerprints of the hand-written requests that test the rest of the project; no row may repeat one."""
    return frozenset(json.loads((Path(__file__).parent.parent / "reserved.json").read_text(encoding="utf-8")))


def reserved_requests(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Ids of rows in which the user says a reserved sentence."""
    return [r["id"] for r in rows if any(fingerprint(text) in reserved() for text in requests(r))]


def skeleton(row: dict[str, Any]) -> str:
    """(b) The user's words with digits, number words, units, axes, ids and names masked."""
    text = unicodedata.normalize("NFKC", user_text(row["messages"])).lower()
    model = spec_of(row["meta"])
    for name in sorted(model.sections, key=len, reverse=True):
        text = text.replace(name.lower(), "§")
    for name in sorted(model.cases, key=len, reverse=True):
        text = re.sub(rf"(?<![a-z]){re.escape(name.lower())}(?![a-z0-9])", "§", text)
    text = _NUMBER_WORDS.sub("#", text)
    text = re.sub(r"\d+(\.\d+)?", "#", text)
    text = _NAMES.sub("§", text)
    text = _AXES.sub("@", _UNITS.sub("u", text))
    return re.sub(r"[\s.?!]", "", text)


def shape(row: dict[str, Any]) -> frozenset[str]:
    """The character 3-grams of the user's words without their numbers."""
    return overlap.shape(user_text(row["messages"]))


def call_key(row: dict[str, Any]) -> str:
    """(d) The state and the gold calls: what an answer depends on."""
    calls = [c["function"] for c in row["messages"][-1].get("tool_calls") or []]
    said = "" if calls else normalised(row)
    return json.dumps([row["messages"][0]["content"], calls, said], ensure_ascii=False, sort_keys=True)


def toolset(row: dict[str, Any]) -> tuple[str, ...]:
    """The names of the offered tools, whatever their order."""
    return tuple(sorted(t["function"]["name"] for t in row["tools"]))


def offered(row: dict[str, Any]) -> tuple[str, ...]:
    """The same in the project's names, where the row's tools are renamed."""
    back = row["meta"].get("renamed", {})
    return tuple(sorted(back.get(n, {"name": n})["name"] for n in toolset(row)))


LOOKUP_LIMITS = {"all": 0.35, "T2": 0.10}
"""The most that look-up may solve of the whole test split and of its unseen-phrasing bucket."""
SHAPE_LIMIT = 0.3
"""How near a T2 row may come to a training sentence when both have lost their numbers (Jaccard index of 3-grams)."""


@dataclass
class Seen:
    """What earlier rows said; the builder draws again when a row would repeat or come too near.

    Attributes:
        toolsets: the lists of tools that another split, or another session, may not have.
        held: skeletons of T2–T5 rows, which no training row may have.
        training, shapes: the 3-grams of training sentences, with and without their numbers.
        held_grams, held_shapes: the same of T2–T5 and of T2 sentences.
    """

    sentences: set[str] = field(default_factory=set)
    skeletons: dict[str, str] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    toolsets: set[tuple[str, ...]] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    training: list[frozenset[str]] = field(default_factory=list)
    shapes: list[frozenset[str]] = field(default_factory=list)
    held_grams: list[frozenset[str]] = field(default_factory=list)
    held_shapes: list[frozenset[str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, rows: Iterable[dict[str, Any]]) -> "Seen":
        """What rows that stand said, and their lists of tools."""
        seen = cls()
        for row in rows:
            seen.remember(row)
            seen.toolsets.add(offered(row))
        return seen

    def take(self, row: dict[str, Any]) -> bool:
        """Accept a row and remember it, or refuse it."""
        if normalised(row) in self.sentences or call_key(row) in self.keys or reserved_requests([row]):
            return False
        if self._leaks(row):
            return False
        self.remember(row)
        return True

    def _leaks(self, row: dict[str, Any]) -> bool:
        """Whether a T2–T5 row comes too near to another split, or a training row to one of those."""
        bones, meta = skeleton(row), row["meta"]
        if meta["bucket"] == "T1":
            return False
        train, t2 = meta["split"] == "train", meta["bucket"] == "T2"
        if bones in self.held if train else self.skeletons.get(bones, meta["split"]) != meta["split"]:
            return True
        found, bare = grams(normalised(row)), shape(row)
        shapes = self.held_shapes if train else self.shapes if t2 else []
        return any(near(found, other) for other in (self.held_grams if train else self.training)) or any(
            near(bare, other, SHAPE_LIMIT) for other in shapes
        )

    def remember(self, row: dict[str, Any]) -> None:
        """Take a row as given."""
        bones, meta = skeleton(row), row["meta"]
        self.sentences.add(normalised(row))
        self.keys.add(call_key(row))
        self.skeletons.setdefault(bones, meta["split"])
        if meta["split"] == "train":
            self.training.append(grams(normalised(row)))
            self.shapes.append(shape(row))
        elif meta["bucket"] != "T1":
            self.held.add(bones)
            self.held_grams.append(grams(normalised(row)))
            self.held_shapes += [shape(row)] if meta["bucket"] == "T2" else []


def shared_sentences(splits: dict[str, list[dict[str, Any]]]) -> list[str]:
    """(a) Normalised sentences that occur in more than one split."""
    return _shared({s: [normalised(r) for r in rows] for s, rows in splits.items()})


def shared_skeletons(splits: dict[str, list[dict[str, Any]]]) -> list[str]:
    """(b) Skeletons of T2–T5 rows that occur in another split."""
    everywhere = {s: {skeleton(r) for r in rows} for s, rows in splits.items()}
    found = []
    for split, rows in splits.items():
        others = [bones for s, bones in everywhere.items() if s != split]
        bones = [skeleton(r) for r in rows if r["meta"]["bucket"] not in ("train", "T1")]
        found += [b for b in bones if any(b in o for o in others)]
    return found


def near_duplicates(train: Iterable[dict[str, Any]], other: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """(c) Pairs of a T2–T5 row and a training row whose sentences are almost the same."""
    known = [(r["id"], grams(normalised(r))) for r in train]
    found = []
    for row in other:
        if row["meta"]["bucket"] != "T1":
            mine = grams(normalised(row))
            found += [(row["id"], i) for i, theirs in known if near(mine, theirs)]
    return found


def shared_calls(splits: dict[str, list[dict[str, Any]]]) -> list[str]:
    """(d) Equal (state, calls) pairs in two splits."""
    return _shared({s: [call_key(r) for r in rows] for s, rows in splits.items()})


def heldout_names() -> list[str]:
    """The held-out tools' names and those of their arguments that no core tool has."""
    core = {p for t in core_tools() for p in t["function"]["parameters"]["properties"]}
    names = []
    for tool in heldout_tools():
        names.append(tool["function"]["name"])
        names += [p for p in tool["function"]["parameters"]["properties"] if p not in core]
    return sorted(set(names))


def heldout_mentions(rows: Iterable[dict[str, Any]]) -> list[str]:
    """(e) Ids of rows whose turns or tools contain a held-out name as a word."""
    pattern = re.compile(r"(?<![A-Za-z_])(" + "|".join(heldout_names()) + r")(?![A-Za-z_])")
    return [r["id"] for r in rows if pattern.search(json.dumps([r["messages"], r["tools"]], ensure_ascii=False))]


def _shared(keys: dict[str, list[str]]) -> list[str]:
    where: dict[str, str] = {}
    found = []
    for split, values in keys.items():
        for value in values:
            if where.setdefault(value, split) != split:
                found.append(value)
    return found
