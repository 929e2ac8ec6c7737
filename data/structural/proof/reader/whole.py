"""Checks over all calls of a request together: no list half used, nothing called twice or out of order."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from data.structural.proof.reader.conversation import Conversation, leaves

Call = dict[str, Any]

ID_KINDS = {
    "node_id": "node",
    "node_ids": "node",
    "start_node": "node",
    "end_node": "node",
    "member_id": "member",
    "member_ids": "member",
    "ids": "",
}
MODES = ("num_modes", "mode")


def lists_used(calls: Sequence[Call], seen: Conversation) -> str:
    """A list or range of ids is used whole or not at all."""
    used = [(ID_KINDS[k], i) for c in calls for k, v in c["arguments"].items() if k in ID_KINDS for i in _list(v)]
    for group in seen.now.ids:
        mine = {i for kind, i in used if not group.kind or kind in ("", group.kind)}
        if len(group.ids) > 1 and mine & set(group.ids) and set(group.ids) - mine:
            return f"ids {sorted(set(group.ids) - mine)} of the text are not used"
    return ""


def in_order(calls: Sequence[Call], seen: Conversation) -> str:
    """No call twice; and where the text has as many ids, axes or modes as the calls, the same ones.

    Ids are compared as multisets, axes (of queries, which stand apart from amounts) and modes in the order spoken.
    """
    for i, call in enumerate(calls):
        if call in calls[:i]:
            return f"{call['name']} is called twice with the same arguments"
        if call["arguments"].get("start_node", 0) == call["arguments"].get("end_node", -1):
            return "start_node and end_node are the same"
    for kind in ("node", "member"):
        used = [v for c in calls for k, v in c["arguments"].items() if ID_KINDS.get(k) == kind and isinstance(v, int)]
        said = [i for g in seen.now.ids if g.kind in ("", kind) for i in g.ids]
        if len(used) == len(said) > 1 and Counter(used) != Counter(said):
            return f"{kind}s {used} are called where the text says {said}"
    axes = [c["arguments"][k][-1].upper() for c in calls for k in ("direction", "component") if k in c["arguments"]]
    spoken = [axis for _, axis in sorted(seen.now.components + [(d.start, d.axis[-1]) for d in seen.now.directions])]
    asks_only = not any("value" in c["arguments"] or "dx" in c["arguments"] for c in calls)
    if asks_only and len(axes) == len(spoken) > 1 and set(axes + spoken) <= set("XYZ") and axes != spoken:
        return f"directions {axes} are called where the text says {spoken}"
    modes = [v for c in calls for k, v in c["arguments"].items() if k in MODES]
    counted = [n.value for n in seen.now.numbers if n.unit in ("mode", "count", "")]
    if len(modes) == len(counted) > 1 and modes != counted:
        return f"modes {modes} are called where the text says {counted}"
    return ""


def names_used(calls: Sequence[Call], seen: Conversation, names: Sequence[str]) -> str:
    """Each of the model's load names that the request says, and does not take back, is in some call."""
    used = {str(v) for c in calls for v in leaves(c["arguments"])}
    for name in names:
        said = re.search(rf"(?<![A-Za-z0-9.-]){re.escape(name)}(?![A-Za-z0-9])(?!.*(?:말고|아니라))", seen.now.text)
        if calls and said and name not in used:
            return f"{name} is in the text and in no call"
    return ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
