"""Families that write calls as XML behind tags of their own: each is a grammar of `xml_calls`."""

from typing import Any

from eval.formats.envelope import markers, read_blocks
from eval.formats.family import Family, Parse
from eval.formats.parse_state import ParseState, Tools
from eval.formats.render import json_text, parameters, raw_text
from eval.formats.xml_calls import NAME, QWEN3_CODER, Grammar, function_body
from eval.parsed import ToolCall

_FUNCTION = r"<function=(?=[^<>\n]{1,200}>)"
_LLAMA3 = markers("<tool_call>", "</tool_call>", _FUNCTION)


def _tagged(
    function: str, function_close: str, parameter: str, parameter_close: str, *, bare: str, **layout: Any
) -> Parse:
    """The parser of a grammar; without a `wrapper` the functions stand bare, as the family writes them."""
    grammar = Grammar(function, function_close, parameter, parameter_close, **layout)
    opens, close = layout.get("wrapper", ("(?!)", ""))
    marks = markers(opens, close, bare)
    native = "wrapper" not in layout
    return lambda text, tools: read_blocks(ParseState(text), marks, function_body(grammar, tools), native_bare=native)


def _llama3_function(text: str, tools: Tools) -> ParseState:
    """The JSON arguments inside each function tag."""
    body = function_body(QWEN3_CODER, tools, json_native=True, xml_native=False)
    r = read_blocks(ParseState(text), _LLAMA3, body, native_bare=True)
    if any(
        text.startswith("<tool_call>", start) or text.endswith("</tool_call>", start, end) for start, end in r.spans
    ):
        r.deviates("other_dialect")
    return r


def _deepseek_v32(call: ToolCall) -> str:
    """The call with each value marked as raw text or JSON."""
    written = "\n".join(
        f'<｜DSML｜parameter name="{key}" string="{str(isinstance(value, str)).lower()}">'
        f"{raw_text(value, '</｜DSML｜parameter>')}</｜DSML｜parameter>"
        for key, value in call.arguments.items()
    )
    return f'<｜DSML｜invoke name="{call.name}">\n{written}\n</｜DSML｜invoke>\n'


def _minicpm5(call: ToolCall) -> str:
    """The call with CDATA around text that has markup in it."""
    return f'<function name="{call.name}">{parameters(call, _PARAM, _marked_up)}</function>'


_PARAM = '<param name="{key}">{value}</param>'


def _marked_up(value: Any) -> str:
    markup = isinstance(value, str) and any(sign in value for sign in "<&")
    return f"<![CDATA[{raw_text(value, ']]>')}]]>" if markup else raw_text(value)


def _minimax_m2(call: ToolCall) -> str:
    form = '<parameter name="{key}">{value}</parameter>\n'
    written = parameters(call, form, lambda value: raw_text(value, "</parameter>"))
    return f'<invoke name="{call.name}">\n{written}</invoke>\n'


def _seed_oss(call: ToolCall) -> str:
    """The call with values that are no strings as Python's `str` writes them, as the template does."""
    written = parameters(
        call,
        "<parameter={key}>{value}</parameter>\n",
        lambda value: raw_text(value, "</parameter>") if isinstance(value, str) else str(value),
    )
    return f"<seed:tool_call>\n<function={call.name}>\n{written}</function>\n</seed:tool_call>"


FAMILIES = (
    # DeepSeek V3.2: DSML tags, all calls in one block; the `string` attribute says whether a value is raw text or JSON
    Family(
        names=("deepseek_v32",),
        markers=(("｜DSML｜",),),
        openers=("<｜DSML｜",),
        parse=_tagged(
            rf'<｜DSML｜invoke name="{NAME}">',
            "</｜DSML｜invoke>",
            rf'<｜DSML｜parameter name="{NAME}"(?: string="(true|false)")?>',
            "</｜DSML｜parameter>",
            bare='<｜DSML｜invoke name="',
            wrapper=("<｜DSML｜function_calls>", "</｜DSML｜function_calls>"),
        ),
        render=lambda calls: (
            "<｜DSML｜function_calls>\n" + "".join(map(_deepseek_v32, calls)) + "</｜DSML｜function_calls>"
        ),
    ),
    # Llama 3.1 custom tools, Functionary v3.1: <function=f>{…}</function>
    Family(
        names=("llama3_function", "functionary_v31"),
        markers=(("<function=", "</function>"),),
        openers=("<function=",),
        parse=_llama3_function,
        render=lambda calls: "".join(f"<function={c.name}>{json_text(c.arguments)}</function>" for c in calls),
    ),
    # MiniCPM5: <function name="f"><param name="x">1</param></function>; a text value may stand in CDATA
    Family(
        names=("minicpm5",),
        markers=(('<function name="', '<param name="'),),
        openers=('<function name="',),
        parse=_tagged(
            rf'<function name="{NAME}">',
            "</function>",
            rf'<param name="{NAME}">',
            "</param>",
            bare='<function name="',
            cdata=True,
        ),
        render=lambda calls: "\n".join(map(_minicpm5, calls)),
    ),
    # MiniMax M2: <invoke name="f">\n<parameter name="x">1</parameter>\n</invoke>, all in one block
    Family(
        names=("minimax_m2",),
        markers=(("<minimax:tool_call>",),),
        openers=("<minimax:tool_call>",),
        parse=_tagged(
            rf'<invoke name="{NAME}">',
            "</invoke>",
            rf'<parameter name="{NAME}">',
            "</parameter>",
            bare='<invoke name="',
            wrapper=("<minimax:tool_call>", "</minimax:tool_call>"),
        ),
        render=lambda calls: "<minimax:tool_call>\n" + "".join(map(_minimax_m2, calls)) + "</minimax:tool_call>",
    ),
    # Seed-OSS: <seed:tool_call>\n<function=f>\n<parameter=x>1</parameter>\n</function>\n</seed:tool_call>
    Family(
        names=("seed_oss",),
        markers=(("<seed:tool_call>",),),
        openers=("<seed:tool_call>",),
        parse=_tagged(
            rf"<function={NAME}>",
            "</function>",
            rf"<parameter={NAME}>",
            "</parameter>",
            bare=_FUNCTION,
            python=True,
            wrapper=("<seed:tool_call>", "</seed:tool_call>"),
        ),
        render=lambda calls: "\n".join(map(_seed_oss, calls)),
    ),
)
