"""Rows that say the same, within a split and across splits: what a model could have learnt by heart."""

import hashlib
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from data.check.finding import Finding, Placed, finding, shorten
from data.overlap import grams, normalised, user_text
from data.record import Record
from tooltune.files import dump_json

NEAR = 0.8
"""Jaccard index of character 3-grams above which two requests count as nearly the same."""
MAX_COMPARED = 4000
"""Characters of a request that are compared for nearness."""


Looking = Callable[..., Iterator[Any]]
"""Goes through a sequence and shows how far it is; a key of `words.yaml` says what for."""


def leaks(rows: Sequence[Placed], looking: Looking) -> list[Finding]:
    """Duplicates, contradictions, and what splits share."""
    splits, requests, states, pairs = [], list[str](), list[str](), []
    for row in looking(rows):
        splits.append(row.split)
        requests.append(normalised(request(row.record)))
        states.append(_state_and_calls(row.record))
        pairs.append(_prompt_and_answer(row.record))
    shared, same_calls = _across(splits, requests), _across(splits, states)
    equal = {later for later, _ in shared}
    return [
        *finding(
            "error",
            "same_request",
            (f"{rows[a].where} = {rows[b].where}: {shorten(request(rows[a].record))}" for a, b in shared),
        ),
        *finding(
            "warning",
            "near_request",
            (
                f"{rows[a].where} ~ {rows[b].where} ({alike:.0%}): {shorten(request(rows[a].record))}"
                for a, b, alike in near_pairs(requests, splits, looking)
                if a not in equal
            ),
            near=NEAR,
        ),
        *finding(
            "warning",
            "same_calls",
            (f"{rows[a].where} = {rows[b].where}" for a, b in same_calls if a not in equal),
        ),
        *_repeats(rows, splits, pairs),
    ]


def request(record: Record) -> str:
    return user_text(record.messages)


def near_pairs(
    texts: Sequence[str], splits: Sequence[str], looking: Looking = lambda rows, key: iter(rows), limit: float = NEAR
) -> Iterator[tuple[int, int, float]]:
    """Each text with the first text of an earlier split that is nearly the same, and how alike they are.

    Sets that are more alike than `limit` share one of their rarest members: with the 3-grams ordered from rare to
    common, one of the first |A| - ceil(limit·|A|) + 1 of each (prefix filtering; Bayardo et al., WWW 2007). Only rows
    that share such a 3-gram are compared.
    """
    if len(set(splits)) < 2:
        return
    numbers: dict[str, int] = {}
    sets = [array("I", (numbers.setdefault(g, len(numbers)) for g in grams(text[:MAX_COMPARED]))) for text in texts]
    often = Counter(gram for found in sets for gram in found)
    index: dict[str, dict[int, list[int]]] = {split: defaultdict(list) for split in splits}
    for i, found in enumerate(looking(sets, "bar.comparing")):
        mine = set(found)
        rare = sorted(mine, key=lambda gram: (often[gram], gram))[: len(mine) - math.ceil(limit * len(mine)) + 1]
        seen: set[int] = set()
        for gram in rare:
            seen.update(*(rows[gram] for split, rows in index.items() if split != splits[i] and gram in rows))
            index[splits[i]][gram].append(i)
        for j in sorted(seen):
            small, large = sorted((len(mine), len(sets[j])))
            if small <= limit * large:
                continue
            both = len(mine.intersection(sets[j]))
            alike = both / (small + large - both)
            if alike > limit:
                yield i, j, alike
                break


def _across(splits: Sequence[str], keys: Sequence[str]) -> list[tuple[int, int]]:
    """Each row whose key an earlier split has, with the first row that has it; empty keys do not count."""
    first: dict[str, int] = {}
    found = []
    for i, key in enumerate(keys):
        if key and splits[first.setdefault(key, i)] != splits[i]:
            found.append((i, first[key]))
    return found


def _state_and_calls(record: Record) -> str:
    state = [m["content"] for m in record.messages if m["role"] == "system"]
    return _digest(dump_json([state, _canonical(record.gold)])) if record.gold else ""


def _prompt_and_answer(record: Record) -> tuple[str, str]:
    tools = sorted(tool["function"]["name"] for tool in record.tools)
    prompt, answer = [_canonical(record.prompt), tools], _canonical(record.messages[-1])
    return _digest(normalised(dump_json(prompt))), _digest(normalised(dump_json(answer)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(value[key]) for key in sorted(value)}
    return [_canonical(v) for v in value] if isinstance(value, list) else value


def _repeats(rows: Sequence[Placed], splits: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[Finding]:
    """Rows of one split with the same prompt: given twice, or answered in two ways."""
    first: dict[tuple[str, str], tuple[int, str]] = {}
    twice, differing = list[str](), list[str]()
    for i, (split, (prompt, answer)) in enumerate(zip(splits, pairs, strict=True)):
        j, other = first.setdefault((split, prompt), (i, answer))
        if j != i:
            (twice if answer == other else differing).append(f"{rows[i].where} = {rows[j].where}")
    return [
        *finding("warning", "same_row", twice),
        *finding("warning", "two_answers", differing),
    ]
