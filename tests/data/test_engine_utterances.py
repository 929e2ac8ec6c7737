"""Every hand-written request: its gold calls hold on the example frame, its wrong calls are refused."""

import json
from pathlib import Path

import pytest

from data.domain import history_calls
from data.structural.engine import EXAMPLE, run_calls, verify

FOLDER = Path(__file__).parents[2] / "data" / "structural"
ROWS = [json.loads(line) for line in (FOLDER / "utterances.jsonl").read_text(encoding="utf-8").splitlines()]
TOOLS = [t for f in ("tools.json", "tools_heldout.json") for t in json.loads((FOLDER / f).read_text(encoding="utf-8"))]


def test_there_are_134_requests():
    assert len(ROWS) == 134


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r["id"])
def test_gold_calls_are_carried_out(row):
    verdict = verify(EXAMPLE, history_calls(row.get("history", [])), row["calls"], TOOLS, equilibrium=False)
    assert verdict.ok, verdict.reasons


@pytest.mark.parametrize("row", [r for r in ROWS if r["calls"]], ids=lambda r: r["id"])
def test_gold_calls_hold_in_equilibrium(row):
    pytest.importorskip("Pynite")
    verdict = verify(EXAMPLE, history_calls(row.get("history", [])), row["calls"], TOOLS)
    assert verdict.ok, verdict.reasons


@pytest.mark.parametrize("row", [r for r in ROWS if r.get("rejected_calls")], ids=lambda r: r["id"])
def test_wrong_references_are_refused(row):
    codes = {
        "u134": "no_such_member",
        "u135": "not_a_support",
        "u136": "position_out_of_range",
        "u137": "unknown_load_case",
        "u139": "no_such_story",
    }
    (result,) = run_calls(EXAMPLE, [], row["rejected_calls"]).results
    assert not result.ok
    assert result.code == codes[row["id"]]
