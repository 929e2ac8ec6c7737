"""Constrained decoding: what the grammars of tools allow and refuse, and that decoding keeps to them."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

xgrammar = pytest.importorskip("xgrammar", reason="needs the extra `constrained`")

from data.record import Record, calls_of  # noqa: E402
from data.render import whole_numbers  # noqa: E402
from eval.constrained import Constraint, check, structural_tag  # noqa: E402
from eval.formats import families  # noqa: E402
from eval.parse import parse_tool_calls  # noqa: E402
from eval.parsed import ToolCall  # noqa: E402
from tests.data.test_signature import LOOP, MUTUAL, PARAMETERS, SELF, TREE, tool  # noqa: E402
from tests.tiny import make_model, make_tokenizer  # noqa: E402
from tooltune.errors import InputError  # noqa: E402
from tooltune.files import read_jsonl  # noqa: E402

STRUCTURAL = Path(__file__).parents[2] / "data" / "structural"
LOAD = {
    "type": "object",
    "properties": {
        "node": {"type": "integer", "minimum": 1},
        "axis": {"enum": ["X", "Y"]},
        "value": {"type": "number"},
        "note": {"type": "string"},
    },
    "required": ["node", "axis"],
    "additionalProperties": False,
}


def offered(**schemas: Any) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": n, "parameters": schema}} for n, schema in schemas.items()]


TOOLS = offered(add_load=LOAD, undo={"type": "object", "properties": {}, "additionalProperties": False})


@cache
def compiler() -> Any:
    """For a vocabulary of bytes."""
    end = 256
    info = xgrammar.TokenizerInfo(
        [bytes([i]) for i in range(end)] + [b"<end>"], xgrammar.VocabType.RAW, stop_token_ids=[end]
    )
    return xgrammar.GrammarCompiler(info)


def allowed(text: str, tools: list[dict[str, Any]] = TOOLS, family: str = "hermes") -> bool:
    """Whether an answer may be written from its first byte to its end."""
    matcher = xgrammar.GrammarMatcher(compiler().compile_structural_tag(structural_tag(family, tools)))
    return bool(matcher.accept_string(text) and matcher.is_completed())


def written(*calls: tuple[str, dict[str, Any]], family: str = "hermes") -> str:
    return families()[family].render([ToolCall(*call) for call in calls])


GOOD = {"node": 1, "axis": "X"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "어느 절점입니까?",
        "a < b, {} and <tool>",
        written(("undo", {})),
        written(("add_load", GOOD)),
        written(("add_load", GOOD | {"value": -1.5e3, "note": '한글 "1"\n'})),
        written(("add_load", GOOD), ("undo", {})),
        "네.\n" + written(("undo", {})),
    ],
)
def test_text_and_calls_that_fit_are_allowed(text: str) -> None:
    assert allowed(text)


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        "<tool_call>undo</tool_call>",
        "x </tool_call>",
        written(("move", {})),
        written(("add_load", {"node": 1})),
        written(("add_load", {"node": 0, "axis": "X"})),
        written(("add_load", {"node": 1, "axis": "Z"})),
        written(("add_load", {"node": "1", "axis": "X"})),
        written(("add_load", {"node": 1.5, "axis": "X"})),
        written(("add_load", GOOD | {"unit": "kN"})),
        written(("undo", {"n": 1})),
        written(("undo", {})).replace("}}", "}"),
        written(("add_load", GOOD)).replace(', "axis"', ' "axis"'),
    ],
)
def test_calls_that_break_a_schema_are_not(text: str) -> None:
    assert not allowed(text)


def test_no_tools_is_text() -> None:
    assert allowed("무엇이든", tools=[])


def test_every_trained_answer_can_be_written() -> None:
    """A grammar that forbids what the rows teach would make a model worse: all tools, names and values of the data."""
    refused = []
    for _, row in read_jsonl(STRUCTURAL / "validation.jsonl"):
        record = Record.from_dict(row)
        answer = record.messages[-1]
        calls = [(call["name"], whole_numbers(call["arguments"])) for call in calls_of(answer)]
        text = (answer.get("content") or "") + (written(*calls) if calls else "")
        if not allowed(text, record.tools):
            refused.append((record.id, text))
    assert not refused


@pytest.mark.parametrize("name", ["tools", "tools_heldout"])
def test_every_tool_of_the_structural_domain_has_a_grammar(name: str) -> None:
    tools = json.loads((STRUCTURAL / f"{name}.json").read_text(encoding="utf-8"))
    check("hermes", tools)
    assert all(allowed("", [one]) for one in tools)


WITHOUT = {
    "upper case (Gemini)": "Unsupported type",
    "unknown type": "Unsupported type",
    "empty enum": "enum array must not be empty",
    "tuple (draft 7)": "items must be a boolean or an object",
    "reference with ~1": "Cannot find field",
    "reference with %3C (TypeScript)": "Cannot find field",
    "reference that leads nowhere": "Cannot find field",
}
"""Schemas for which the library has no grammar, and what it says."""


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name not in WITHOUT])
def test_schemas_as_people_write_them(name: str) -> None:
    tools = offered(f=tool(PARAMETERS[name][0])["parameters"])
    check("hermes", tools)
    assert allowed(written(("f", {"first": 1})), tools)
    assert not allowed(written(("f", {"first": "1"})), tools)


@pytest.mark.parametrize("name", WITHOUT)
def test_a_schema_without_a_grammar_is_named(name: str) -> None:
    tools = offered(undo={}, f=tool(PARAMETERS[name][0])["parameters"])
    with pytest.raises(InputError, match=f"the schema of f has no grammar: {WITHOUT[name]}"):
        check("hermes", tools)


@pytest.mark.parametrize("schema", [TREE, MUTUAL, SELF, LOOP], ids=["tree", "mutual", "self", "loop"])
def test_references_that_contain_themselves(schema: Any) -> None:
    check("hermes", offered(f=schema))


@pytest.mark.parametrize(
    "family", ["hermes", "qwen3_coder", "llama3_function", "llama3_json", "mistral_args", "granite20b"]
)
def test_families(family: str) -> None:
    """What the family's own chat template writes is allowed, and a tool that is not offered is not."""
    for call in [("add_load", GOOD), ("add_load", GOOD | {"note": "한글"}), ("undo", {})]:
        assert allowed(written(call, family=family), family=family)
    assert not allowed(written(("move", {}), family=family), family=family)
    assert not allowed(written(("add_load", {"node": 1, "axis": "Z"}), family=family), family=family)


