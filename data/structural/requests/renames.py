"""Rows whose tools have other names, or no descriptions: a model should read the schema, not remember it.

A rename is the same in the offered schema, in the calls and in the tool turns; `meta.renamed` maps it back.
"""

from typing import Any

from data.renaming import Renaming
from data.structural.engine.tool_schemas import functions
from data.structural.language.speaker import Speaker
from data.structural.requests.toolsets import offer

_VERBS = {
    "add": "apply|insert|new",
    "get": "query|fetch|read",
    "run": "execute|start",
    "set": "assign|put",
    "create": "make|new",
    "define": "register|make",
    "check": "verify|review",
    "show": "display|plot",
    "export": "save|write",
    "delete": "remove|erase",
    "move": "shift|translate",
    "assign": "change|set",
    "generate": "build|auto",
    "undo": "revert|rollback",
}
_NOUNS = {
    "nodal": "joint",
    "node": "joint",
    "member": "element",
    "entities": "objects",
    "combination": "combo",
    "combinations": "combos",
}
_PARAMETERS = {
    "node_id": "node|joint|nodeNo",
    "member_id": "member|element|elemNo",
    "node_ids": "nodes|joints",
    "member_ids": "members|elements",
    "direction": "dir|axis_dir",
    "value": "magnitude|val",
    "unit": "units|uom",
    "load_case": "case|lc",
    "load_name": "load|result_case",
    "section": "sect|section_name",
    "component": "comp|result",
    "position": "pos|loc",
    "story": "floor|level",
    "num_modes": "modes|nModes",
    "support_type": "support|bc",
    "factors": "coefficients|cases",
}


def draw(speaker: Speaker, offered: list[str], taken: set[str]) -> Renaming:
    """New names for these tools, and half the time for their parameters; never one that is in `taken`."""
    style, with_parameters = speaker.at(("snake", "camel", "suffix")), speaker.chance(0.5)
    names: dict[str, str] = {}
    parameters: dict[str, dict[str, str]] = {}
    for old in offered:
        new = _new_name(speaker, old, style)
        names[old] = old + "_cmd" if new in taken or new in names.values() else new
        parameters[old] = (
            _new_parameters(speaker, list(functions()[old]["parameters"]["properties"])) if with_parameters else {}
        )
    return Renaming(names, parameters)


def offer_to(
    rows: list[dict[str, Any]], names: list[str], lang: str, style: str, speaker: Speaker, taken: set[str]
) -> None:
    """Give rows their common tools in a language and a style of `splits.STYLES`, in place; `taken` as for `draw`."""
    tools = offer(names, lang)
    if style == "renamed":
        renaming = draw(speaker, names, taken)
        tools = renaming.tools(tools)
        for row in rows:
            row["messages"], row["meta"] = renaming.messages(row["messages"]), renaming.meta(row["meta"])
    elif style == "no_descriptions":
        for tool in tools:
            for schema in tool["function"]["parameters"]["properties"].values():
                del schema["description"]
    for row in rows:
        row["tools"] = tools
        row["meta"]["phenomena"] += [style] if style else []


def _new_name(speaker: Speaker, old: str, style: str) -> str:
    first, *rest = old.split("_")
    first = speaker.at(_VERBS[first].split("|"))
    rest = [_NOUNS.get(w, w) if speaker.chance(0.6) else w for w in rest]
    if style == "camel":
        return first + "".join(w.capitalize() for w in rest)
    return "_".join([*rest, first]) if style == "suffix" and rest else "_".join([first, *rest])


def _new_parameters(speaker: Speaker, known: list[str]) -> dict[str, str]:
    renamed: dict[str, str] = {}
    for name in known:
        new = speaker.at(_PARAMETERS[name].split("|")) if name in _PARAMETERS and speaker.chance(0.7) else name
        renamed[name] = new if new not in renamed.values() and (new == name or new not in known) else name
    return {k: v for k, v in renamed.items() if k != v}
