"""Apertus: `<|tools_prefix|>[{"f": {…}}]<|tools_suffix|>`; the name is the key, the arguments its value."""

from collections.abc import Iterable, Mapping
from typing import Any

from eval.formats.envelope import json_body, markers, read_blocks
from eval.formats.reading import PLAIN, Reading, Shape, Tools, call_names, read_arguments, read_call
from eval.formats.render import json_text
from eval.parsed import ToolCall

NAMES = ("apertus",)
MARKERS = (("<|tools_prefix|>",),)
OPENERS = ("<|tools_prefix|>",)


def _keyed(r: Reading, obj: Any, shape: Shape = PLAIN, repeated: Mapping[int, set[str]] | None = None) -> bool:
    """Read `{"f": {…}}`; several keys in one object are several calls, which the template does not write."""
    if not isinstance(obj, dict) or call_names(obj):
        r.deviates("other_shape")
        return read_call(r, obj, PLAIN, repeated)
    if repeated and id(obj) in repeated:
        r.deviates("fused_calls")
        return False
    if len(obj) != 1:
        r.deviates("fused_calls" if obj else "no_name")
    for name, value in obj.items():
        arguments = read_arguments(r, value)
        if arguments is not None:
            r.calls.append(ToolCall(name, arguments))
    return bool(obj)


_MARKS = markers(r"<\|tools_prefix\|>", "<|tools_suffix|>")
_BODY = json_body(want="array", stop="<|tools_suffix|>", item=_keyed)


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read the array of one-key objects."""
    return read_blocks(Reading(text), _MARKS, _BODY)


def render(calls: Iterable[ToolCall]) -> str:
    """Write calls as the Apertus chat template does."""
    return f"<|tools_prefix|>{json_text([{c.name: c.arguments} for c in calls])}<|tools_suffix|>"
