"""The no-model probe: how much of a split is solved by looking up the nearest training sentence and refilling numbers.

If this scores high, the split rewards memory and not understanding. Run `python -m data.structural.proof.probe`.
"""

import argparse
import copy
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from data.structural.proof.leaks import requests, shape
from tooltune.files import read_jsonl

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
LIMITS = {"all": 0.35, "T2": 0.10}
"""The most that the probe may solve of the whole test split and of its unseen-phrasing bucket."""


def probe(train: list[dict[str, Any]], test: list[dict[str, Any]]) -> dict[str, float]:
    """Share solved, by bucket and over `all`: calls equal as a multiset, or no call where none is right."""
    known = [(shape(r), r) for r in train]
    index: dict[str, list[int]] = defaultdict(list)
    for i, (mine, _) in enumerate(known):
        for gram in sorted(mine):
            index[gram].append(i)
    solved: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row in test:
        nearest = _nearest(shape(row), known, index)
        right = _same(_refill(nearest, row), _calls(row))
        for bucket in ("all", row["meta"]["bucket"]):
            total[bucket] += 1
            solved[bucket] += right
    return {bucket: solved[bucket] / total[bucket] for bucket in sorted(total)}


def _text(row: dict[str, Any]) -> str:
    return " / ".join(requests(row))


def _nearest(
    mine: frozenset[str], known: list[tuple[frozenset[str], dict[str, Any]]], index: dict[str, list[int]]
) -> dict[str, Any]:
    common: Counter[int] = Counter()
    for gram in sorted(mine):
        common.update(index.get(gram, ()))
    best = max(common, key=lambda i: (common[i] / (len(mine) + len(known[i][0]) - common[i]), -i), default=0)
    return known[best][1]


def _calls(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [c["function"] for c in row["messages"][-1].get("tool_calls") or []]


def _refill(source: dict[str, Any], row: dict[str, Any]) -> list[dict[str, Any]]:
    """The source's calls with each of its numbers replaced by the one at the same place of the other request."""
    old, new = _NUMBER.findall(_text(source)), _NUMBER.findall(_text(row))
    swap = dict(zip(old, new, strict=False))
    back = source["meta"].get("renamed", {})
    calls = []
    for call in copy.deepcopy(_calls(source)):
        names = back.get(call["name"], {"name": call["name"], "parameters": {}})
        arguments = {names["parameters"].get(k, k): _swap(v, swap) for k, v in call["arguments"].items()}
        calls.append({"name": names["name"], "arguments": arguments})
    return calls


def _swap(value: Any, swap: dict[str, str]) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        written = str(abs(value)).removesuffix(".0")
        return float(swap.get(written, written)) * (-1 if value < 0 else 1)
    if isinstance(value, list):
        return [_swap(v, swap) for v in value]
    if isinstance(value, dict):
        return {_swap(k, swap): _swap(v, swap) for k, v in value.items()}
    return _NUMBER.sub(lambda m: swap.get(m.group(), m.group()), value)


def _same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    return sorted(map(_key, one)) == sorted(map(_key, other))


def _key(call: dict[str, Any]) -> str:
    arguments = {
        k: float(v) if isinstance(v, int | float) and not isinstance(v, bool) else v
        for k, v in call["arguments"].items()
    }
    return repr((call["name"], sorted((k, _plain(v)) for k, v in arguments.items())))


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return repr([float(v) if isinstance(v, int | float) else v for v in value])
    return repr(sorted(value.items())) if isinstance(value, dict) else repr(value)


def main() -> None:
    """Print the probe's figures for the files in a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent.parent)
    folder = parser.parse_args().folder
    rows = {s: [r for _, r in read_jsonl(folder / f"{s}.jsonl")] for s in ("train", "validation", "test")}
    for split in ("validation", "test"):
        print(split, " ".join(f"{b} {share:.1%}" for b, share in probe(rows["train"], rows[split]).items()))


if __name__ == "__main__":
    main()
