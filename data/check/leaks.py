"""Rows that say the same, within a split and across splits: what a model could have learnt by heart."""

import hashlib
import math
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    splits: list[str] = []
    requests, states, prompts, answers = (array("Q") for _ in range(4))
    for row in looking(rows):
        splits.append(row.split)
        requests.append(_digest(normalised(request(row.record))))
        states.append(_state_and_calls(row.record))
        prompt, answer = _prompt_and_answer(row.record)
        prompts.append(prompt)
        answers.append(answer)
    texts = (normalised(request(row.record)) for row in looking(rows, "bar.comparing"))
    shared, same_calls = _across(splits, requests), _across(splits, states)
    equal = {later for later, _ in shared}

    def places(pair: tuple[int, int]) -> str:
        return f"{rows[pair[0]].where} = {rows[pair[1]].where}"

    def said(row: int) -> str:
        return shorten(request(rows[row].record))

    def near(pair: tuple[int, int, float]) -> str:
        return f"{rows[pair[0]].where} ~ {rows[pair[1]].where} ({pair[2]:.0%}): {said(pair[0])}"

    alike = (pair for pair in near_pairs(texts, splits, looking) if pair[0] not in equal)
    earlier = _earlier(splits, prompts)
    again = [i for i, j in enumerate(earlier) if i != j]
    twice = ((i, earlier[i]) for i in again if answers[i] == answers[earlier[i]])
    differing = ((i, earlier[i]) for i in again if answers[i] != answers[earlier[i]])
    return [
        *finding("error", "same_request", shared, lambda pair: f"{places(pair)}: {said(pair[0])}"),
        *finding("warning", "near_request", alike, near, near=NEAR),
        *finding("warning", "same_calls", (pair for pair in same_calls if pair[0] not in equal), places),
        *finding("warning", "same_row", twice, places),
        *finding("warning", "two_answers", differing, places),
    ]


def request(record: Record) -> str:
    return user_text(record.messages)


def near_pairs(
    texts: Iterable[str], splits: Sequence[str], looking: Looking = lambda rows, key: iter(rows), limit: float = NEAR
) -> Iterator[tuple[int, int, float]]:
    """Each text with the first text of an earlier split that is nearly the same, and how alike they are.

    Sets that are more alike than `limit` share one of their rarest members: with the 3-grams ordered from rare to
    common, one of the first |A| - ceil(limit·|A|) + 1 of each (prefix filtering; Bayardo et al., WWW 2007). Only rows
    that share such a 3-gram are compared, so one that occurs in a single split is not looked up.
    """
    if len(set(splits)) < 2:
        return
    numbers: dict[str, int] = {}
    sets = [array("I", (numbers.setdefault(g, len(numbers)) for g in grams(text[:MAX_COMPARED]))) for text in texts]
    often, only = [0] * len(numbers), list[str | None]([None] * len(numbers))  # the only split with a gram; "": several
    del numbers
    for split, found in zip(splits, sets, strict=True):
        for gram in found:
            often[gram] += 1
            only[gram] = split if only[gram] in (None, split) else ""
    index: dict[str, dict[int, list[int]]] = {split: defaultdict(list) for split in splits}
    for i, found in enumerate(looking(sets, "bar.comparing")):
        mine = set(found)
        rare = sorted(mine, key=lambda gram: (often[gram], gram))[: len(mine) - math.ceil(limit * len(mine)) + 1]
        seen: set[int] = set()
        for gram in rare:
            if only[gram]:
                continue
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


def _across(splits: Sequence[str], keys: Sequence[int]) -> list[tuple[int, int]]:
    """Each row whose key an earlier split has, with the first row that has it; 0 is none."""
    first: dict[int, int] = {}
    found = []
    for i, key in enumerate(keys):
        if key and splits[first.setdefault(key, i)] != splits[i]:
            found.append((i, first[key]))
    return found


def _state_and_calls(record: Record) -> int:
    state = [m["content"] for m in record.messages if m["role"] == "system"]
    return _digest(dump_json([state, _canonical(record.gold)])) if record.gold else 0


def _prompt_and_answer(record: Record) -> tuple[int, int]:
    tools = sorted(tool["function"]["name"] for tool in record.tools)
    prompt, answer = [_canonical(record.prompt), tools], _canonical(record.messages[-1])
    return _digest(normalised(dump_json(prompt))), _digest(normalised(dump_json(answer)))


def _digest(text: str) -> int:
    """64 bits of a text, 0 of an empty one. Of a million rows some two are the same by chance once in 40 million."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") if text else 0


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(value[key]) for key in sorted(value)}
    return [_canonical(v) for v in value] if isinstance(value, list) else value


def _earlier(splits: Sequence[str], prompts: Sequence[int]) -> "array[int]":
    """For each row the first of its split with its prompt, which may be itself."""
    first: dict[tuple[str, int], int] = {}
    return array("Q", (first.setdefault(key, i) for i, key in enumerate(zip(splits, prompts, strict=True))))
