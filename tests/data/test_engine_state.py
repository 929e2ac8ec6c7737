"""The model, its one line, the tools' refusals, undo, and what counts as the same state."""

import subprocess
import sys

import pytest

from data.domain import history_calls
from data.structural.engine import (
    EXAMPLE,
    ModelSpec,
    State,
    build,
    canonical_state,
    execute,
    run_calls,
    same_state,
    state_line,
    verify,
)
from data.structural.engine.state import names, runs
from data.structural.engine.verify import engine_version


def call(name, /, **arguments):
    return {"name": name, "arguments": arguments}


def test_example_numbering():
    nodes, members = EXAMPLE.nodes(), EXAMPLE.members()
    assert list(nodes) == list(range(1, 19))
    assert nodes[8] == (6.0, 0.0, 4.0)
    assert nodes[18] == (12.0, 5.0, 7.5)
    assert list(members) == list(range(1, 27))
    assert members[1] == (1, 7, "column")
    assert members[12] == (12, 18, "column")
    assert members[13] == (7, 8, "beam")
    assert members[17] == (7, 10, "beam")
    assert members[20] == (13, 14, "beam")
    assert members[26] == (15, 18, "beam")


def test_numbering_can_start_and_step_elsewhere():
    spec = ModelSpec(first_node=101, node_step=10, first_member=201)
    assert runs(spec.nodes()) == "101-271/10"
    assert spec.members()[201] == (101, 161, "column")


def test_spec_survives_json():
    assert ModelSpec.from_dict(EXAMPLE.to_dict()) == EXAMPLE
    with pytest.raises(ValueError, match="unknown keys"):
        ModelSpec.from_dict({"storeys": 3})
    with pytest.raises(ValueError, match="storeys need"):
        ModelSpec(stories=["2F"])
    with pytest.raises(ValueError, match="current load case"):
        ModelSpec(current="W")


def test_state_line():
    line = state_line(EXAMPLE)
    assert line == (
        "nodes 1-18 (supports 1-6); members 1-26 (columns 1-12); stories 1F 2F RF; cases DL* LL WX EX EY; "
        "combos LCB1-3; sections H-400x200x8x13 H-300x300x10x15 H-500x200x10x16 RC-400x600; materials SM355 C24"
    )


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([1, 2, 3, 7, 9, 10], "1-3,7,9-10"), ([10, 20, 30, 40], "10-40/10"), ([5], "5"), ([3, 8], "3,8"), ([], "")],
)
def test_runs(numbers, text):
    assert runs(numbers) == text


def test_names():
    assert names(["LCB1", "LCB2", "LCB3", "서비스", "S1"]) == "LCB1-3 서비스 S1"


REFUSED = [
    ("no_such_node", call("add_nodal_load", node_id=99, direction="X", value=1)),
    ("no_such_member", call("set_end_release", member_ids=[13, 99], end="i", release="pinned")),
    ("not_a_support", call("set_support", node_ids=[1, 8], support_type="free")),
    ("not_a_support", call("get_reaction", node_id=8)),
    ("not_a_support", call("set_support_settlement", node_id=8, direction="Z", value=-5)),
    ("position_out_of_range", call("add_member_point_load", member_id=13, direction="Z", value=-1, position=1.5)),
    (
        "position_out_of_range",
        call("add_member_distributed_load", member_id=13, direction="Z", value=-1, start=0.6, end=0.4),
    ),
    ("unknown_load_case", call("add_self_weight", load_case="LCB1")),
    ("unknown_load_case", call("create_load_combination", name="N", factors={"SN": 1})),
    ("unknown_load_name", call("show_diagram", diagram="moment", load_name="LCB9")),
    ("unknown_section", call("add_member", start_node=1, end_node=8, section="H-1x1x1x1")),
    ("unknown_material", call("define_section", shape="circle", dimensions=[300], material="SM460")),
    ("bad_dimensions", call("define_section", shape="H", dimensions=[400, 200, 8])),
    ("bad_dimensions", call("define_section", shape="pipe", dimensions=[100, 60])),
    ("grade_mismatch", call("define_material", material_type="steel", grade="C30")),
    ("duplicate_name", call("create_load_case", name="DL", load_type="dead")),
    ("duplicate_name", call("define_material", material_type="concrete", grade="C24")),
    ("duplicate_name", call("create_load_combination", name="LCB1", factors={"DL": 1})),
    ("duplicate_id", call("add_node", node_id=8, x=1, y=1, z=1)),
    ("node_exists_here", call("add_node", x=6, y=0, z=4)),
    ("duplicate_member", call("add_member", start_node=8, end_node=7, section="H-400x200x8x13")),
    ("zero_length", call("add_member", start_node=8, end_node=8, section="H-400x200x8x13")),
    ("no_such_story", call("add_floor_load", story="4F", value=1)),
    ("no_such_story", call("add_floor_load", story="1F", value=1)),
    ("no_such_story", call("get_story_drift", direction="X", story="1F")),
    ("no_offset", call("move_node", node_id=8)),
    ("zero_value", call("add_nodal_load", node_id=8, direction="X", value=0)),
    ("nothing_to_undo", call("undo")),
    ("bad_arguments", call("delete_entities", entity_type="node", names=["DL"])),
    ("bad_arguments", call("set_support", node_ids=[1], support_type="fixed", roller_direction="X")),
    ("bad_arguments", call("add_nodal_load", node_id=8, direction="X", value="10")),
    ("unknown_combination", call("delete_entities", entity_type="load_combination", names=["LCB9"])),
    ("unknown_tool", call("make_coffee")),
]


