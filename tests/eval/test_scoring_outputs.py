"""From the text that a model writes to its score, through the parser."""

import pytest

from eval.scoring import Sample, score

TOOL = {
    "type": "function",
    "function": {
        "name": "add_load",
        "parameters": {
            "type": "object",
            "properties": {"node": {"type": "integer"}, "value": {"type": "number"}},
            "required": ["node", "value"],
        },
    },
}
GOLD = [{"name": "add_load", "arguments": {"node": 1, "value": 10}}]


def block(text):
    return f"<tool_call>\n{text}\n</tool_call>"


RIGHT = '{"name": "add_load", "arguments": {"node": 1, "value": 10.0}}'
ALL = {"tool_name_accuracy", "parameter_accuracy", "json_validity", "exact_match"}


@pytest.mark.parametrize(
    ("output", "strict", "exact_repaired"),
    [
        (block(RIGHT), ALL, True),
        (block(RIGHT.replace("10.0", "11")), {"tool_name_accuracy", "json_validity"}, False),
        (block(RIGHT.replace("}}", ",}}")), set(), True),
        (RIGHT, {"json_validity"}, True),
        (block(RIGHT.replace("arguments", "parameters")), {"json_validity"}, True),
        (block(RIGHT.replace('{"node": 1, "value": 10.0}', r'"{\"node\": 1, \"value\": 10}"')), set(), True),
        (block(RIGHT.replace('{"node": 1, "value": 10.0}', "[1, 10]")), set(), False),
        (block(RIGHT) + "\n" + block('{"name": "add_load", "arguments": [1]}'), set(), True),
        (block(RIGHT) + "\n" + block('{"name": 5, "arguments": {}}'), set(), True),
        (block(RIGHT.replace("10.0", "2*5")), set(), False),
        (block(RIGHT.replace("1,", '"1",')), {"tool_name_accuracy", "json_validity"}, False),
        ("절점 1에 10kN을 추가했습니다.", set(), False),
        ("", set(), False),
    ],
)
def test_what_an_output_earns(output, strict, exact_repaired):
    result = score([Sample("s", GOLD, [TOOL], output)])
    assert {key for key in ALL if result["strict"][key]["value"] == 1.0} == strict
    assert result["repaired"]["exact_match"]["value"] == float(exact_repaired)


def test_a_tool_that_was_not_offered_is_kept_and_counted():
    result = score([Sample("s", GOLD, [TOOL], block(RIGHT.replace("add_load", "add_lode")))])
    assert result["hallucination"]["samples_with_call"]["unknown_tool"]["count"] == 1
    assert result["confusion"] == {"add_load": {"add_lode": 1}}


def test_no_call_due():
    outputs = ["어느 절점인가요?", block(RIGHT), "<tool_call>\n{"]
    result = score([Sample(str(i), [], [TOOL], output) for i, output in enumerate(outputs)])
    assert (result["headline"]["exact_match"]["count"], result["apart"]["over_call"]["count"]) == (1, 2)
    assert result["confusion"] == {"(none)": {"(neither)": 1, "(none)": 1, "add_load": 1}}


def test_the_confusion_counts_what_the_slices_count():
    """Samples where no call is due once each, right where the answer is words; other calls too many apart."""
    outputs = ["어느 절점인가요?", block(RIGHT) * 3, "<tool_call>\n{", ""]
    due = [Sample(f"due {i}", GOLD, [TOOL], output) for i, output in enumerate(outputs)]
    result = score([*due, *(Sample(f"none {i}", [], [TOOL], output) for i, output in enumerate(outputs))])
    table, silent = result["confusion"], result["slices"]["tool"]["(none)"]
    assert sum(table["(none)"].values()) == silent["n"] and table["(none)"]["(none)"] == silent["exact_match"]["count"]
    assert table["(extra)"] == {"add_load": 4} and result["apart"]["extra_call"]["total"] == 2
    assert table["add_load"] == {"(neither)": 2, "(none)": 1, "add_load": 1}


@pytest.mark.parametrize(
    "output", ["", " \n", "<|im_end|>", "<think>\n어느 절점", "<think>\n없다.\n</think>\n\n<|im_end|>"]
)
def test_silence_is_no_refusal_in_words(output):
    result = score([Sample("s", [], [TOOL], output)])
    assert result["apart"]["silent"]["count"] == 1
    assert result["apart"]["over_call"]["count"] == result["headline"]["exact_match"]["count"] == 0
    assert result["headline"]["abstention"]["count"] == result["no_call"]["recall"]["count"] == 0


@pytest.mark.parametrize("output", ["[]", '{"thought": "", "tool_calls": []}'])
def test_xlam_says_in_its_own_words_that_no_tool_is_needed(output):
    assert score([Sample("s", [], [TOOL], output)], "xlam")["headline"]["abstention"]["value"] == 1


def test_a_cut_output_is_counted():
    result = score([Sample("s", GOLD, [TOOL], block(RIGHT)[:30], truncated=True)])
    assert result["apart"]["truncated"]["count"] == 1
