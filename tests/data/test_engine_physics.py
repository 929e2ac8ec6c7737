"""The engine against hand formulas: signs, axes, units, statics and dynamics of members small enough to work out."""

import math

import pytest

pytest.importorskip("Pynite")

from data.structural.engine import EXAMPLE, State, build, execute
from data.structural.engine.equilibrium import expected, imbalance
from data.structural.engine.modes import nodal_masses, spectrum
from data.structural.engine.properties import properties
from data.structural.engine.state import Member

E, SECTION = 2.1e8, "H-400x200x8x13"
P = properties(build(EXAMPLE).tables.sections[SECTION])


def do(state: State, name: str, /, **arguments) -> dict:
    result = execute(state, {"name": name, "arguments": arguments})
    assert result.ok, result.error
    return result.data


def bar(end=(6.0, 0.0, 0.0), supports=None) -> State:
    """One member from the origin; node 1 fixed unless told otherwise."""
    state = build(EXAMPLE)
    state.tables.nodes = {1: (0.0, 0.0, 0.0), 2: end}
    state.tables.members = {1: Member(1, 2, SECTION, "column" if end[2] else "beam")}
    state.tables.supports = supports or {1: "fixed"}
    return state


def test_cantilever_beam_bends_down_about_its_strong_axis():
    state = bar()
    do(state, "add_nodal_load", node_id=2, direction="Z", value=-10)
    assert do(state, "get_displacement", node_id=2)["DZ"] == pytest.approx(-10 * 6**3 / (3 * E * P.i_strong), rel=1e-5)
    assert do(state, "get_reaction", node_id=1, component="FZ")["FZ"] == pytest.approx(10)
    assert do(state, "get_member_force", member_id=1, component="My", position=0)["My"] == pytest.approx(-60)


def test_global_y_keeps_its_sign():
    state = bar()
    do(state, "add_nodal_load", node_id=2, direction="Y", value=10)
    assert do(state, "get_displacement", node_id=2)["DY"] == pytest.approx(10 * 6**3 / (3 * E * P.i_weak), rel=1e-5)


@pytest.mark.parametrize("axis", "XYZ")
def test_moments_turn_by_the_right_hand(axis):
    state = bar()
    do(state, "add_nodal_moment", node_id=2, axis=axis, value=10)
    assert do(state, "get_displacement", node_id=2)[f"R{axis}"] > 0
    assert do(state, "get_reaction", node_id=1)[f"M{axis}"] == pytest.approx(-10)


def test_pinned_beam_sags_by_wl2_over_8():
    state = bar(supports={1: "fixed", 2: "fixed"})
    do(state, "set_end_release", member_ids=[1], end="both", release="pinned")
    do(state, "add_member_distributed_load", member_id=1, direction="Z", value=-8)
    assert do(state, "get_member_force", member_id=1, component="My")["My"] == {"max": 36.0, "min": 0.0}


def test_column_bends_about_its_strong_axis_in_x():
    state = bar((0.0, 0.0, 4.0))
    do(state, "add_member_point_load", member_id=1, direction="local_z", value=10, position=1.0)
    assert do(state, "get_displacement", node_id=2)["DX"] == pytest.approx(10 * 4**3 / (3 * E * P.i_strong), rel=1e-5)


def test_heated_between_walls_it_is_compressed_and_free_it_grows():
    state = bar(supports={1: "fixed", 2: "fixed"})
    do(state, "add_temperature_load", member_ids=[1], delta_t=20)
    force = E * P.area * 1.2e-5 * 20
    assert do(state, "get_member_force", member_id=1, position=0)["N"] == pytest.approx(-force, rel=1e-5)
    state = bar()
    do(state, "add_temperature_load", member_ids=[1], delta_t=20)
    assert do(state, "get_member_force", member_id=1, position=0)["N"] == pytest.approx(0, abs=1e-6)
    assert do(state, "get_displacement", node_id=2)["DX"] == pytest.approx(1.2e-5 * 20 * 6)


def test_settlement_belongs_to_its_load_case():
    state = bar(supports={1: "fixed", 2: "fixed"})
    do(state, "set_support_settlement", node_id=2, direction="Z", value=-10)
    pull = 12 * E * P.i_strong / 6**3 * 0.01
    for name, factor in (("DL", 1.0), ("LCB1", 1.4), ("LL", 0.0)):
        found = do(state, "get_reaction", node_id=2, component="FZ", load_name=name)["FZ"]
        assert found == pytest.approx(-factor * pull, rel=1e-5)


def test_spring_carries_its_share():
    state = bar()
    do(state, "set_spring_support", node_id=2, direction="Z", stiffness=1000)
    do(state, "add_nodal_load", node_id=2, direction="Z", value=-10)
    beam = 3 * E * P.i_strong / 6**3
    assert do(state, "get_reaction", node_id=2)["FZ"] == pytest.approx(10 * 1000 / (1000 + beam), rel=1e-5)
    assert do(state, "get_reaction")["total"]["FZ"] == pytest.approx(10, rel=1e-6)


def test_frequency_of_a_tip_mass():
    """√(3EI / mL³), where lumped mass is exact; Pynite's own modal analysis is not used."""
    state = bar()
    do(state, "add_nodal_load", node_id=2, direction="Z", value=-100)
    mass = nodal_masses(state)[2]
    found = do(state, "run_modal_analysis", num_modes=2)["frequencies_hz"]
    theory = [math.sqrt(3 * E * i / (mass * 6**3)) / (2 * math.pi) for i in (P.i_weak, P.i_strong)]
    assert found == pytest.approx(theory, rel=1e-5)


