"""One rendering: what is masked, what is trained, and that a prompt is, token by token, how its row starts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data.record import Record, tool_call
from data.render import IGNORED, Role, align_end_token, render, render_all, render_prompt
from data.template import Template, project_template
from data.tools import limit_tools, without_descriptions
from tests.tiny import make_tokenizer
from tooltune.errors import InputError


def tool(name: str, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    return {"type": "function", "function": {"name": name, "description": f"{name} 설명", "parameters": schema}}


TOOLS = [
    tool("add_load", node={"type": "integer"}, axis={"enum": ["X", "Y"]}, factors={"type": "array", "items": {}}),
    tool("undo"),
    tool("look", what={"type": "object", "additionalProperties": {"type": "number"}}),
]
RECORD = Record(
    "row",
    [
        {"role": "system", "content": "호출하라."},
        {"role": "user", "content": "8번에 하중, 되돌리기"},
        {
            "role": "assistant",
            "content": "네.",
            "tool_calls": [tool_call("add_load", {"node": 8, "axis": "X"}), tool_call("undo", {})],
        },
        {"role": "tool", "name": "add_load", "content": '{"ok": true}'},
        {"role": "user", "content": "add_load가 뭐야?"},
        {"role": "assistant", "content": "하중을 더하는 도구입니다."},
    ],
    TOOLS,
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def trained(example: Any, tokenizer: Any, role: Role | None = None) -> str:
    ids = [i for i, r in zip(example.labels, example.roles, strict=True) if i != IGNORED and role in (None, r)]
    return tokenizer.decode(ids, clean_up_tokenization_spaces=False)


def test_whole_numbers_are_written_as_every_server_writes_them(tokenizer: Any) -> None:
    tools = [tool("scale", factor={"enum": [1.0, 1.25, 1e300], "default": 2.0})]
    calls = [tool_call("scale", {"factor": 1.0, "places": [{"x": 3.0}, 0.5], "on": True})]
    record = Record("row", [{"role": "user", "content": "1.0"}, {"role": "assistant", "tool_calls": calls}], tools)
    template = project_template(tokenizer, "json")
    example = render(record, tokenizer, template)
    assert '{"factor": 1, "places": [{"x": 3}, 0.5], "on": true}' in trained(example, tokenizer)
    prompt = tokenizer.decode(render_prompt(record, tokenizer, template))
    assert '{"enum": [1, 1.25, 1e+300], "default": 2}' in prompt and "user\n1.0<" in prompt


@pytest.mark.parametrize("style", ["json", "signature"])
def test_every_assistant_turn_is_trained_and_nothing_else(tokenizer: Any, style: Any) -> None:
    example = render(RECORD, tokenizer, project_template(tokenizer, style))
    assert trained(example, tokenizer) == (
        '네.\n<tool_call>\n{"name": "add_load", "arguments": {"node": 8, "axis": "X"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "undo", "arguments": {}}\n</tool_call><|im_end|>하중을 더하는 도구입니다.<|im_end|>'
    )
    assert all(
        (label == IGNORED) == (role == Role.MASKED) for label, role in zip(example.labels, example.roles, strict=True)
    )


def test_roles(tokenizer: Any) -> None:
    example = render(RECORD, tokenizer, project_template(tokenizer, "signature"))
    assert trained(example, tokenizer, Role.NAME) == "add_loadundo"
    assert trained(example, tokenizer, Role.ARGUMENTS) == '{"node": 8, "axis": "X"}{}'
    assert trained(example, tokenizer, Role.TEXT) == "네.하중을 더하는 도구입니다."


@pytest.mark.parametrize("style", ["json", "signature"])
def test_prompt_is_the_start_of_the_training_row(tokenizer: Any, style: Any) -> None:
    template = project_template(tokenizer, style)
    prompt, example = render_prompt(RECORD, tokenizer, template), render(RECORD, tokenizer, template)
    assert example.input_ids[: len(prompt)] == prompt
    assert tokenizer.decode(prompt).endswith("<|im_start|>assistant\n")


def test_signatures(tokenizer: Any) -> None:
    text = tokenizer.decode(render_prompt(RECORD, tokenizer, project_template(tokenizer, "signature")))
    assert "add_load(node: int, axis?: X|Y, factors?: [any]) # add_load 설명\n" in text
    assert "look(what: {str: num}) # look 설명\n" in text


def test_row_that_is_too_long_is_reported_or_fails(tokenizer: Any) -> None:
    template = project_template(tokenizer, "signature")
    short = replace(RECORD, id="short", messages=RECORD.messages[:1] + RECORD.messages[-2:], tools=[])
    out = render_all([RECORD, short], tokenizer, template, max_length=300)
    assert [e.id for e in out.examples] == ["short"] and out.dropped[0][0] == "row" and out.dropped[0][1] > 300
    with pytest.raises(InputError, match="the limit is 300"):
        render_all([RECORD], tokenizer, template, max_length=300, too_long="fail")


def test_template_that_rewrites_the_past_is_refused(tokenizer: Any) -> None:
    source = "{% for m in messages %}{{ loop.length }}{{ m.role }}:{{ m.content }}<|im_end|>{% endfor %}"
    source += "{% if add_generation_prompt %}assistant:{% endif %}"
    with pytest.raises(InputError, match="chat template"):
        render(RECORD, tokenizer, Template(source, "hermes", "own"))


def test_end_token_follows_the_template(tokenizer: Any) -> None:
    example = render(RECORD, tokenizer, project_template(tokenizer, "signature"))
    tokenizer.eos_token = "<|endoftext|>"
    align_end_token(tokenizer, [example])
    assert tokenizer.eos_token == "<|im_end|>"


def test_limit_keeps_what_the_row_needs() -> None:
    assert [t["function"]["name"] for t in limit_tools(RECORD, 2).tools] == ["add_load", "undo"]
    about = replace(RECORD, messages=RECORD.messages[-2:], meta={"relevant_tools": ["look"]})
    assert [t["function"]["name"] for t in limit_tools(about, 1).tools] == ["look"]
    assert limit_tools(RECORD, None) is RECORD


def test_a_parameter_called_description_survives() -> None:
    record = replace(RECORD, tools=[tool("note", description={"type": "string", "description": "글"})])
    function = without_descriptions(record).tools[0]["function"]
    assert "description" not in function
    assert function["parameters"]["properties"] == {"description": {"type": "string"}}


def test_choice_of_template(tokenizer: Any) -> None:
    from eval.roundtrip import choose_template

    tokenizer.chat_template = project_template(tokenizer, "json").source
    assert choose_template(tokenizer, "json").origin == "own"
    assert choose_template(tokenizer, "signature").origin == "project"
    turns = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    tokenizer.chat_template = turns + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    dropped = choose_template(tokenizer, "json")
    assert dropped.origin == "project" and "round trip" in str(dropped.reason)


def test_bundled_rows_come_back_through_the_parser(tokenizer: Any) -> None:
    from data.load import load_records
    from eval.roundtrip import check_roundtrip

    rows = load_records(Path(__file__).parents[2] / "data" / "structural" / "test.jsonl")[::10]
    check_roundtrip(rows, tokenizer, project_template(tokenizer, "signature"))


def test_every_trained_turn_comes_back_through_the_parser(tokenizer: Any) -> None:
    from eval.roundtrip import check_roundtrip

    own = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    own += "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    drops_calls = Template(own, "hermes", "own")
    with pytest.raises(InputError, match="does not reproduce the calls of turn 2: no call") as raised:
        check_roundtrip([RECORD], tokenizer, drops_calls)
    assert raised.value.where == "row"
    untrained = [m | {"trained": False} if i == 2 else m for i, m in enumerate(RECORD.messages)]
    check_roundtrip([replace(RECORD, messages=untrained)], tokenizer, drops_calls)


@pytest.mark.parametrize("text", ['Tool call: {"name": "%s", "arguments": {}}', "%s(x=1)", "<tool_call>%s"])
def test_a_call_in_the_text_is_called_so(text: str, tokenizer: Any) -> None:
    from eval.roundtrip import check_roundtrip

    said = text % RECORD.tools[0]["function"]["name"]
    record = replace(RECORD, messages=[*RECORD.messages[:2], {"role": "assistant", "content": said}])
    with pytest.raises(InputError, match="the text of turn 2 reads as a call") as raised:
        check_roundtrip([record], tokenizer, project_template(tokenizer, "signature"))
    assert raised.value.where == RECORD.id and "tool_calls" in raised.value.fix


def test_hangul_is_literal_in_prompts(tokenizer: Any) -> None:
    text = tokenizer.decode(render_prompt(RECORD, tokenizer, project_template(tokenizer, "json")))
    assert "add_load 설명" in text and "\\u" not in text
    assert json.loads(text.split("Tools:\n")[1].split("\n")[0]) == TOOLS[0]
