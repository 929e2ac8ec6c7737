"""Which tools are offered: those that are needed, their look-alikes and a few others, in any order, in one language."""

import copy
from typing import Any

from data.structural.engine.tool_schemas import core_tools, functions
from data.structural.language.speaker import Speaker

FAMILIES = (
    ("add_nodal_load", "add_nodal_moment", "add_member_point_load", "add_member_distributed_load", "add_floor_load"),
    ("add_node", "move_node", "delete_entities", "add_member", "undo"),
    ("set_support", "set_end_release", "assign_section", "move_node"),
    ("define_material", "define_section", "assign_section", "add_member"),
    ("create_load_case", "create_load_combination", "generate_code_combinations", "add_self_weight"),
    ("run_static_analysis", "run_modal_analysis", "run_response_spectrum_analysis"),
    ("get_displacement", "get_reaction", "get_member_force", "get_story_drift", "show_diagram"),
    ("get_story_drift", "check_story_drift", "check_member_design", "export_results"),
    ("set_spring_support", "set_support", "set_support_settlement"),
    ("set_support_settlement", "move_node", "add_nodal_load"),
    ("copy_members", "add_member", "move_node"),
    ("add_temperature_load", "add_member_distributed_load", "create_load_case"),
    ("run_buckling_analysis", "run_modal_analysis", "run_static_analysis"),
)


CORE = tuple(t["function"]["name"] for t in core_tools())


def ordered(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments in the schema's order: one stable way to write a call."""
    return {key: arguments[key] for key in functions()[name]["parameters"]["properties"] if key in arguments}


def choose(
    speaker: Speaker,
    needed: list[str],
    sizes: tuple[int, ...] = (4, 4, 4, 4, 4, 5, 5, 6, 8),
    alike: tuple[int, ...] = (1, 2, 2, 3),
    others: int = 2,
    seen: set[tuple[str, ...]] | None = None,
) -> list[str]:
    """The names of a list of tools: the needed ones and others, shuffled.

    Args:
        sizes: one of these is the list's length, where the needed ones leave room for it.
        alike: one of these is how many of the others look like a needed one.
        others: the fewest that are not needed.
        seen: sets of names that must not come out again, so that splits share no tool set.
    """
    while True:
        names = list(dict.fromkeys(needed))
        size = max(len(names) + others, speaker.at(sizes))
        near = [
            n for family in FAMILIES if any(m in family for m in names) for n in family if n in CORE and n not in names
        ]
        near = list(dict.fromkeys(near))
        for pool, count in ((near, speaker.at(alike)), (list(CORE), size)):
            left = [n for n in pool if n not in names]
            for _ in range(count):
                if left and len(names) < size:
                    names.append(left.pop(int(speaker.rng.random() * len(left))))
        if seen is None or tuple(sorted(names)) not in seen:
            speaker.rng.shuffle(names)
            return names


def offer(names: list[str], lang: str) -> list[dict[str, Any]]:
    """The schemas of these tools as a row offers them: described in English for `en`, else in Korean."""
    tools = [{"type": "function", "function": copy.deepcopy(functions()[name])} for name in names]
    for tool in tools:
        function: Any = tool["function"]
        for described in (function, *function["parameters"]["properties"].values()):
            korean, english = described["description"].split(" / ")
            described["description"] = english if lang == "en" else korean
    return tools
