"""The `[TOOL_CALLS]` marker is shared by two Mistral dialects: "array" and "args"."""

import re

from eval.formats.envelope import NOTHING, json_body, markers, read_blocks
from eval.formats.named_json import named_body
from eval.formats.reading import Reading, Shape

_MARKS = markers(r"\[TOOL_CALLS\]")
_ARRAY = json_body(Shape(others=frozenset({"id"})), want="array")
_ARGS = named_body(
    re.compile(
        r"(?P<name>[^\s\[\]{}<>\"']{1,200})\s{0,9}(?:\[CALL_ID\][^\s\[\]{}]{0,64})?\s{0,9}"
        r"(?:\[ARGS\]\s{0,9}(?=[{\[\"])|(?=\{))"
    )
)


def parse(text: str, native: str) -> Reading:
    """Read what stands behind each marker; the dialect that is not `native` is drift."""

    def body(r: Reading, pos: int) -> int:
        for dialect, read in (("array", _ARRAY), ("args", _ARGS)):
            end = read(r, pos)
            if end != NOTHING:
                if dialect != native:
                    r.deviates("other_dialect")
                return end
        return NOTHING

    return read_blocks(Reading(text), _MARKS, body)
