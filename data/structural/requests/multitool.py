"""Requests that need several tools in order, the later ones often building on the earlier."""

import re
from dataclasses import replace
from itertools import combinations
from typing import Any

from data.structural.language.sentence import finish
from data.structural.language.speaker import Choice, Speaker
from data.structural.requests.intents import INTENTS, by_weight
from data.structural.requests.request import Call, Command, Request, Situation

# Which tools are asked for in one breath, by split: no pair of a held-out list ever occurs together in training.
# `link`: what the second takes from the first (a load case, a section, a load, a mode …); empty: nothing.
CHAINS: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "train": (
        (("create_load_case", "add_nodal_load"), "case"),
        (("create_load_case", "add_floor_load"), "case"),
        (("run_static_analysis", "show_diagram"), "load"),
        (("run_static_analysis", "get_displacement"), "load"),
        (("run_static_analysis", "get_displacement"), ""),
        (("run_modal_analysis", "show_diagram"), "mode"),
        (("define_section", "assign_section"), "section"),
        (("add_nodal_load", "run_static_analysis"), ""),
        (("add_self_weight", "run_static_analysis"), ""),
        (("set_support", "run_static_analysis"), ""),
        (("assign_section", "check_member_design"), "members"),
        (("generate_code_combinations", "run_static_analysis"), ""),
        (("get_displacement", "get_reaction"), ""),
        (("add_node", "add_member"), "node"),
    ),
    "val": (
        (("create_load_case", "add_member_distributed_load"), "case"),
        (("run_static_analysis", "get_reaction"), "load"),
        (("add_floor_load", "run_static_analysis"), ""),
        (("delete_entities", "create_load_combination"), "delete"),
        (("get_member_force", "show_diagram"), ""),
        (("define_material", "define_section"), "material"),
    ),
    "test": (
        (("create_load_case", "add_self_weight"), "case"),
        (("run_static_analysis", "get_member_force"), "load"),
        (("create_load_combination", "run_static_analysis"), "combo"),
        (("move_node", "show_diagram"), "deformed"),
        (("set_end_release", "run_static_analysis"), ""),
        (("run_response_spectrum_analysis", "get_story_drift"), ""),
        (("run_static_analysis", "export_results"), ""),
        (("add_nodal_moment", "add_self_weight"), ""),
        (("add_member_point_load", "run_static_analysis"), ""),
        (("set_support", "delete_entities"), ""),
        (("run_static_analysis", "show_diagram", "export_results"), "load"),
    ),
}
OPEN = 0.6
"""The share of training chains whose tools are drawn freely, and not from the list."""
_LISTED = {frozenset(two) for pool in CHAINS.values() for tools, _ in pool for two in combinations(tools, 2)}
_THAT_CASE = Choice(("그 조건에", "그 조건으로", "거기에"), ("그 하중에",), ("방금 만든 조건에", "그 케이스에"))
_JOINT_EN = Choice((" and ", ", then ", " and then "), (", next ",), ("; after that ", " followed by: "))


def _linked(s: Situation, link: str, first: Command) -> Situation:
    """The scene of the second clause: what the first one settled is fixed, and mostly not said again."""
    fix: dict[str, object] = {"pdelta": False}
    if link == "case":
        fix = {"case": first.topic["case"]}
    elif link == "load":
        fix = {
            "load": first.topic["loads"][0],
            "say_load": False,
            "diagram": s.speaker.at(("moment", "shear", "axial", "deformed")),
        }
    elif link == "mode":
        fix = {"diagram": "mode_shape", "mode": 1 + int(s.speaker.rng.random() * min(3, first.topic["modes"]))}
    elif link == "section":
        fix = {"section": first.topic["section"]}
    elif link == "members":
        fix = {"members": first.topic["members"]}
    elif link == "material":
        fix = {"material": first.topic["grade"]}
    elif link == "combo":
        fix = {"loads": [first.topic["combo"]], "pdelta": False}
    elif link == "deformed":
        fix = {"diagram": "deformed"}
    elif link == "node":
        fix = {"end_node": first.calls[0][1]["node_id"]}
    return replace(s, fix=fix)


def _first_scene(s: Situation, link: str) -> Situation:
    fix: dict[str, object] = {}
    if link == "load":
        fix = {"loads": [s.speaker.at([*s.model.spec.combos, *s.model.cases])], "pdelta": False}
    elif link == "section":
        fix = {"name": s.speaker.at(("G1", "G2", "C1", "B1", "SG1"))}
    elif link == "case":
        fix = {"kind": ("wind", "seismic", "snow", "live", "dead")}
    elif link == "delete":
        fix = {"entity": s.speaker.at(("member", "load_combination"))}
    elif link == "node":
        fix = {"node_id": s.model.nodes[-1] + s.speaker.at((1, 2, 5))}
    return replace(s, fix=fix)


def _unclear(first: str, second: str) -> bool:
    """Whether the first call leaves open what the second is for: which results, or which case."""
    if first.startswith(("run_", "create_load_combination", "generate_")):
        return second.startswith(("get_", "show_", "export_", "check_"))
    return first == "create_load_case" and second.endswith(("_load", "_moment", "_weight"))


def _open(s: Situation) -> tuple[str, ...]:
    """Two tools, now and then three, rather those of the session; no two of them stand in a list of any split."""
    weights = {name: weight * (3 if name in s.about else 1) for name, (_, weight) in INTENTS.items() if weight}
    while True:
        tools = tuple(by_weight(s.speaker.rng.random(), weights) for _ in range(3 if s.speaker.chance(0.1) else 2))
        pairs = list(combinations(tools, 2))
        if not any(a == b or frozenset((a, b)) in _LISTED or _unclear(a, b) for a, b in pairs):
            return tools


def chain(s: Situation, pool: str) -> Request:
    """A request for a chain of the given pool, or in a training session often for any tools that go together."""
    v = s.speaker
    while True:
        tools, link = (_open(s), "") if s.about and v.chance(OPEN) else v.at(CHAINS[pool])
        commands = [INTENTS[tools[0]][0](_first_scene(s, link))]
        for tool in tools[1:]:
            command = INTENTS[tool][0](_linked(s, link, commands[0]))
            if link == "case" and "case" in command.slots and v.korean and v.chance(0.7):
                command.slots["case"] = v.pick(_THAT_CASE)
            commands.append(command)
        try:
            text = finish(v, _join(v, commands))
        except LookupError:
            continue
        calls = [call for command in commands for call in command.calls]
        return Request(text, calls, "+".join(tools), acceptable=_unsaid_load(calls) if link == "load" else {})


def _unsaid_load(calls: list[Call]) -> dict[str, Any]:
    """`LCB2로 해석하고 휨모멘트도 띄워줘`: the drawing is of LCB2, which the call may say or leave to the last run."""
    return {
        name: {"load_name": {"any_of": [arguments["load_name"]], "optional": True}}
        for name, arguments in calls[1:]
        if "load_name" in arguments
    }


def _join(v: Speaker, commands: list[Command]) -> str:
    if v.korean:
        return " ".join([*(command.clause(v, "and") for command in commands[:-1]), commands[-1].clause(v)])
    clauses = [re.sub(r"[.?]$", "", command.clause(v)) for command in commands]
    return v.pick(_JOINT_EN).join(clauses)