@pytest.mark.parametrize(("code", "wrong"), REFUSED, ids=lambda v: v if isinstance(v, str) else v["name"])
def test_refusals_leave_the_state_alone(code, wrong):
    state = build(EXAMPLE)
    before = canonical_state(state)
    result = execute(state, wrong, solve=False)
    assert (result.ok, result.code) == (False, code)
    assert " / " in result.error
    assert canonical_state(state) == before
    assert not state.history


def test_undo_restores_edits_and_skips_queries():
    state = build(EXAMPLE)
    before = canonical_state(state)
    execute(state, call("add_nodal_load", node_id=8, direction="X", value=1))
    execute(state, call("delete_entities", entity_type="node", ids=[8]))
    execute(state, call("run_static_analysis"), solve=False)
    assert execute(state, call("undo", steps=2)).ok
    state.actions.clear()
    assert canonical_state(state) == before


def test_deleting_a_node_takes_its_members_and_loads():
    state = build(EXAMPLE)
    execute(state, call("add_nodal_load", node_id=8, direction="X", value=1))
    execute(state, call("add_member_distributed_load", member_id=13, direction="Z", value=-1))
    execute(state, call("delete_entities", entity_type="node", ids=[8]))
    assert state.tables.loads == []
    assert 13 not in state.tables.members
    execute(state, call("delete_entities", entity_type="load_case", names=["LL"]))
    assert state.tables.combos["LCB2"] == {"DL": 1.2}


def test_copying_members_makes_the_nodes_they_need():
    state = build(EXAMPLE)
    result = execute(state, call("copy_members", member_ids=[20], dz=3.5, count=2))
    assert result.data == {"member_ids": [27, 28]}
    assert state.tables.nodes[19] == (0.0, 0.0, 11.0)


def run(*calls) -> State:
    return run_calls(EXAMPLE, [], list(calls)).state


def test_units_are_one_state_but_two_halves_are_not():
    ton = run(call("add_nodal_load", node_id=8, direction="X", value=10, unit="tonf"))
    kilo = run(call("add_nodal_load", node_id=8, direction="X", value=98.0665))
    assert same_state(ton, kilo).strict
    halves = run(*[call("add_nodal_load", node_id=8, direction="X", value=5, unit="tonf")] * 2)
    found = same_state(ton, halves)
    assert (found.strict, found.summed, found.differences) == (False, True, ["loads"])
    other = run(call("add_nodal_load", node_id=9, direction="X", value=10, unit="tonf"))
    assert not same_state(ton, other).summed


def test_order_of_parallel_calls_and_spoken_defaults_do_not_matter():
    a, b = (call("add_nodal_load", node_id=n, direction="Z", value=-1) for n in (7, 8))
    assert same_state(run(a, b), run(b, a)).strict
    spoken = call("add_nodal_load", node_id=7, direction="Z", value=-1, unit="kN", load_case="DL")
    assert same_state(run(a), run(spoken)).strict
    ratio = call("add_member_point_load", member_id=13, direction="Z", value=-1, position=0.25)
    metres = call(
        "add_member_point_load", member_id=13, direction="Z", value=-1, position=1.5, position_type="distance"
    )
    assert same_state(run(ratio), run(metres)).strict


def test_what_was_asked_counts():
    assert not same_state(run(call("run_static_analysis")), run()).summed
    assert same_state(run(call("run_static_analysis")), run(call("run_static_analysis", p_delta=False))).strict
    both = [call("get_displacement", node_id=n) for n in (8, 9)]
    assert same_state(run(*both), run(*both[::-1])).strict


def test_modes_beyond_those_analysed_are_refused():
    asked = [call("run_modal_analysis", num_modes=3), call("show_diagram", diagram="mode_shape", mode=4)]
    assert run_calls(EXAMPLE, [], asked).results[1].code == "no_such_mode"


def test_history_drops_calls_that_were_refused():
    turns = [
        {"role": "user", "content": "…"},
        {
            "role": "assistant",
            "tool_calls": [{"type": "function", "function": call("undo")}, call("get_reaction", node_id=8)],
        },
        {"role": "tool", "name": "undo", "content": '{"ok": true}'},
        {"role": "tool", "name": "get_reaction", "content": '{"ok": false}'},
        {"role": "assistant", "content": "…"},
    ]
    assert history_calls(turns) == [call("undo")]


def test_verdict_names_what_failed():
    verdict = verify(EXAMPLE, [], [call("undo")], [], equilibrium=False)
    assert verdict.to_dict() == {
        "engine": engine_version(),
        "ok": False,
        "checks": {"schema": False, "history": True, "execution": False},
        "reasons": ["undo is not offered", "undo: 되돌릴 작업이 0개뿐입니다 / only 0 operations to undo"],
    }


def test_editing_needs_no_pynite():
    code = (
        "import sys; from data.structural.engine import *\n"
        "run_calls(EXAMPLE, [], [{'name': 'get_reaction', 'arguments': {}}])\n"
        "assert not {'Pynite', 'numpy', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
