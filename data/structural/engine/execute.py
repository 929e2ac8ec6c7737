"""One call on one state. The tables below are the whole list of tools: the 30 core ones and the 5 held-out ones."""

from collections.abc import Callable
from typing import Any

from data.structural.engine import edits, queries
from data.structural.engine import load_edits as loads
from data.structural.engine.result import CallResult, Refusal
from data.structural.engine.state import State
from data.structural.engine.tool_schemas import parameters
from data.validate import schema_errors

Tool = Callable[[State, dict[str, Any]], dict[str, Any]]

LOADS: dict[str, Tool] = {
    "add_nodal_load": loads.add_nodal_load,
    "add_nodal_moment": loads.add_nodal_moment,
    "add_member_point_load": loads.add_member_point_load,
    "add_member_distributed_load": loads.add_member_distributed_load,
    "add_floor_load": loads.add_floor_load,
    "add_self_weight": loads.add_self_weight,
    "add_temperature_load": loads.add_temperature_load,
    "set_support_settlement": loads.set_support_settlement,
}
EDITS: dict[str, Tool] = LOADS | {
    "add_node": edits.add_node,
    "move_node": edits.move_node,
    "add_member": edits.add_member,
    "copy_members": edits.copy_members,
    "delete_entities": edits.delete_entities,
    "set_support": edits.set_support,
    "set_spring_support": edits.set_spring_support,
    "set_end_release": edits.set_end_release,
    "define_material": edits.define_material,
    "define_section": edits.define_section,
    "assign_section": edits.assign_section,
    "create_load_case": loads.create_load_case,
    "create_load_combination": loads.create_load_combination,
    "generate_code_combinations": loads.generate_code_combinations,
}
QUERIES: dict[str, Tool] = {
    "run_static_analysis": queries.run_static_analysis,
    "run_modal_analysis": queries.run_modal_analysis,
    "run_response_spectrum_analysis": queries.run_response_spectrum_analysis,
    "run_buckling_analysis": queries.run_buckling_analysis,
    "get_displacement": queries.get_displacement,
    "get_reaction": queries.get_reaction,
    "get_member_force": queries.get_member_force,
    "get_story_drift": queries.get_story_drift,
    "check_story_drift": queries.check_story_drift,
    "check_member_design": queries.check_member_design,
    "show_diagram": queries.show_diagram,
    "export_results": queries.export_results,
}


def execute(state: State, call: dict[str, Any], *, solve: bool = True) -> CallResult:
    """Carry out one call `{"name", "arguments"}` on the state, in place; a refused call leaves it as it was.

    Analyses and queries change nothing that `undo` knows; they are listed in `state.actions`.

    Args:
        solve: False skips the numerical work: every check of ids, ranges and names is made, `data` of a query is empty,
            and an unstable model goes unnoticed. Needs no Pynite.
    """
    name, arguments = call["name"], call.get("arguments") or {}
    try:
        if name not in parameters():
            raise Refusal("unknown_tool", f"{name}은(는) 없는 도구입니다", f"no tool {name}")
        if errors := schema_errors(arguments, parameters()[name]):
            raise Refusal("bad_arguments", "인수가 스키마와 다릅니다", errors[0])
        if name == "undo":
            return CallResult(True, _undo(state, arguments.get("steps", 1)))
        if name in EDITS:
            return CallResult(True, _edit(state, EDITS[name], arguments))
        state.solves = solve
        try:
            data = QUERIES[name](state, arguments)
        except queries.Unsolved:
            data = {}
        state.actions.append((name, arguments))
        return CallResult(True, data)
    except Refusal as refusal:
        return CallResult(False, {}, str(refusal), refusal.code)


def _edit(state: State, tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    before = state.tables.copy()
    try:
        data = tool(state, arguments)
    except Refusal:
        state.tables = before
        raise
    state.history.append(before)
    state.results = {}
    return data


def _undo(state: State, steps: int) -> dict[str, Any]:
    if steps > len(state.history):
        raise Refusal(
            "nothing_to_undo",
            f"되돌릴 작업이 {len(state.history)}개뿐입니다",
            f"only {len(state.history)} operations to undo",
        )
    state.tables = state.history[-steps]
    del state.history[-steps:]
    state.results = {}
    return {"undone": steps}
