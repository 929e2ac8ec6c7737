"""Families that write JSON call objects behind a marker of their own: one object, an array, or one a line."""

from collections.abc import Callable, Mapping
from typing import Any

from eval.formats.envelope import json_body, markers
from eval.formats.family import Family, Parse, blocks
from eval.formats.parse_state import PLAIN, CallShape, ParseState, Tools, call_names, read_arguments, read_call
from eval.formats.render import call_objects, json_text, single
from eval.parsed import ToolCall

_PARAMETERS = CallShape(arguments="parameters")
_ACTION = CallShape("tool_name", "parameters", frozenset({"tool_call_id"}))


def _between(
    opens: str, close: str = "", want: str = "object", shape: CallShape = PLAIN, item: Callable[..., Any] = read_call
) -> Parse:
    """The parser of JSON between markers; `opens` is a pattern, `close` literal (see `markers`, `json_body`)."""
    return blocks(markers(opens, close), json_body(shape, want, close, item))


_PHI4_TAGGED = _between(r"<\|tool_call\|>", "<|/tool_call|>", "array")
_PHI4_PREFIXED = _between(r"functools(?=\s{0,9}\[)", want="array")
_GIGACHAT = _between(r"<\|function_call\|>|(?:<\|message_sep\|>\s{0,9})?function call<\|role_sep\|>")


def _phi4(text: str, tools: Tools) -> ParseState:
    """The array behind the word `functools` or inside the tokens."""
    tagged = "<|tool_call|>" in text or "<|/tool_call|>" in text
    return (_PHI4_TAGGED if tagged else _PHI4_PREFIXED)(text, tools)


def _gigachat(text: str, tools: Tools) -> ParseState:
    """The object behind the marker; the template has room for one call."""
    r = _GIGACHAT(text, tools)
    if len(r.calls) > 1:
        r.deviates("more_than_one_call")
    return r


def _keyed(r: ParseState, obj: Any, shape: CallShape = PLAIN, repeated: Mapping[int, set[str]] | None = None) -> bool:
    """Read `{"f": {…}}`; several keys in one object are several calls, which Apertus' template does not write."""
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


def _action(number: int, call: ToolCall) -> str:
    """A call as Command R7B's chat template writes it, numbered from 0."""
    return (
        f'    {{"tool_call_id": "{number}", "tool_name": {json_text(call.name)}, '
        f'"parameters": {json_text(call.arguments)}}}'
    )


FAMILIES = (
    # Apertus: the name is the key, the arguments its value: <|tools_prefix|>[{"f": {…}}]<|tools_suffix|>
    Family(
        names=("apertus",),
        markers=(("<|tools_prefix|>",),),
        openers=("<|tools_prefix|>",),
        parse=_between(r"<\|tools_prefix\|>", "<|tools_suffix|>", "array", item=_keyed),
        render=lambda calls: f"<|tools_prefix|>{json_text([{c.name: c.arguments} for c in calls])}<|tools_suffix|>",
    ),
    # Command R7B, Command A: <|START_ACTION|>[{"tool_call_id": "0", "tool_name": "f", "parameters": {…}}]<|END_ACTION|>
    Family(
        names=("cohere", "command_r7b"),
        markers=(("<|START_ACTION|>",),),
        openers=("<|START_ACTION|>",),
        parse=_between(r"<\|START_ACTION\|>", "<|END_ACTION|>", "array", _ACTION),
        render=lambda calls: (
            "<|START_ACTION|>[\n" + ",\n".join(_action(i, c) for i, c in enumerate(calls)) + "\n]<|END_ACTION|>"
        ),
    ),
    # GigaChat 3: one call. The 10B model writes `function call<|role_sep|>\n{…}` as a turn of its own.
    Family(
        names=("gigachat", "gigachat3"),
        markers=(("<|function_call|>",), ("function call", "<|role_sep|>", "<|message_sep|>")),
        openers=("<|function_call|>", "function call<|role_sep|>"),
        parse=_gigachat,
        render=lambda calls: "<|function_call|>" + json_text(call_objects([single(calls, "gigachat")])[0]),
    ),
    # Granite 20B function calling: <function_call> {"name": "f", "arguments": {…}}, the marker before every call
    Family(
        names=("granite20b",),
        markers=(("<function_call>",),),
        openers=("<function_call>",),
        parse=_between("<function_call>"),
        render=lambda calls: " ".join("<function_call> " + json_text(obj) for obj in call_objects(calls)),
    ),
    # Granite 3.0 to 3.3: <|tool_call|>[{…}], no close marker; 3.1 writes the marker as <tool_call>
    Family(
        names=("granite3", "granite"),
        markers=(("<|tool_call|>", "<|start_of_role|>"), ("<|start_of_role|>", "<|tool_call|>")),
        openers=("<|tool_call|>",),
        parse=_between(r"<\|tool_call\|>|<tool_call>", want="array"),
        render=lambda calls: "<|tool_call|>" + json_text(call_objects(calls)),
    ),
    # HyperCLOVA X SEED Think: the marker is the end of the role's header
    Family(
        names=("hyperclovax",),
        markers=(("-> tool/function_call",),),
        openers=("-> tool/function_call",),
        parse=_between(r"(?:<\|im_start\|>assistant)? ?-> tool/function_call", want="array"),
        render=lambda calls: " -> tool/function_call\n" + json_text(call_objects(calls)),
    ),
    # InternLM2, Intern-S1: <|action_start|><|plugin|>\n{"name": "f", "parameters": {…}}<|action_end|>
    Family(
        names=("internlm", "internlm2"),
        markers=(("<|action_start|>", "<|plugin|>"),),
        openers=("<|action_start|>",),
        parse=_between(r"<\|action_start\|>\s{0,9}(?:<\|plugin\|>)?", "<|action_end|>", shape=_PARAMETERS),
        render=lambda calls: "".join(
            f"<|action_start|><|plugin|>\n{json_text({'name': c.name, 'parameters': c.arguments})}<|action_end|>"
            for c in calls
        ),
    ),
    # Nemotron Nano v2
    Family(
        names=("nemotron", "nemotron_nano"),
        markers=(("<TOOLCALL>",),),
        openers=("<TOOLCALL>",),
        parse=_between("<TOOLCALL>", "</TOOLCALL>", "array"),
        render=lambda calls: f"<TOOLCALL>{json_text(call_objects(calls))}</TOOLCALL>",
    ),
    # Phi-4-mini: functools[{…}], or the array in <|tool_call|>…<|/tool_call|>
    Family(
        names=("phi4", "phi4_mini"),
        markers=(("<|tool_call|>", "<|/tool_call|>"), ("functools[",), ("<|/tool|>",)),
        openers=("functools[", "<|/tool_call|>"),
        parse=_phi4,
        render=lambda calls: f"<|tool_call|>{json_text(call_objects(calls))}<|/tool_call|>",
    ),
    # Jamba, Apriel (a JSON array) and MiniMax-M1 (one object a line)
    Family(
        names=("tool_calls_tag", "jamba", "minimax_m1", "apriel"),
        markers=(("<tool_calls>", "</tool_calls>"),),
        openers=("<tool_calls>",),
        parse=_between("<tool_calls>", "</tool_calls>", "any"),
        render=lambda calls: f"<tool_calls>{json_text(call_objects(calls))}</tool_calls>",
    ),
)
