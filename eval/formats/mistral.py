"""The `[TOOL_CALLS]` marker of Mistral's models, and the two dialects behind it: "array" and "args"."""

import re
from functools import partial

from eval.formats.envelope import NOTHING, json_body, markers, read_blocks
from eval.formats.family import Family
from eval.formats.named_json import named_body
from eval.formats.parse_state import CallShape, ParseState, Tools
from eval.formats.render import call_objects, json_text

_MARKS = markers(r"\[TOOL_CALLS\]")
_ARRAY = json_body(CallShape(others=frozenset({"id"})), want="array")
_ARGS = named_body(
    re.compile(
        r"(?P<name>[^\s\[\]{}<>\"']{1,200})\s{0,9}(?:\[CALL_ID\][^\s\[\]{}]{0,64})?\s{0,9}"
        r"(?:\[ARGS\]\s{0,9}(?=[{\[\"])|(?=\{))"
    )
)


def _parse(text: str, tools: Tools, *, native: str) -> ParseState:
    """Read what stands behind each marker; the dialect that is not `native` is drift."""

    def body(r: ParseState, pos: int) -> int:
        for dialect, read in (("array", _ARRAY), ("args", _ARGS)):
            end = read(r, pos)
            if end != NOTHING:
                if dialect != native:
                    r.deviates("other_dialect")
                return end
        return NOTHING

    return read_blocks(ParseState(text), _MARKS, body)


FAMILIES = (
    # Mistral 7B v0.3, Nemo: [TOOL_CALLS] [{"name": "f", "arguments": {…}, "id": "…"}]; an id has nine characters
    Family(
        names=("mistral_array", "mistral"),
        markers=(("[TOOL_CALLS]",), ("[TOOL_CALLS] [",)),
        openers=("[TOOL_CALLS]",),
        parse=partial(_parse, native="array"),
        render=lambda calls: (
            "[TOOL_CALLS] " + json_text([{**obj, "id": f"call{i:05d}"} for i, obj in enumerate(call_objects(calls))])
        ),
    ),
    # Mistral Small 3.2, Devstral, Ministral 3: [TOOL_CALLS]f[ARGS]{…}, the marker before every call. A [CALL_ID]… may
    # stand between the name and [ARGS]; v11 leaves [ARGS] out.
    Family(
        names=("mistral_args", "devstral", "ministral"),
        markers=(("[TOOL_CALLS]", "[ARGS]"),),
        openers=("[ARGS]",),
        parse=partial(_parse, native="args"),
        render=lambda calls: "".join(f"[TOOL_CALLS]{c.name}[ARGS]{json_text(c.arguments)}" for c in calls),
    ),
)
