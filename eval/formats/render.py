"""Small parts that the families' `render` functions share."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from eval.parsed import ToolCall
from tooltune.errors import InputError


def json_text(value: Any) -> str:
    """JSON as chat templates write it: literal Hangul, one space behind commas and colons.

    Raises:
        InputError: the value is not JSON (NaN, infinity, a type of Python's own).
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as e:
        raise InputError(f"the arguments of a call cannot be written as JSON ({e})") from None


def call_objects(calls: Iterable[ToolCall]) -> list[dict[str, Any]]:
    return [{"name": c.name, "arguments": c.arguments} for c in calls]


def raw_text(value: Any, *forbidden: str) -> str:
    """A value as untyped text: a string as it is, anything else as JSON.

    Raises:
        InputError: the string holds what the format uses as its own mark and cannot escape.
    """
    if not isinstance(value, str):
        return json_text(value)
    for mark in forbidden:
        if mark in value:
            raise InputError(f"a value holds {mark!r}, which this tool-call format cannot carry")
    return value


def single(calls: Iterable[ToolCall], family: str) -> ToolCall:
    """The only call.

    Raises:
        InputError: the family's template writes exactly one call a turn.
    """
    listed = list(calls)
    if len(listed) != 1:
        raise InputError(f"the {family} chat template writes one call a turn, not {len(listed)}")
    return listed[0]


def parameters(call: ToolCall, form: str, text: Callable[[Any], str]) -> str:
    """The arguments one behind another, each as `form` has `{key}` and `{value}`; `text` writes a value."""
    return "".join(form.format(key=key, value=text(value)) for key, value in call.arguments.items())
