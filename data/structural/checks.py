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

from data.structural.toolsets import core_tools, heldout_tools

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
    text = unicodedata.normalize("NFKC", " / ".join(requests(row))).lower()
    return re.sub(r"\s", "", text)


def fingerprint(text: str) -> str:
    """A short hash of one sentence without case, width, spaces and end marks."""
    plain = re.sub(r"[\s.?!]", "", unicodedata.normalize("NFKC", text).lower())
    return hashlib.sha256(plain.encode("utf-8")).hexdigest()[:16]


@cache
def reserved() -> frozenset[str]:
    """Fingerprints of the hand-written requests that test the rest of the project; no row may repeat one."""
    return frozenset(json.loads((Path(__file__).parent / "reserved.json").read_text(encoding="utf-8")))


def reserved_requests(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Ids of rows in which the user says a reserved sentence."""
    return [r["id"] for r in rows if any(fingerprint(text) in reserved() for text in requests(r))]


def skeleton(row: dict[str, Any]) -> str:
    """(b) The user's words with digits, number words, units, axes, ids and names masked."""
    text = unicodedata.normalize("NFKC", " / ".join(requests(row))).lower()
    for name in sorted(row["meta"]["model"]["sections"], key=len, reverse=True):
        text = text.replace(name.lower(), "§")
    names = list(row["meta"]["model"]["cases"])
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<![a-z]){re.escape(name.lower())}(?![a-z0-9])", "§", text)
    text = _NUMBER_WORDS.sub("#", text)
    text = re.sub(r"\d+(\.\d+)?", "#", text)
    text = _NAMES.sub("§", text)
    text = _AXES.sub("@", _UNITS.sub("u", text))
    return re.sub(r"[\s.?!]", "", text)


def grams(text: str) -> frozenset[str]:
    """The character 3-grams of a normalised sentence."""
    return frozenset(text[i : i + 3] for i in range(len(text) - 2)) or frozenset((text,))


def shape(row: dict[str, Any]) -> frozenset[str]:
    """The character 3-grams of the user's words without their numbers."""
    return grams(re.sub(r"\d+(?:\.\d+)?|\s", "", " / ".join(requests(row)).lower()))


def near(one: frozenset[str], other: frozenset[str], limit: float = 0.8) -> bool:
    """(c) Whether two 3-gram sets have a Jaccard index above the limit."""
    small, large = sorted((len(one), len(other)))
    if small <= limit * large:
        return False
    both = len(one & other)
    return both > limit * (len(one) + len(other) - both)


def call_key(row: dict[str, Any]) -> str:
    """(d) The state and the gold calls: what an answer depends on."""
    calls = [c["function"] for c in row["messages"][-1].get("tool_calls") or []]
    said = "" if calls else normalised(row)
    return json.dumps([row["messages"][0]["content"], calls, said], ensure_ascii=False, sort_keys=True)


def toolset(row: dict[str, Any]) -> tuple[str, ...]:
    """The names of the offered tools, whatever their order."""
    return tuple(sorted(t["function"]["name"] for t in row["tools"]))


SHAPE_LIMIT = 0.3
"""How near a T2 row may come to a training sentence when both have lost their numbers (Jaccard index of 3-grams)."""


@dataclass
class Seen:
    """What earlier rows said; the builder draws again when a row would repeat or come too near."""

    sentences: set[str] = field(default_factory=set)
    skeletons: dict[str, str] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    toolsets: set[tuple[str, ...]] = field(default_factory=set)  # of the training sessions
    training: list[frozenset[str]] = field(default_factory=list)
    shapes: list[frozenset[str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def take(self, row: dict[str, Any]) -> bool:
        """Accept a row and remember it, or refuse it."""
        text, bones, key, meta = normalised(row), skeleton(row), call_key(row), row["meta"]
        if text in self.sentences or key in self.keys or reserved_requests([row]):
            return False
        new = meta["bucket"] not in ("train", "T1")
        if new and self.skeletons.get(bones, meta["split"]) != meta["split"]:
            return False
        found = grams(text)
        if new and any(near(found, other) for other in self.training):
            return False
        bare = shape(row)
        if meta["bucket"] == "T2" and any(near(bare, other, SHAPE_LIMIT) for other in self.shapes):
            return False
        self.sentences.add(text)
        self.keys.add(key)
        self.skeletons.setdefault(bones, meta["split"])
        if meta["split"] == "train":
            self.training.append(found)
            self.shapes.append(bare)
        return True


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
