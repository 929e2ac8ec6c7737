"""Tool names that every call syntax can carry.

A name stays as it is when it is made of letters (of any script), digits, `_`, `.` and `-`, at most 64. Anything else,
spaces and `/` for example, becomes `_`, in the offered tools, the calls, the tool turns and `meta.acceptable` alike,
and `meta.renamed` maps the new name back: `{new: {"name": old, "parameters": {new: old}}}`. A call of a tool that is
not offered keeps its name: changed, it could become the name of another tool.

Names and parameters are brought into one Unicode form (NFC): macOS writes Hangul in pieces (NFD), which look the same
and are other letters.
"""

import re
import unicodedata
from collections import Counter
from typing import Any

from data.renaming import Rewriting

MAX_NAME = 64
_LEGAL = re.compile(rf"\w[\w.\-]{{0,{MAX_NAME - 1}}}")


def legal(name: str) -> str:
    if _LEGAL.fullmatch(name):
        return name
    return re.sub(r"[^\w.\-]+", "_", name).strip("_.-")[:MAX_NAME] or "tool"


def nfc(text: Any) -> Any:
    """A text in NFC; anything else as it is."""
    return unicodedata.normalize("NFC", text) if isinstance(text, str) else text


def composed(value: Any) -> Any:
    """A value with its keys, and the names that a schema requires, in NFC; other texts stay as they are."""
    if isinstance(value, dict):
        made = {nfc(key): composed(inner) for key, inner in value.items()}
        if isinstance(made.get("required"), list):
            made["required"] = [nfc(name) for name in made["required"]]
        return made
    return [composed(inner) for inner in value] if isinstance(value, list) else value


def make_legal(row: dict[str, Any]) -> None:
    """Rename, in place, the tools of a row that need it."""
    _rewrite(row, Rewriting(nfc, lambda tool, schema: composed(schema), lambda tool, arguments: composed(arguments)))
    names: dict[str, str] = {}
    taken, count = set[str](), Counter[str]()
    for old in sorted(
        {tool["function"]["name"] for tool in row["tools"]}, key=lambda name: (legal(name) != name, name)
    ):
        new = stem = legal(old)
        while new in taken:
            count[stem] += 1
            new = f"{stem[: MAX_NAME - 4]}_{count[stem] + 1}"
        names[old] = new
        taken.add(new)
    _rewrite(row, Rewriting(lambda name: names.get(name, name), result=lambda name: names.get(name, legal(name))))
    meta = row["meta"]
    if changed := {new: old for old, new in names.items() if new != old}:
        before = meta.get("renamed") or {}
        renamed = {new: before.get(old, {"name": old, "parameters": {}}) for new, old in changed.items()}
        meta["renamed"] = {name: own for name, own in before.items() if names.get(name, name) == name} | renamed


def _rewrite(row: dict[str, Any], to: Rewriting) -> None:
    row["tools"], row["messages"] = to.tools(row["tools"]), to.messages(row["messages"])
    if isinstance(row["meta"].get("acceptable"), dict):
        row["meta"]["acceptable"] = to.acceptable(row["meta"]["acceptable"])
