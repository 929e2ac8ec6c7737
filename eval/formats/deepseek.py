"""DeepSeek's call tokens, written with U+FF5C and U+2581, are shared by two dialects.

"v3": `<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\\n```json\\n{…}\\n```<｜tool▁call▁end｜>`;
"v31": `<｜tool▁call▁begin｜>f<｜tool▁sep｜>{…}<｜tool▁call▁end｜>`.
"""

import re
from functools import partial

from eval.formats.envelope import NOTHING, markers, read_blocks
from eval.formats.family import Family
from eval.formats.named_json import add_call, check_section
from eval.formats.parse_state import ParseState, Tools
from eval.formats.render import json_text

BEGIN, END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
CALL, SEP, CALL_END = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"
_MARKS = markers(re.escape(CALL), CALL_END)
_V3 = re.compile(rf"function\s{{0,9}}{SEP}\s{{0,9}}([^\s<>{{}}`]{{1,200}})\s{{0,9}}(?=```)")
_V31 = re.compile(rf"([^\s<>{{}}`]{{1,200}})\s{{0,9}}{SEP}\s{{0,9}}(?=[{{`])")


def _parse(text: str, tools: Tools, *, native: str) -> ParseState:
    """Read the calls; a body in the other dialect is drift ("function" is then not taken for the name)."""

    def body(r: ParseState, pos: int) -> int:
        v3 = _V3.match(text, pos)
        match = v3 or _V31.match(text, pos)
        if not match:
            return NOTHING
        if ("v3" if v3 else "v31") != native or (not v3 and text[match.end()] == "`"):
            r.deviates("other_dialect")
        return add_call(r, match[1], match.end(), CALL_END)

    return check_section(read_blocks(ParseState(text), _MARKS, body), BEGIN, END)


FAMILIES = (
    # V3 and R1: the name behind the type `function`, the arguments in a JSON fence
    Family(
        names=("deepseek_v3", "deepseek_r1"),
        markers=((CALL, "```json"),),
        openers=(CALL,),
        parse=partial(_parse, native="v3"),
        render=lambda calls: (
            BEGIN
            + "\n".join(f"{CALL}function{SEP}{c.name}\n```json\n{json_text(c.arguments)}\n```{CALL_END}" for c in calls)
            + END
        ),
    ),
    # V3.1: the name, the separator, the arguments; no type and no fence
    Family(
        names=("deepseek_v31",),
        markers=((CALL,),),
        openers=(SEP,),
        parse=partial(_parse, native="v31"),
        render=lambda calls: (
            BEGIN + "".join(f"{CALL}{c.name}{SEP}{json_text(c.arguments)}{CALL_END}" for c in calls) + END
        ),
    ),
)
