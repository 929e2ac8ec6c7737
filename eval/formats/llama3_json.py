"""Llama 3.1 JSON: `{"name": "f", "parameters": {…}}`.

A `<|python_tag|>` may stand before it and `"type": "function"` in it; several are joined by `; ` or newlines.
"""

import re
from collections.abc import Iterable

from eval.formats.bare_json import read_lines
from eval.formats.reading import Reading, Shape, Tools
from eval.formats.render import json_text, single
from eval.parsed import ToolCall

NAMES = ("llama3_json", "llama3", "llama3_1")
MARKERS = (("<|python_tag|>",), ("<|start_header_id|>", '"parameters"'))
OPENERS = ("<|python_tag|>",)

_TAG = re.compile(r"<\|python_tag\|>")
_SHAPE = Shape(arguments="parameters", others=frozenset({"type"}))


def parse(text: str, tools: Tools = ()) -> Reading:
    """Read call objects that stand in the open; braces in the prose around them are no payload."""
    r = read_lines(text, tools, _SHAPE, "lines", _TAG)
    if not r.attempted and _TAG.match(text):
        r.broken("no_payload")
        r.attempted = True
    r.spans = sorted([*r.spans, *((m.start(), m.end()) for m in _TAG.finditer(text))])
    return r


def render(calls: Iterable[ToolCall]) -> str:
    """Write the one call that the Llama 3.1 chat template has room for."""
    call = single(calls, NAMES[0])
    return json_text({"name": call.name, "parameters": call.arguments})