@pytest.mark.parametrize("family", ["xlam", "pythonic", "gemma4", "functionary_v32"])
def test_families_without_a_grammar_say_so(family: str) -> None:
    with pytest.raises(InputError, match="no grammar for calls"):
        structural_tag(family, TOOLS)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def forced(constraint: Constraint, start: list[int]) -> Callable[..., None]:
    """As a model that begins every answer with `start`."""

    def restrict(logits: Any, prompts: Sequence[int], answers: Sequence[list[int]]) -> None:
        constraint(logits, prompts, answers)
        for row, answer in enumerate(answers):
            if len(answer) < len(start):
                kept = logits[row, start[len(answer)]].clone()
                logits[row] = -float("inf")
                logits[row, start[len(answer)]] = kept

    return restrict


@pytest.mark.parametrize("batch", [1, 3])
def test_a_model_that_knows_nothing_writes_valid_calls(tokenizer: Any, tmp_path: Path, batch: int) -> None:
    """One by one through transformers, side by side in slots."""
    from transformers import AutoModelForCausalLM

    from eval.generate import generate

    tools = offered(add_load=LOAD | {"properties": {k: LOAD["properties"][k] for k in ("node", "axis")}}, undo={})
    model = AutoModelForCausalLM.from_pretrained(make_model(tmp_path)).eval()
    prompts = [tokenizer(text)["input_ids"] for text in ("가", "나다", "abc def", "x" * 80)]
    restrict = forced(Constraint(tokenizer, 260, "hermes", [tools] * 4), tokenizer("<tool_call>")["input_ids"])
    outputs = generate(model, tokenizer, prompts, max_new_tokens=400, batch=batch, restrict=restrict)
    whole = [o for o in outputs if "</tool_call>" in o.text]
    assert whole
    for output in outputs:
        first = output.text.split("</tool_call>")[0] + "</tool_call>"
        assert output not in whole or allowed(first, tools)
        assert parse_tool_calls(first, "hermes", tools, output not in whole).strict_calls or output not in whole


def test_an_answer_that_begins_anew_has_read_nothing(tokenizer: Any) -> None:
    """Where memory runs out, a prompt is asked a second time."""
    import torch

    constraint = Constraint(tokenizer, 260, "hermes", [TOOLS])
    answer = tokenizer(written(("undo", {})))["input_ids"]

    def next_tokens(so_far: list[int]) -> list[int]:
        logits = torch.zeros(1, 260)
        constraint(logits, [0], [so_far])
        return [int(i) for i in (logits[0] == 0).nonzero().flatten()]

    first = next_tokens([])
    for i in range(len(answer)):
        assert answer[i] in next_tokens(answer[:i])
    assert next_tokens([]) == first
    assert next_tokens(answer[:12]) == next_tokens(answer[:12])
    assert tokenizer.eos_token_id not in next_tokens(answer[:12])