def test_euler_load_with_one_element_is_within_one_percent():
    state = bar((0.0, 0.0, 4.0))
    do(state, "add_nodal_load", node_id=2, direction="Z", value=-1)
    euler = math.pi**2 * E * P.i_weak / (4 * 4**2)
    assert do(state, "run_buckling_analysis", num_modes=1)["factors"][0] == pytest.approx(euler, rel=0.01)


def test_spectrum_has_its_three_branches():
    assert spectrum(0.0, 0.5, 0.2) == pytest.approx(0.2)
    assert spectrum(0.2, 0.5, 0.2) == 0.5
    assert spectrum(0.8, 0.5, 0.2) == pytest.approx(0.25)


def test_story_drift_is_the_worst_line_and_p_delta_sways_more():
    state = build(EXAMPLE)
    for story in ("2F", "RF"):
        do(state, "add_floor_load", story=story, value=20, load_case="EX")
    do(state, "add_nodal_load", node_id=13, direction="X", value=80, load_case="EX")
    do(state, "run_static_analysis", load_names=["EX"])
    first = do(state, "get_displacement", node_id=13, component="DX")["DX"]
    drift = do(state, "get_story_drift", direction="X")["drift"]
    second_floor = [do(state, "get_displacement", node_id=n, component="DX")["DX"] for n in range(7, 13)]
    assert drift["2F"] == {"drift_m": max(second_floor), "ratio": pytest.approx(max(second_floor) / 4, rel=1e-5)}
    do(state, "run_static_analysis", load_names=["EX"], p_delta=True)
    assert do(state, "get_displacement", node_id=13, component="DX")["DX"] > 1.001 * first


def test_checks_state_no_limit_of_their_own():
    state = build(EXAMPLE)
    do(state, "add_nodal_load", node_id=13, direction="X", value=80, load_case="EX")
    graded = do(state, "check_story_drift", direction="X", seismic_grade="I", load_name="EX")
    assert "ok_within_limit" not in graded
    assert "limit_ratio" not in graded
    assert do(state, "check_story_drift", direction="X", limit_ratio=0.0001, load_name="EX")["ok_within_limit"] is False
    assert "간이" in do(state, "check_member_design", code="KDS 41 30:2022")["kind"]


def test_a_mechanism_is_refused():
    state = build(EXAMPLE)
    state.tables.supports = {1: "pinned"}
    do(state, "add_nodal_load", node_id=8, direction="X", value=1)
    result = execute(state, {"name": "run_static_analysis", "arguments": {}})
    assert result.code == "unstable_model"


LOAD_CALLS = [
    ("add_nodal_load", {"node_id": 8, "direction": "Y", "value": -3, "unit": "tonf"}),
    ("add_nodal_load", {"node_id": 1, "direction": "X", "value": 10}),
    ("add_nodal_moment", {"node_id": 14, "axis": "Y", "value": 12, "unit": "kgf-m"}),
    (
        "add_member_point_load",
        {"member_id": 17, "direction": "Z", "value": -40, "position": 1.5, "position_type": "distance"},
    ),
    ("add_member_point_load", {"member_id": 3, "direction": "local_y", "value": 7, "position": 0.3}),
    (
        "add_member_distributed_load",
        {"member_id": 24, "direction": "local_y", "value": 4, "end_value": -9, "end": 0.75},
    ),
    ("add_member_distributed_load", {"member_id": 20, "direction": "Z", "value": -8, "start": 0.25, "end": 0.75}),
    ("add_floor_load", {"story": "2F", "value": 250, "unit": "kgf/m2"}),
    ("add_floor_load", {"story": "RF", "value": 3, "distribution": "one_way_x"}),
    ("add_floor_load", {"story": "RF", "value": 3, "distribution": "one_way_y"}),
    ("add_self_weight", {"factor": 1.1}),
]


@pytest.mark.parametrize(("name", "arguments"), LOAD_CALLS, ids=lambda v: v if isinstance(v, str) else "")
def test_reactions_balance_and_a_wrong_sign_is_seen(name, arguments):
    state = build(EXAMPLE)
    do(state, name, **arguments)
    force = expected(state, {"name": name, "arguments": arguments})
    assert any(force)
    assert imbalance(state, state.tables.loads, force) == ""
    assert "differ" in imbalance(state, state.tables.loads, [-f for f in force])


def test_floor_load_is_value_times_area():
    state = build(EXAMPLE)
    do(state, "add_floor_load", story="RF", value=5)
    assert do(state, "get_reaction")["total"]["FZ"] == pytest.approx(5 * 12 * 5)


def test_a_combination_is_the_sum_of_its_cases():
    state = build(EXAMPLE)
    do(state, "add_floor_load", story="RF", value=5)
    do(state, "add_nodal_load", node_id=13, direction="X", value=40, load_case="EX")
    dl, ex, lcb3 = (
        do(state, "get_member_force", member_id=2, component="My", position=0, load_name=name)["My"]
        for name in ("DL", "EX", "LCB3")
    )
    assert lcb3 == pytest.approx(1.2 * dl + 1.0 * ex, rel=1e-4)
