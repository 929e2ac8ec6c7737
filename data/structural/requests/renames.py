"""Rows whose tools have other names, or no descriptions: a model should read the schema, not remember it.

A rename is the same in the offered schema, in the calls and in the tool turns; `meta.renamed` maps it back.
"""

from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Renaming:
    """New names for the tools of a list: `names` by tool, `parameters` by tool and parameter that changes."""

    names: dict[str, str]
    parameters: dict[str, dict[str, str]]

    def tools(self, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The offered schemas under their new names."""
        return [tool | {"function": self._function(tool["function"])} for tool in tools]

    def _function(self, function: dict[str, Any]) -> dict[str, Any]:
        new, parameters = self.parameters[function["name"]], function["parameters"]
        renamed = {
            "properties": {new.get(k, k): v for k, v in parameters["properties"].items()},
            "required": [new.get(k, k) for k in parameters["required"]],
        }
        return function | {"name": self.names[function["name"]], "parameters": parameters | renamed}

    def apply(self, row: dict[str, Any]) -> None:
        """Rename what a row calls and is about, in place; its tools are renamed by `tools`."""
        for message in row["messages"]:
            for call in message.get("tool_calls") or []:
                function = call["function"]
                renamed = self.parameters[function["name"]]
                function["arguments"] = {renamed.get(k, k): v for k, v in function["arguments"].items()}
                function["name"] = self.names[function["name"]]
            if message["role"] == "tool":
                message["name"] = self.names[message["name"]]
        meta = row["meta"]
        meta["relevant_tools"] = [self.names[n] for n in meta["relevant_tools"]]
        if accepted := meta.get("acceptable"):
            meta["acceptable"] = {
                self.names[tool]: {self.parameters[tool].get(key, key): values for key, values in arguments.items()}
                for tool, arguments in accepted.items()
            }
        meta["renamed"] = {
            new: {"name": old, "parameters": {v: k for k, v in self.parameters[old].items()}}
            for old, new in self.names.items()
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
            renaming.apply(row)
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
