"""A predicted call beside the right one, value by value."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from eval.scoring.equality import equal, equal_key
from eval.scoring.gold import AnyOf
from eval.scoring.match import Pair
from eval.scoring.schema import FREE, MISSING, Place
from tooltune.page.text import short, value_text

MAX_ROWS = 60
"""Rows shown of one pair of calls."""

Parts = list[list[Any]]
"""A value as pieces [text, marked]; marked pieces are what differs."""


def pair_rows(pair: Pair, place: Place) -> list[dict[str, Any]]:
    """One row a value: `{"path", "status", "gold", "got"}`.

    Status is same, differs, missing (gold has it, the call has not), extra, unknown (extra, and the tool has no such
    parameter), or default (left out on one side, and right because the schema's default says the same). `gold` and
    `got` are Parts, None where there is no value.
    """
    gold = pair.gold.arguments if pair.gold else {}
    got = pair.got.arguments if pair.got else {}
    return list(islice(_object_rows(got, gold, place if pair.same_name else FREE, ""), MAX_ROWS))


def _object_rows(got: dict[str, Any], gold: dict[str, Any], place: Place, prefix: str) -> Iterator[dict[str, Any]]:
    for key in [*gold, *(k for k in got if k not in gold)]:
        path = f"{prefix}.{key}" if prefix else key
        below = place.child_or_free(key)
        if key in got and key in gold:
            yield from _value_rows(got[key], gold[key], below, path)
        elif equal_key(key, got, gold, place):
            if key in got or not isinstance(gold[key], AnyOf):
                yield _row(path, "default", gold.get(key, MISSING), got.get(key, MISSING))
        else:
            status = "missing" if key in gold else "extra" if place.child(key) else "unknown"
            yield _row(path, status, gold.get(key, MISSING), got.get(key, MISSING))


def _value_rows(got: Any, gold: Any, place: Place, path: str) -> Iterator[dict[str, Any]]:
    if isinstance(got, dict) and isinstance(gold, dict) and got and gold:
        yield from _object_rows(got, gold, place, path)
    elif equal(got, gold, place):
        yield _row(path, "same", gold, got)
    elif _is_list_of_objects(got) and _is_list_of_objects(gold) and not place.set_like:
        for i in range(max(len(got), len(gold))):
            where = f"{path}[{i}]"
            if i < len(got) and i < len(gold):
                yield from _value_rows(got[i], gold[i], place.item(i), where)
            elif i < len(got):
                yield _row(where, "extra", MISSING, got[i])
            else:
                yield _row(where, "missing", gold[i], MISSING)
    elif isinstance(got, list) and isinstance(gold, list) and got and gold:
        yield _list_row(got, gold, place, path)
    else:
        yield _row(path, "differs", gold, got)


def _list_row(got: list[Any], gold: list[Any], place: Place, path: str) -> dict[str, Any]:
    """Two lists in one row, the items that the other has not marked."""

    def marked(items: list[Any], others: list[Any]) -> list[bool]:
        if place.set_like:
            return [not any(equal(x, other, place.item(0)) for other in others) for x in items]
        return [i >= len(others) or not equal(x, others[i], place.item(i)) for i, x in enumerate(items)]

    if max(len(got), len(gold)) > MAX_ROWS:
        return _row(path, "differs", gold, got)
    return {
        "path": short(path),
        "status": "differs",
        "gold": _list_parts(gold, marked(gold, got)),
        "got": _list_parts(got, marked(got, gold)),
    }


def _list_parts(items: list[Any], marks: list[bool]) -> Parts:
    parts: Parts = [["[", False]]
    for i, (item, mark) in enumerate(zip(items, marks, strict=True)):
        parts += [[", ", False]] if i else []
        parts.append([value_text(item), mark])
    return [*parts, ["]", False]]


def _row(path: str, status: str, gold: Any, got: Any) -> dict[str, Any]:
    marked = status not in ("same", "default")
    return {"path": short(path), "status": status, "gold": _parts(gold, marked), "got": _parts(got, marked)}


def _parts(value: Any, marked: bool) -> Parts | None:
    if value is MISSING:
        return None
    if isinstance(value, AnyOf):
        return [[" | ".join(map(value_text, value.options)), marked]]
    return [[value_text(value), marked]]


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
