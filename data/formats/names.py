"""Tool names that every call syntax can carry.

A name stays as it is when it is made of letters (of any script), digits, `_`, `.` and `-`, at most 64. Anything else,
spaces and `/` for example, becomes `_`, in the offered tools, the calls, the tool turns and `meta.acceptable` alike,
and `meta.renamed` maps the new name back.
"""

import re
from typing import Any

MAX_NAME = 64
_LEGAL = re.compile(rf"\w[\w.\-]{{0,{MAX_NAME - 1}}}")


def legal(name: str) -> str:
    """The name itself, or its nearest legal form."""
    if _LEGAL.fullmatch(name):
        return name
    return re.sub(r"[^\w.\-]+", "_", name).strip("_.-")[:MAX_NAME] or "tool"


def make_legal(row: dict[str, Any]) -> None:
    """Rename, in place, the tools of a row that need it."""
    names: dict[str, str] = {}
    for old in sorted(
        {tool["function"]["name"] for tool in row["tools"]}, key=lambda name: (legal(name) != name, name)
    ):
        names[old], n = legal(old), 2
        while names[old] in [new for other, new in names.items() if other != old]:
            names[old], n = f"{legal(old)[: MAX_NAME - 4]}_{n}", n + 1
    for tool in row["tools"]:
        tool["function"]["name"] = names[tool["function"]["name"]]
    for message in row["messages"]:
        for function in [call["function"] for call in message.get("tool_calls", [])]:
            name = function["name"]
            function["name"] = names.setdefault(name, legal(name))
        if message["role"] == "tool" and "name" in message:
            message["name"] = names.get(message["name"], legal(message["name"]))
    meta = row["meta"]
    if changed := {new: old for old, new in names.items() if new != old}:
        meta["renamed"] = changed | (meta.get("renamed") or {})
        if isinstance(meta.get("acceptable"), dict):
            meta["acceptable"] = {names.get(k, k): v for k, v in meta["acceptable"].items()}
