"""The cross-check with BFCL: with the package where it is installed, with a stand-in for its checker everywhere."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tests.bfcl.crosscheck as module
from data.formats.schema import tools_of
from eval.parse import parse_tool_calls, render_calls
from eval.parsed import ToolCall
from tests.bfcl.__main__ import app
from tests.bfcl.checker import Bfcl, load_bfcl, read_blocks
from tests.bfcl.corruptions import CALLS, TEXTS, VALUES, outputs
from tests.bfcl.crosscheck import crosscheck, explain
from tests.bfcl.items import CATEGORIES, Item, answer, gold, load_items, variants
from tests.bfcl.report import KNOWN, markdown, summary
from tests.bfcl.rules import Case, counts_as_right

installed = pytest.mark.skipif(find_spec("bfcl_eval") is None, reason="bfcl-eval is not installed")
PROPERTIES = {
    "city": {"type": "string"},
    "days": {"type": "integer"},
    "wind": {"type": "float"},
    "unit": {"type": "string", "default": "km"},
    "marks": {"type": "array", "items": {"type": "float"}},
}
FUNCTIONS = [
    {"name": "forecast", "parameters": {"type": "dict", "properties": PROPERTIES, "required": ["city"]}},
    {"name": "look", "parameters": {"type": "dict", "properties": {}, "required": []}},
]
TRUTH = [{"forecast": {"city": ["New York", "NYC"], "days": [5], "wind": [1.5, ""], "unit": ["km"], "marks": [[1.0]]}}]
ITEM = Item("q", "simple_python", FUNCTIONS, TRUTH, tools_of(FUNCTIONS))
RIGHT = {"city": "New York", "days": 5, "wind": 1.5, "unit": "km", "marks": [1.0]}


def exact(functions, calls, truth, language, category, name):
    """A checker in BFCL's form that wants Python's own equality, calls in order."""
    valid = len(calls) == len(truth) and all(
        got.keys() == want.keys() and _arguments(got[f], want[f])
        for got, want in zip(calls, truth, strict=True)
        for f in want
    )
    return {"valid": valid, "error_type": "wrong"}


def _arguments(got, want):
    written = all(k in want and repr(v) in map(repr, want[k]) for k, v in got.items())
    return written and all(k in got or "" in want[k] for k in want)


PAGE = Path(__file__).parents[2] / "docs" / "bfcl-crosscheck.md"
EXACT = Bfcl(Path(), exact, None)


def text(**arguments):
    return render_calls([ToolCall("forecast", RIGHT | arguments)])


def test_gold_offers_every_alternative():
    for last in (False, True):
        assert counts_as_right(ITEM, render_calls(answer(ITEM, last=last)))
    assert answer(ITEM, last=True)[0].arguments["city"] == "NYC"
    assert "wind" not in answer(ITEM, optional=False)[0].arguments
    assert counts_as_right(ITEM, render_calls(answer(ITEM, optional=False)))
    assert not counts_as_right(ITEM, text(city="Boston"))
    assert gold(ITEM)[0]["arguments"]["wind"] == {"any_of": [1.5], "optional": True}


def test_an_empty_text_that_the_schema_requires_is_meant():
    item = replace(ITEM, truth=[{"forecast": {"city": [""]}}])
    assert answer(item)[0].arguments == {"city": ""}
    assert counts_as_right(item, render_calls([ToolCall("forecast", {"city": ""})]))


def test_variants_of_an_object():
    assert variants({"a": [1, 2], "b": ["x", ""]}) == [{"a": 1, "b": "x"}, {"a": 1}, {"a": 2, "b": "x"}, {"a": 2}]
    assert variants([{"a": [1, 2]}]) == [[{"a": 1}], [{"a": 2}]]
    assert variants({"a": 1}) == [{"a": 1}] and variants([1, [2]]) == [[1, [2]]]


def test_every_corruption_changes_the_answer_and_none_is_right_by_chance():
    made = outputs(ITEM, 0)
    plain = made["right"]
    assert {name for name, t in made.items() if t == plain} <= {"right"}
    harmless = {name for name, t in made.items() if counts_as_right(ITEM, t)}
    assert harmless == {
        *("right", "right: last alternatives", "right: optional arguments left out"),
        *("a text with a blank at its end", "an integer as 5.0", "a number off by 1e-12", "inside: a float as integer"),
        "words before the calls",
    }
    assert len(CALLS) + len(VALUES) + len(TEXTS) > 50


def test_the_place_that_changes_moves_on():
    changed = set()
    for turn in range(5):
        (call,) = parse_tool_calls(outputs(ITEM, turn)["null"]).calls
        changed |= {key for key, value in call.arguments.items() if value is None}
    assert changed == set(RIGHT)


def test_blocks_are_read_as_bfcls_handler_reads_them():
    assert read_blocks('x<tool_call>\n{"a": 1, "a": 2}\n</tool_call>\n<tool_call>\n{\n</tool_call>') == [{"a": 2}]
    assert read_blocks('<tool_call>\n{"a": 1}') == [] and read_blocks('{"a": 1}') == []
    assert EXACT.verdict(ITEM, '<tool_call>\n{"name": "forecast"}\n</tool_call>') == (False, "decoder_failed")


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"days": 5.0}, "5.0 for 5"),
        ({"marks": [1]}, "5 for 5.0 inside"),
        ({"wind": 1.5 + 1e-12}, "1e-9"),
        ({"days": 5.0, "marks": [1]}, "5.0 for 5 + 5 for 5.0 inside"),
    ],
)
def test_what_this_scorer_accepts_and_an_exact_checker_does_not(arguments, rule):
    output = text(**arguments)
    assert counts_as_right(ITEM, output) and not EXACT.verdict(ITEM, output)[0]
    assert explain(Case(EXACT, ITEM, output), bfcl_accepts=False) == rule


@pytest.mark.parametrize(
    ("output", "rule"),
    [
        (text(city="new-york"), "texts folded"),
        (text(wind=""), "empty is absent"),
        (text().replace('{"name"', '{"name": "x", "name"', 1), "key twice"),
        (text() + "\n<tool_call>\n{\n</tool_call>", "broken block passed over"),
        (text(city="Boston"), None),
        (text(days=6), None),
        (text(city="Boston") + "\n<tool_call>\n{\n</tool_call>", None),
        (text(days=True), None),
    ],
)
def test_what_a_checker_that_takes_all_accepts_and_this_scorer_does_not(output, rule):
    assert not counts_as_right(ITEM, output)
    assert explain(Case(EXACT, ITEM, output), bfcl_accepts=True) == rule


def test_a_disagreement_without_a_rule_is_reported(monkeypatch):
    lenient = Bfcl(Path(), lambda *args: {"valid": True}, None)
    found = crosscheck(lenient, [ITEM])
    ways = {way for _, way, *_ in found.unexplained}
    assert {"another number", "a name that is not offered", "a call twice"} <= ways
    assert "## Unexplained" in markdown(found, [ITEM])
    monkeypatch.setattr(module, "counts_as_right", lambda item, text: True)
    assert crosscheck(EXACT, [ITEM]).unexplained, "a scorer that accepts everything is found out too"


def test_the_page_adds_up():
    found = crosscheck(EXACT, [ITEM, ITEM])
    n = sum(found.outputs.values())
    differ = sum(sum(ways.values()) for ways in found.explained.values()) + len(found.unexplained)
    assert n == sum(found.both_right.values()) + sum(found.both_wrong.values()) + differ
    page = markdown(found, [ITEM, ITEM])
    assert summary(found) in page and "simple_python (2)" in page and "| here | 5.0 for 5 |" in page


@pytest.mark.skipif(find_spec("bfcl_eval") is not None, reason="bfcl-eval is installed")
def test_the_command_says_that_the_package_is_missing():
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 2 and "pip install --no-deps bfcl-eval==" in done.stderr and not done.stdout


@installed
def test_every_disagreement_with_bfcl_has_a_known_reason():
    package = load_bfcl()
    items = [item for name in CATEGORIES for item in load_items(package.data, (name,))[::10]]
    found = crosscheck(package, items)
    assert sum(found.outputs.values()) > 3000 and not found.unexplained
    assert found.both_right["right"] >= len(items) - 2
    for way in ("another number", "a call missing", "a name that is not offered", "a number as text"):
        assert found.both_wrong[way] == found.outputs[way]


@installed
def test_loading_bfcl_leaves_no_stand_in_behind():
    import sys

    load_bfcl()
    assert "bfcl_eval.constants.model_config" not in sys.modules


def test_the_page_explains_everything_and_says_what_was_known():
    page = PAGE.read_text(encoding="utf-8")
    assert "of which 0 no rule explains" in page and "## Unexplained" not in page and KNOWN in page
    rows = [row.split(" | ") for row in page.split("## What was compared")[0].splitlines() if row.startswith("| ")]
    counts = [int(row[2].replace(",", "")) for row in rows if row[2].replace(",", "").isdigit()]
    assert f"another on {sum(counts):,}," in page  # the rules' counts add up to the disagreements
