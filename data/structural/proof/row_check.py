"""Two independent words on a row: the engine carries its gold calls out, the second reader finds them in its text."""

from typing import Any

from data.domain import history_calls
from data.structural.engine import engine_version, run_calls, verify
from data.structural.proof.reader import agrees
from data.structural.requests.frames import spec_of
from data.structural.requests.request import Call


def verdict(row: dict[str, Any], refused: list[Call]) -> dict[str, Any]:
    """`meta.verified` of a row; `refused` are the calls that an invalid reference would have meant.

    Solves the frame where a query needs it and checks the equilibrium of every load, so Pynite has to be installed.
    """
    spec = spec_of(row["meta"])
    gold = [c["function"] for c in row["messages"][-1].get("tool_calls") or []]
    if refused:
        run = run_calls(spec, [], [{"name": name, "arguments": arguments} for name, arguments in refused])
        return {"engine": engine_version(), "ok": not run.ok, "checks": {"refused": not run.ok}}
    found = verify(spec, history_calls(row["messages"][:-1]), gold, row["tools"]).to_dict()
    if gold:
        *history, request, _ = row["messages"][1:]
        said, why = agrees(request["content"], gold, history, [*spec.cases, *spec.combos])
        found["checks"]["reader"] = said
        if not said:
            found |= {"ok": False, "reasons": [*found.get("reasons", []), why]}
    return found
