"""The `<tool_call>` tag, which four dialects share. One reader serves them all; each family names its own as native.

Dialects of a block: "json" (an object), "xml" (`<function=…>` with parameters), "glm" (a name and `<arg_key>` pairs),
"granite" (an array without a close tag). A block in another dialect is drift: read, and noted.
"""

import re
from functools import partial

from eval.formats import glm_block
from eval.formats.envelope import LOST, NOTHING, Body, json_body, markers, read_blocks
from eval.formats.family import Family
from eval.formats.parse_state import ParseState, Tools, decode, functions, read_arguments
from eval.formats.python_calls import calls_body
from eval.formats.render import call_objects, json_text, parameters, raw_text
from eval.formats.strict_json import Unreadable
from eval.formats.xml_calls import QWEN3_CODER, function_body
from eval.parsed import ToolCall

CLOSE = "</tool_call>"
_MARKS = markers("<tool_call>", CLOSE, r"<function=(?=[^<>\n]{1,200}>)")
_NAME_TAG = re.compile(r"<function>\s*([^<>\n]{1,200}?)\s*</function>\s*")
_json = json_body(stop=CLOSE)
_python_body = calls_body("any", CLOSE)


def _parse(text: str, tools: Tools, *, native: str) -> ParseState:
    """Read every block.

    Args:
        native: the dialect that the family's template writes.
    """
    r = ParseState(text)
    bodies: list[tuple[str, Body]] = [("json", _json)]
    if "<function" in text:
        bodies += [("xml", function_body(QWEN3_CODER, tools)), ("named", _named_function)]
    if native == "glm" or "<tool_call>" in text:
        bodies.append(("glm", glm_block.body(tools, strict=native != "glm")))

    def body(r: ParseState, pos: int) -> int:
        for dialect, read in bodies:
            end = read(r, pos)
            if end != NOTHING:
                if dialect != native:
                    r.deviates("other_dialect")
                return end
        return _python(r, pos, tools)

    return read_blocks(r, _MARKS, body)


def _python(r: ParseState, pos: int, tools: Tools) -> int:
    """Calls of offered tools in Python syntax, where an object belongs."""
    trial = r.trial()
    end = _python_body(trial, pos)
    if end < 0 or not trial.calls or not {call.name for call in trial.calls} <= functions(tools).keys():
        return NOTHING
    r.calls += trial.calls
    r.broken("python_syntax")
    return end


def _named_function(r: ParseState, pos: int) -> int:
    """`<function>f</function>` and then the bare arguments: unmistakable, but nobody's format."""
    match = _NAME_TAG.match(r.text, pos)
    if not match or r.text[match.end() : match.end() + 1] != "{":
        return NOTHING
    r.broken("function_tag")
    try:
        decoded = decode(r, match.end(), CLOSE)
    except Unreadable as e:
        r.broken(e.reason)
        return LOST
    arguments = read_arguments(r, decoded.value)
    if arguments is not None:
        r.calls.append(ToolCall(match[1], arguments))
    return decoded.end


def _glm_pairs(call: ToolCall) -> str:
    form = "<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n"
    return parameters(call, form, lambda value: raw_text(value, "</arg_value>", CLOSE))


def _xml_parameters(call: ToolCall) -> str:
    return parameters(call, "<parameter={key}>\n{value}\n</parameter>\n", lambda value: raw_text(value, "</parameter>"))


FAMILIES = (
    # GLM 4.5 to 5: <tool_call>f\n<arg_key>x</arg_key>\n<arg_value>1</arg_value>\n</tool_call>; the schema types values
    Family(
        names=("glm", "glm4_5", "glm4_7"),
        markers=(("<tool_call>", "<arg_key>", "<arg_value>"),),
        openers=("<arg_key>",),
        parse=partial(_parse, native="glm"),
        render=lambda calls: "\n".join(f"<tool_call>{c.name}\n{_glm_pairs(c)}</tool_call>" for c in calls),
    ),
    # Hermes, Qwen2.5 and 3, EXAONE 4: <tool_call>\n{"name": "f", "arguments": {…}}\n</tool_call>, one block a call
    Family(
        names=("hermes", "qwen2_5", "qwen3", "granite4", "exaone4"),
        markers=(("<tool_call>", '"name"', '"arguments"'), ("<tool_call>", "</tool_call>")),
        openers=("<tool_call>", "</tool_call>"),
        parse=partial(_parse, native="json"),
        render=lambda calls: "\n".join(f"<tool_call>\n{json_text(o)}\n</tool_call>" for o in call_objects(calls)),
    ),
    # Qwen3-Coder, Qwen3.5, Nemotron 3: a function tag and parameter tags in the block. Exactly one newline each side of
    # a value is layout. Qwen3-Coder's template writes booleans as Python; both are read, Qwen3.5's form is written.
    Family(
        names=("qwen3_coder", "qwen3_5", "nemotron3"),
        markers=(("<tool_call>", "<function=", "<parameter="),),
        openers=("<function=",),
        parse=partial(_parse, native="xml"),
        render=lambda calls: "\n".join(
            f"<tool_call>\n<function={c.name}>\n{_xml_parameters(c)}</function>\n</tool_call>" for c in calls
        ),
    ),
)
