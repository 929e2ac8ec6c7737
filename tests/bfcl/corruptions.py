"""Right answers made wrong, one way at a time, and right answers written otherwise.

A way takes the right calls of a question and gives changed ones, or None where it does not apply. Each changes one
place only, and the place moves from question to question (`turn`), so that all arguments get their share.
"""

import unicodedata
from collections.abc import Callable
from typing import Any

from eval.parse import render_calls
from eval.parsed import ToolCall
from tests.bfcl.items import Item, answer

Calls = list[ToolCall]
Way = Callable[[Item, Calls, int], Calls | None]
Value = Callable[[Any], Any]
SAME: Any = object()
"""What a change of a value gives where it does not apply."""


def outputs(item: Item, turn: int) -> dict[str, str]:
    """Every output for one question: way → text in Hermes form."""
    right = answer(item)
    made = {
        "right": right,
        "right: last alternatives": answer(item, last=True),
        "right: optional arguments left out": answer(item, optional=False),
    }
    for name, way in CALLS.items():
        if changed := way(item, right, turn):
            made[name] = changed
    for name, change in VALUES.items():
        if changed := _one_value(right, turn, change):
            made[name] = changed
    text = render_calls(right)
    texts = {name: spoil(text) for name, spoil in TEXTS.items()}
    return {name: render_calls(calls) for name, calls in made.items()} | {
        name: spoilt for name, spoilt in texts.items() if spoilt != text
    }


def _one_value(calls: Calls, turn: int, change: Value) -> Calls | None:
    """Change the first value from place `turn` on (round the end) to which the change applies."""
    places = [(i, key) for i, call in enumerate(calls) for key in call.arguments]
    for step in range(len(places)):
        i, key = places[(turn + step) % len(places)]
        new = change(calls[i].arguments[key])
        if new is not SAME:
            return _with(calls, i, calls[i].arguments | {key: new})
    return None


def _with(calls: Calls, i: int, arguments: dict[str, Any]) -> Calls:
    return [*calls[:i], ToolCall(calls[i].name, arguments), *calls[i + 1 :]]


def _wrong_name(item: Item, calls: Calls, turn: int) -> Calls:
    return [ToolCall(calls[0].name + "_all", calls[0].arguments), *calls[1:]]


def _other_tool(item: Item, calls: Calls, turn: int) -> Calls | None:
    other = [f["name"] for f in item.functions if f["name"] != calls[0].name]
    return [ToolCall(other[turn % len(other)], calls[0].arguments), *calls[1:]] if other else None


def _missing(optional: bool) -> Way:
    def way(item: Item, calls: Calls, turn: int) -> Calls | None:
        i = turn % len(calls)
        needed = item.required(calls[i].name)
        keys = [key for key in calls[i].arguments if (key in needed) != optional]
        if not keys:
            return None
        return _with(calls, i, {k: v for k, v in calls[i].arguments.items() if k != keys[turn % len(keys)]})

    return way


def _extra(item: Item, calls: Calls, turn: int) -> Calls:
    i = turn % len(calls)
    return _with(calls, i, calls[i].arguments | {"verbose_note": "x"})


def _default(item: Item, calls: Calls, turn: int) -> Calls | None:
    """Write an argument that the answer leaves out with its schema's default."""
    i = turn % len(calls)
    given = calls[i].arguments
    absent = {k: s["default"] for k, s in item.schema(calls[i].name).items() if k not in given and "default" in s}
    return _with(calls, i, given | dict(list(absent.items())[:1])) if absent else None


def _empty(item: Item, calls: Calls, turn: int) -> Calls | None:
    """Write an optional argument as the empty text, which is how BFCL's answers mark it."""
    i = turn % len(calls)
    (right,) = item.truth[i].values()
    keys = [key for key, values in right.items() if "" in values]
    return _with(calls, i, calls[i].arguments | {keys[turn % len(keys)]: ""}) if keys else None


CALLS: dict[str, Way] = {
    "a name that is not offered": _wrong_name,
    "another tool's name": _other_tool,
    "a required argument missing": _missing(optional=False),
    "an optional argument missing": _missing(optional=True),
    "an argument too many": _extra,
    "a default written out": _default,
    "an optional argument empty": _empty,
    "calls in reverse": lambda item, calls, turn: calls[::-1] if len(calls) > 1 else None,
    "a call missing": lambda item, calls, turn: calls[:-1] or None,
    "a call twice": lambda item, calls, turn: [*calls, calls[turn % len(calls)]],
    "one call in place of another": lambda item, calls, turn: [*calls[:-1], calls[0]] if len(calls) > 1 else None,
}


