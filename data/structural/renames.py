"""Rows whose tools have other names, or no descriptions: a model should read the schema, not remember it.

A rename is the same in the offered schema, in the calls and in the tool turns; `meta.renamed` maps it back.
"""

from typing import Any

from data.structural.voice import Voice

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


def rename(voice: Voice, row: dict[str, Any], taken: set[str]) -> None:
    """Rename the tools of a row (and half the time their parameters) in place; `taken` are names never to be used."""
    style, with_parameters = voice.at(("snake", "camel", "suffix")), voice.chance(0.5)
    back: dict[str, Any] = {}
    names: dict[str, str] = {}
    maps: dict[str, dict[str, str]] = {}
    for tool in row["tools"]:
        function = tool["function"]
        old = function["name"]
        new = _new_name(voice, old, style)
        if new in taken or new in names.values():
            new = old + "_cmd"
        names[old], function["name"] = new, new
        maps[old] = _new_parameters(voice, function["parameters"]) if with_parameters else {}
        back[new] = {"name": old, "parameters": {v: k for k, v in maps[old].items()}}
    for message in row["messages"]:
        for call in message.get("tool_calls") or []:
            function = call["function"]
            renamed = maps[function["name"]]
            function["arguments"] = {renamed.get(k, k): v for k, v in function["arguments"].items()}
            function["name"] = names[function["name"]]
        if message["role"] == "tool":
            message["name"] = names[message["name"]]
    row["meta"]["relevant_tools"] = [names.get(n, n) for n in row["meta"]["relevant_tools"]]
    if accepted := row["meta"].get("acceptable"):
        row["meta"]["acceptable"] = {
            names[tool]: {maps[tool].get(key, key): values for key, values in parameters.items()}
            for tool, parameters in accepted.items()
        }
    row["meta"]["renamed"] = back
    row["meta"]["phenomena"].append("renamed")


def bare(row: dict[str, Any]) -> None:
    """Drop every parameter description of a row's tools."""
    for tool in row["tools"]:
        for schema in tool["function"]["parameters"]["properties"].values():
            schema.pop("description", None)
    row["meta"]["phenomena"].append("no_descriptions")


def _new_name(voice: Voice, old: str, style: str) -> str:
    first, *rest = old.split("_")
    first = voice.at(_VERBS[first].split("|"))
    rest = [_NOUNS.get(w, w) if voice.chance(0.6) else w for w in rest]
    if style == "camel":
        return first + "".join(w.capitalize() for w in rest)
    return "_".join([*rest, first]) if style == "suffix" and rest else "_".join([first, *rest])


def _new_parameters(voice: Voice, parameters: dict[str, Any]) -> dict[str, str]:
    properties = parameters["properties"]
    renamed: dict[str, str] = {}
    for name in properties:
        new = voice.at(_PARAMETERS[name].split("|")) if name in _PARAMETERS and voice.chance(0.7) else name
        renamed[name] = new if new not in renamed.values() and (new == name or new not in properties) else name
    parameters["properties"] = {renamed[k]: v for k, v in properties.items()}
    parameters["required"] = [renamed[k] for k in parameters["required"]]
    return {k: v for k, v in renamed.items() if k != v}
