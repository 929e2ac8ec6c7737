"""An answer held to the tools that were offered: what may be carried out, and what is wrong with the rest."""

import pytest

from eval.judged import judge
from eval.parsed import ToolCall

LOAD = {
    "type": "function",
    "function": {
        "name": "add_load",
        "description": "",
        "parameters": {
            "type": "object",
            "properties": {"node": {"type": "integer", "minimum": 1}, "axis": {"enum": ["X", "Y"]}},
            "required": ["node", "axis"],
            "additionalProperties": False,
        },
    },
}


def answer(text: str, cut: int | None = None):
    return judge(text, [LOAD], "hermes", cut=cut)


def written(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def test_valid_call_is_one_line() -> None:
    found = answer(written("add_load", '{"node": 6, "axis": "X"}') + "<|im_end|>")
    assert found.lines() == ['add_load(node=6, axis="X")  ✓ valid'] and found.valid
    assert found.accepted == [ToolCall("add_load", {"node": 6, "axis": "X"})]
    assert found.to_dict() == {
        "calls": [{"name": "add_load", "arguments": {"node": 6, "axis": "X"}, "errors": []}],
        "text": "",
        "problem": "",
        "output": written("add_load", '{"node": 6, "axis": "X"}') + "<|im_end|>",
        "valid": True,
    }


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (written("add_load", '{"node": 6, "axis": "Z"}'), "axis: 'Z' is not one of ['X', 'Y']"),
        (written("add_load", '{"node": 6}'), "'axis' is a required property"),
        (written("add_load", '{"node": 0, "axis": "X"}'), "node: 0 is less than the minimum of 1"),
        (written("add_load", '{"node": 6, "axis": "X", "unit": "kN"}'), "'unit' was unexpected"),
        (written("move", "{}"), "not offered"),
        (written("add_load", '{"node": 6, "axis": "\\ud800"}'), "half a surrogate pair"),
    ],
)
def test_call_that_breaks_a_schema_says_why(call: str, why: str) -> None:
    found = answer(call)
    assert not found.valid and not found.accepted and "✗" in found.lines()[0] and why in found.lines()[0]


def test_two_calls_are_two_lines_each_judged() -> None:
    found = answer(written("add_load", '{"node": 6, "axis": "X"}') + "\n" + written("add_load", '{"node": 7}'))
    assert ["✓" in line for line in found.lines()] == [True, False]
    assert not found.accepted, "all of them or none"


def test_text_is_an_answer() -> None:
    found = answer("※ 방향을 알려주세요.<|im_end|>")
    assert found.lines() == ["※ 방향을 알려주세요."] and found.valid
    assert answer("<|im_end|>").lines() == ["the answer is empty"]


def test_unreadable_and_cut_calls_are_told() -> None:
    repaired = answer(written("add_load", '{"node": 6, "axis": "X",}'))
    assert not repaired.valid and repaired.calls and "trailing_comma" in repaired.lines()[-1]
    cut = answer('<tool_call>\n{"name": "add_lo', cut=9)
    assert not cut.valid and "cut off after 9 tokens" in cut.lines()[-1]