def _number(change: Value) -> Value:
    return lambda v: change(v) if isinstance(v, (int, float)) and not isinstance(v, bool) else SAME


def _text(change: Value) -> Value:
    return lambda v: change(v) if isinstance(v, str) and change(v) != v else SAME


def _list(change: Value) -> Value:
    return lambda v: change(v) if isinstance(v, list) and v and change(v) != v else SAME


def _object(change: Value) -> Value:
    return lambda v: change(v) if isinstance(v, dict) and v else SAME


def _of(kind: type, change: Value) -> Value:
    return lambda v: change(v) if type(v) is kind else SAME


def _deep(change: Value) -> Value:
    """Change the first value inside a list or object to which the change applies."""

    def inside(value: Any) -> Any:
        places = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, below in places:
            new = inside(below) if isinstance(below, (dict, list)) else change(below)
            if new is not SAME:
                copy = value.copy()
                copy[key] = new
                return copy
        return SAME

    return inside


_SPACES = str.maketrans("", "", " ,./-_*^")
VALUES: dict[str, Value] = {
    "another number": _number(lambda v: v + 1),
    "a number's sign turned": _number(lambda v: -v if v else SAME),
    "a number off by 1e-12": _of(float, lambda v: v * (1 + 1e-12)),
    "another text": _text(lambda v: v + " else"),
    "a text in capitals": _text(str.upper),
    "a text without blanks and punctuation": _text(lambda v: v.translate(_SPACES)),
    "a text with a blank at its end": _text(lambda v: v + " "),
    "a text with its accents apart": _text(lambda v: unicodedata.normalize("NFD", v)),
    "the empty text": _text(lambda v: ""),
    "the other truth value": _of(bool, lambda v: not v),
    "null": lambda v: SAME if v is None else None,
    "a number as text": _number(str),
    "a text in a list": _text(lambda v: [v]),
    "an integer as 5.0": _of(int, float),
    "a float as integer": _of(float, lambda v: int(v) if v.is_integer() else SAME),
    "a truth value as number": _of(bool, int),
    "a truth value as text": _of(bool, str),
    "1 or 0 as truth value": _of(int, lambda v: bool(v) if v in (0, 1) else SAME),
    "a list in reverse": _list(lambda v: v[::-1]),
    "a list with an item missing": _list(lambda v: v[:-1]),
    "a list with an item twice": _list(lambda v: [*v, v[0]]),
    "a list as text": _list(str),
    "an object with a key missing": _object(lambda v: dict(list(v.items())[1:])),
    "an object with a key too many": _object(lambda v: v | {"verbose_note": "x"}),
    "an object empty": _object(lambda v: {}),
    "inside: another number": _deep(_number(lambda v: v + 1)),
    "inside: an integer as 5.0": _deep(_of(int, float)),
    "inside: a float as integer": _deep(_of(float, lambda v: int(v) if v.is_integer() else SAME)),
    "inside: a number as text": _deep(_number(str)),
    "inside: a truth value as number": _deep(_of(bool, int)),
    "inside: 1 or 0 as truth value": _deep(_of(int, lambda v: bool(v) if v in (0, 1) else SAME)),
    "inside: another text": _deep(_text(lambda v: v + " else")),
    "inside: a text in capitals": _deep(_text(str.upper)),
    "inside: null": _deep(lambda v: None),
}

TEXTS: dict[str, Callable[[str], str]] = {
    "JSON with a trailing comma": lambda t: t.replace("}}\n</tool_call>", "},}\n</tool_call>", 1),
    "JSON with single quotes": lambda t: t.replace('"', "'"),
    "JSON with a closer too few": lambda t: t.replace("}}\n</tool_call>", "}\n</tool_call>", 1),
    "JSON cut in the middle": lambda t: t[: len(t) // 2],
    "JSON with a key twice": lambda t: t.replace('{"name": ', '{"name": "other", "name": ', 1),
    "arguments under another key": lambda t: t.replace('"arguments":', '"parameters":', 1),
    "no name": lambda t: t.replace('"name":', '"tool":', 1),
    "no closing tag": lambda t: t.removesuffix("\n</tool_call>"),
    "no tags": lambda t: t.replace("<tool_call>\n", "").replace("\n</tool_call>", ""),
    "a broken block beside the right ones": lambda t: t + '\n<tool_call>\n{"name": \n</tool_call>',
    "words before the calls": lambda t: "Let me look that up.\n" + t,
    "words in place of the calls": lambda t: "I cannot do this.",
}
