"""What a check says of shared prefixes: families as training finds them, what is saved, and why little is."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from data.check import check_files
from data.check.lengths import json_lengths, row_lengths
from data.check.prefix import Characters, Shared, TokenisedRow, shared, shared_prefixes
from data.commands import app
from data.families import cut_by_prefix
from data.record import Record
from data.template import apply, project_template
from finetune.shared_prefix import cut_into_families
from tests.tiny import make_tokenizer

WORDS = ["solid", "plain", "quick", "sharp", "broad", "still", "early", "later"]


def tool(name: str, about: str = "Does it.") -> dict[str, Any]:
    function = {"name": name, "description": about, "parameters": {"type": "object", "properties": {}}}
    return {"type": "function", "function": function}


TOOLS = [
    tool(f"{word}_{number}", f"A {word} thing, made to be {word} in all ways.") for number, word in enumerate(WORDS)
]


def record(number: int, system: str = "Call the tools.", tools: list[dict[str, Any]] | None = None) -> Record:
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": "user", "content": f"{number} of it"}, {"role": "assistant", "content": f"Not {number}."}]
    return Record(str(number), messages, TOOLS if tools is None else tools)


def of_rows(records: list[Record], tokenizer: Any) -> Shared:
    return shared_prefixes(records, row_lengths(records, tokenizer or Characters()), tokenizer)


def test_lengths_with_tools_as_json_are_those_of_whole_rows(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(tmp_path)
    records = [record(n, tools=TOOLS[:n]) for n in range(len(TOOLS))]
    template = project_template(tokenizer, "json")
    texts = [apply(template, tokenizer, r.messages, r.tools, generation_prompt=False) for r in records]
    whole = [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    assert json_lengths(records, row_lengths(records, tokenizer), tokenizer) == whole


def in_characters(records: list[Record]) -> Shared:
    return of_rows(records, None)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(20, 90), st.lists(st.integers(0, 2), max_size=40)), min_size=1)
)
def test_families_are_those_that_training_finds(drawn: list[tuple[int, int, list[int]]]) -> None:
    leads = sorted([start] * length + tail for start, length, tail in drawn)
    whole = [[*lead, 9] for lead in leads]  # in training a row goes on behind what may be shared
    assert cut_by_prefix(leads) == cut_into_families(whole, [len(lead) for lead in leads])


def test_one_prefix_of_all_rows(tmp_path: Path) -> None:
    found = of_rows([record(n) for n in range(16)], make_tokenizer(tmp_path))
    assert (found.families, found.alike, found.rows, found.reason) == (1, 16, 16, None)
    assert found.computed == found.total - 14 * found.prefix, "16 rows are two steps, each with a copy"
    assert str(found.sentence()) == (
        f"All 16 rows begin with the same {found.prefix:,} tokens: {found.times:.1f} times fewer tokens are computed."
    )
    assert found.sentence().text("ko").startswith(f"16행 모두 앞부분이 같습니다(같은 길이 {found.prefix:,}토큰). ")


def test_families_and_rows_without_a_partner() -> None:
    records = [record(n, f"This is bridge {WORDS[n % 4]} {'x' * 200}. Call the tools.") for n in range(12)]
    found = in_characters([*records, record(99, "Another thing altogether.", tools=[TOOLS[3]])])
    assert (found.families, found.alike, found.rows) == (4, 12, 13)
    said = str(found.sentence())
    assert said.startswith("4 groups of 3.0 rows on average share ")
    assert "characters, 1 rows share nothing: 2." in said and said.endswith("are computed.")


REASONS: list[tuple[list[Record], str]] = [
    (
        [record(n, f"Today is {n * 7919 % 10007}. Call the tools.") for n in range(20)],
        "The system turn differs from its character 1",
    ),
    ([record(n, tools=TOOLS[n:] + TOOLS[:n]) for n in range(8)], "The lists of tools differ from tool 1 on"),
    (
        [record(n, "Call.", tools=[]) for n in range(8)],
        "System turn and tools are alike, but shorter than the 32 tokens",
    ),
    ([record(n, "", tools=[]) for n in range(8)], "Rows begin with the request"),
    ([record(0)], "A single row has no partner."),
]


@pytest.mark.parametrize(("records", "why"), REASONS, ids=["system", "tools", "short", "nothing", "single"])
def test_where_nothing_is_shared_it_says_why(records: list[Record], why: str) -> None:
    found = in_characters(records)
    assert found.families == 0 and found.times == 1
    assert str(found.sentence()).startswith(f"No prefix is shared by {len(records)} rows. {why}"), found.sentence()
    assert not set("abcdefghijklmnopqrstuvwxyz") & set(found.sentence().text("ko"))


def test_the_place_is_the_token_of_the_system_turn_that_differs(tmp_path: Path) -> None:
    """A token is a byte here: `Today is ` has nine."""
    records = [record(n, f"Today is {WORDS[n]}. Call the tools.") for n in range(8)]
    said = of_rows(records, make_tokenizer(tmp_path)).sentence()
    assert "differs from its token 10 on, and the tools stand behind it: put what changes" in str(said)


def test_little_is_said_with_its_reason() -> None:
    rows = [TokenisedRow([record(n)], 0, [*range(40), 100 + n], 900) for n in range(8)]
    found = shared(rows, lambda text: list(map(ord, text)), "token")
    assert str(found.sentence()) == (
        "All 8 rows begin with the same 40 tokens: 4% fewer tokens are computed. What stands behind the prefix is "
        "long: rows have 900 tokens."
    )


def test_the_report_has_a_line_a_split_and_says_what_it_counted(tmp_path: Path) -> None:
    def write(name: str, records: list[Record]) -> Path:
        lines = [json.dumps({"id": r.id, "messages": r.messages, "tools": r.tools}) for r in records]
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
        return tmp_path / name

    train = write("train.jsonl", [record(n) for n in range(8)])
    test = write("test.jsonl", [record(n, f"{n * 7919} days. Call.") for n in range(20, 24)])
    printed = CliRunner().invoke(app, ["check", str(train), str(test), "--tokenizer", "none"]).stdout
    assert "counted in characters, for no tokenizer was used" in printed
    assert f"{train}: All 8 rows begin " in printed and f"{test}: No prefix is shared by 4 rows." in printed
    report = check_files([train, test], "none").to_dict()["shared"]
    assert report[str(train)]["alike"] == 8 and report[str(train)]["sentence"] in printed
    make_tokenizer(tmp_path / "tokens")
    (tmp_path / "tokens" / "config.json").write_text("{}", encoding="utf-8")
    counted = check_files([train], str(tmp_path / "tokens")).shared["train.jsonl"]
    assert counted.unit == "token" and counted.families == 1


def test_an_answer_that_rows_have_in_common_is_not_shared() -> None:
    """What is trained on counts in every row."""
    alike = [replace(record(1), id=str(n)) for n in range(4)]
    first = in_characters(alike)
    longer = [replace(r, messages=[*r.messages, {"role": "user", "content": "more"}, r.messages[-1]]) for r in alike]
    assert in_characters(longer).prefix == first.prefix
