"""BFCL's questions of one turn, as the `bfcl-eval` package holds them: functions, and the answers that are right."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

from data.formats.schema import tools_of
from eval.parsed import ToolCall
from tooltune.files import read_jsonl

CATEGORIES = ("simple_python", "multiple", "parallel", "parallel_multiple", "live_simple")
MAX_VARIANTS = 64
"""Alternatives of one nested value that are listed."""
Truth = list[dict[str, dict[str, list[Any]]]]


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes:
        functions: the schemas as BFCL writes them (types dict, float, tuple, any).
        truth: the right calls, `{function: {argument: [right values]}}`; "" in a list: it may be left out.
        tools: the same schemas as OpenAI functions.
    """

    id: str
    category: str
    functions: list[dict[str, Any]]
    truth: Truth
    tools: list[dict[str, Any]]

    def parameters(self, function: str) -> dict[str, Any]:
        """The parameter schema of a function; empty for one that is not there."""
        found = [t["function"]["parameters"] for t in self.tools if t["function"]["name"] == function]
        return found[0] if found else {}

    def required(self, function: str) -> set[str]:
        """The arguments that a function's schema requires."""
        return set(self.parameters(function).get("required") or [])

    def schema(self, function: str) -> dict[str, Any]:
        """Argument → schema of a function."""
        properties: dict[str, Any] = self.parameters(function).get("properties") or {}
        return properties


def load_items(data: Path, categories: tuple[str, ...] = CATEGORIES) -> list[Item]:
    """Every question of the categories, in the order of the files.

    Args:
        data: the package's `data` folder.
    """
    items = []
    for category in categories:
        name = f"BFCL_v4_{category}.json"
        truths = {row["id"]: row["ground_truth"] for _, row in read_jsonl(data / "possible_answer" / name)}
        for _, row in read_jsonl(data / name):
            functions = row["function"]
            items.append(Item(row["id"], category, functions, truths[row["id"]], tools_of(functions)))
    return items


def gold(item: Item) -> list[dict[str, Any]]:
    """The truth as this project's gold calls, alternatives as markers (see `scoring.gold`).

    "" says that the argument may be left out; the only value of one that the schema requires, it is the empty text.
    """
    calls = []
    for name, values, needed in _listed(item):
        arguments = {}
        for key, right in values.items():
            if options := _options(right, key in needed):
                arguments[key] = {"any_of": options, "optional": "" in right and key not in needed}
        calls.append({"name": name, "arguments": arguments})
    return calls


def answer(item: Item, *, last: bool = False, optional: bool = True) -> list[ToolCall]:
    """Calls that are right: of each argument the first (or last) value; optional ones written or left out."""
    calls = []
    for name, values, needed in _listed(item):
        arguments = {}
        for key, right in values.items():
            options = _options(right, key in needed)
            if options and (optional or key in needed or "" not in right):
                arguments[key] = options[-1 if last else 0]
        calls.append(ToolCall(name, arguments))
    return calls


def variants(value: Any) -> list[Any]:
    """The plain values that one right value stands for: inside an object, each key lists right values again."""
    if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
        found = []
        for choice in islice(product(*[_inner(value[key]) for key in value]), MAX_VARIANTS):
            found.append({key: made[0] for key, made in zip(value, choice, strict=True) if made})
        return found
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        return [list(choice) for choice in islice(product(*map(variants, value)), MAX_VARIANTS)]
    return [value]


def _options(right: list[Any], needed: bool) -> list[Any]:
    return [v for value in right if value != "" for v in variants(value)] or [""] * (needed and "" in right)


def _inner(values: list[Any]) -> list[tuple[Any, ...]]:
    """What a key of an object may be: one value each, and nothing where it may be left out."""
    found: list[tuple[Any, ...]] = [(v,) for value in values if value != "" for v in variants(value)]
    return [*found, *([()] if "" in values else [])][:MAX_VARIANTS] or [()]


def _listed(item: Item) -> Iterator[tuple[str, dict[str, list[Any]], set[str]]]:
    for call in item.truth:
        for name, values in call.items():
            yield name, values, item.required(name)
