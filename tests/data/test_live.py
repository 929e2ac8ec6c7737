"""A domain's state in a chat: results, refusals, the system turn of now, what is shown."""

import sys

import pytest

from data.domain import Live, Refused
from data.load import load_records
from data.record import Record
from data.structural.engine import EXAMPLE, ModelSpec, build, state_line
from data.structural.engine.drawing import drawing
from data.structural.frame_domain import STRUCTURAL, LiveFrame
from examples import thermostat
from tooltune.errors import InputError

SYSTEM = "Call the tools.\nModel: {}"
ROW = Record("r", [{"role": "system", "content": SYSTEM.format(state_line(EXAMPLE))}], [], {"model": EXAMPLE.to_dict()})


def call(name: str, /, **arguments):
    return {"name": name, "arguments": arguments}


def frame() -> LiveFrame:
    live = STRUCTURAL.live(ROW)
    assert isinstance(live, LiveFrame)
    return live


def test_a_domain_with_execute_alone_can_be_chatted_with() -> None:
    rows = load_records(thermostat.Path(thermostat.__file__).with_suffix(".jsonl"))
    live = thermostat.Thermostat().live(rows[0])
    assert type(live) is Live and live.system() == rows[0].messages[0]["content"]
    assert live.carry_out(call("change_temperature", room="kitchen", by=2)) == {"ok": True}
    assert live.carry_out(call("change_temperature", room="kitchen", by=2)) == {"ok": True}
    assert live.carry_out(call("set_temperature", room="attic", degrees=20)) == {
        "ok": False,
        "error": "there is no attic",
    }
    assert "'kitchen': 22" in live.state_text()


def test_calls_give_results_one_after_another() -> None:
    live = frame()
    assert live.carry_out(call("add_nodal_load", node_id=8, direction="X", value=10)) == {
        "ok": True,
        "load_case": "DL",
        "loads": 1,
    }
    assert "load DL: nodal 8 X 10 kN" in live.state_text().split("\n")
    assert live.carry_out(call("run_static_analysis", load_names=["LCB1"]))["analysed"] == ["LCB1"]
    under = live.carry_out(call("get_displacement", node_id=8, component="DX"))
    assert under["load_name"] == "LCB1", "the load that was analysed last"
    plain = live.carry_out(call("get_displacement", node_id=8, component="DX", load_name="DL"))
    assert plain["DX"] > 0 and under["DX"] == pytest.approx(1.4 * plain["DX"], rel=1e-4)


def test_the_system_turn_has_the_frame_of_now() -> None:
    live = frame()
    live.carry_out(call("create_load_case", name="SL", load_type="snow"))
    assert live.system() == SYSTEM.format(state_line(live.frame)) and "EX EY SL;" in live.system()
    live.carry_out(call("undo"))
    assert live.system() == ROW.messages[0]["content"]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("add_nodal_load", {"node_id": 99, "direction": "X", "value": 1}, "no node 99"),
        ("add_nodal_load", {"node_id": 8, "direction": "X", "value": 10**400}, "beyond what the frame can hold"),
        ("add_node", {"x": 10**400, "y": 0, "z": 0}, "beyond what the frame can hold"),
        ("move_node", {"node_id": 8, "dx": 10**400}, "beyond what the frame can hold"),
        ("undo", {}, "only 0 operations to undo"),
        ("add_nodal_load", {"node_id": "8"}, ""),
        ("no_such_tool", {}, "no tool no_such_tool"),
    ],
)
def test_what_cannot_be_carried_out_changes_nothing(name, arguments, said) -> None:
    live = frame()
    result = live.carry_out({"name": name, "arguments": arguments})
    assert result["ok"] is False and said in result["error"]
    assert live.state_text() == frame().state_text() and live.system() == ROW.messages[0]["content"]
    assert live.carry_out(call("undo"))["code"] == "nothing_to_undo", "the call is not among what can be undone"


def test_a_missing_solver_is_said_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "Pynite", None)
    live = frame()
    assert live.carry_out(call("add_nodal_load", node_id=8, direction="X", value=10))["ok"]
    with pytest.raises(InputError, match="Pynite") as e:
        live.carry_out(call("get_displacement", node_id=8))
    assert "structural" in e.value.fix


def test_a_row_without_a_frame_is_refused() -> None:
    with pytest.raises(Refused, match="no frame"):
        STRUCTURAL.live(Record("r", ROW.messages, [], {"model": "gpt-4"}))


def test_drawing() -> None:
    spec = ModelSpec(bays_x=[6.0], bays_y=[5.0], heights=[4.0], stories=["RF"], base="pinned")
    lines = drawing(build(spec)).split("\n")
    assert lines[:9] == [
        "Y = 0 m",
        "  RF 4 m  5--(5)--6",
        "          |(1)    |(2)",
        "  1F 0 m  1^      2^",
        "Y = 5 m",
        "  RF 4 m  7--(6)--8",
        "          |(3)    |(4)",
        "  1F 0 m  3^      4^",
        "other members: (7) 5-7, (8) 6-8",
    ]
    assert "support pinned: 1-4" in lines and "combination LCB2: 1.2 DL + 1.6 LL" in lines


def test_a_drawing_shows_each_member_once_whatever_is_done_to_the_frame() -> None:
    live = frame()
    for made in (
        call("move_node", node_id=8, dx=1.5, dz=0.5),
        call("add_node", x=3, y=0, z=4),
        call("add_member", start_node=1, end_node=14, section="H-400x200x8x13"),
        call("set_support", node_ids=[1], support_type="roller"),
        call("set_support", node_ids=[2], support_type="free"),
        call("set_spring_support", node_id=2, direction="Z", stiffness=1000),
        call("delete_entities", entity_type="member", ids=[13]),
        call("add_member_distributed_load", member_id=20, direction="Z", value=-5, start=0.2),
    ):
        assert live.carry_out(made)["ok"], made
        text = live.state_text()
        for number in live.frame.tables.members:
            assert text.count(f"({number})") == 1, (made, number)
    assert "1o" in text and "spring at 2: Z 1000" in text and "load DL: line 20 Z -5 kN/m at 0.2 to 1" in text
