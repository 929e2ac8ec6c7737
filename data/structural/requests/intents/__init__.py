"""Every tool's intent: a function that draws what a user wants and how they would say it."""

from data.structural.requests.intents import analysis, areas, heldout, loads, modelling
from data.structural.requests.intents import entities as geometry
from data.structural.requests.intents import inspection as results
from data.structural.requests.request import Intent

# The share of each tool among single requests. Loads and queries are what people ask most; none may dominate.
INTENTS: dict[str, tuple[Intent, float]] = {
    "add_node": (geometry.add_node, 3.0),
    "add_member": (geometry.add_member, 3.2),
    "set_support": (modelling.set_support, 4.2),
    "set_end_release": (modelling.set_end_release, 3.2),
    "define_material": (modelling.define_material, 3.0),
    "define_section": (modelling.define_section, 3.2),
    "assign_section": (modelling.assign_section, 4.0),
    "move_node": (geometry.move_node, 3.8),
    "delete_entities": (geometry.delete_entities, 3.4),
    "create_load_case": (modelling.create_load_case, 3.0),
    "add_nodal_load": (loads.nodal_load, 6.5),
    "add_nodal_moment": (loads.nodal_moment, 3.6),
    "add_member_point_load": (loads.point_load, 4.6),
    "add_member_distributed_load": (loads.distributed_load, 6.0),
    "add_floor_load": (areas.floor_load, 4.0),
    "add_self_weight": (areas.self_weight, 2.8),
    "create_load_combination": (modelling.create_load_combination, 3.4),
    "generate_code_combinations": (modelling.generate_code_combinations, 2.8),
    "run_static_analysis": (analysis.run_static_analysis, 2.8),
    "run_modal_analysis": (analysis.run_modal_analysis, 2.8),
    "run_response_spectrum_analysis": (analysis.run_response_spectrum, 3.2),
    "get_displacement": (results.get_displacement, 4.0),
    "get_reaction": (results.get_reaction, 3.4),
    "get_member_force": (results.get_member_force, 4.0),
    "get_story_drift": (results.get_story_drift, 3.2),
    "check_story_drift": (results.check_story_drift, 3.2),
    "check_member_design": (results.check_member_design, 3.2),
    "show_diagram": (results.show_diagram, 4.0),
    "export_results": (results.export_results, 3.2),
    "undo": (geometry.undo, 0.0),
}
# Single-id tools, which a request about several things calls several times.
PARALLEL: dict[str, float] = {
    "add_nodal_load": 4,
    "add_nodal_moment": 1.5,
    "add_member_distributed_load": 4,
    "add_member_point_load": 1.5,
    "add_floor_load": 1.5,
    "create_load_combination": 1.5,
    "get_displacement": 2.5,
    "get_reaction": 2,
    "get_member_force": 2.5,
    "get_story_drift": 1,
    "check_story_drift": 1,
    "run_response_spectrum_analysis": 1,
}
HELDOUT: dict[str, Intent] = {
    "copy_members": heldout.copy_members,
    "set_spring_support": heldout.set_spring_support,
    "set_support_settlement": heldout.set_support_settlement,
    "add_temperature_load": heldout.add_temperature_load,
    "run_buckling_analysis": heldout.run_buckling_analysis,
}


def by_weight(place: float, weights: dict[str, float]) -> str:
    """The name at a place in [0, 1) of the weights laid end to end."""
    total = place * sum(weights.values())
    for name, weight in weights.items():
        total -= weight
        if total < 0:
            return name
    return next(reversed(weights))
