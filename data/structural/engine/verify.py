"""Rows of calls: run them, and say whether a row's gold calls hold."""

from dataclasses import dataclass, field
from typing import Any

from data.structural.engine.equilibrium import expected, imbalance
from data.structural.engine.execute import LOADS, execute
from data.structural.engine.model import ModelSpec
from data.structural.engine.result import CallResult
from data.structural.engine.state import Load, State, build
from data.validate import offered, schema_errors

Call = dict[str, Any]


@dataclass(frozen=True)
class Executed:
    """The state after the calls, and the result of each call (the history's are not listed)."""

    state: State
    results: list[CallResult]

    @property
    def ok(self) -> bool:
        """Whether every call was carried out."""
        return all(r.ok for r in self.results)


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Attributes:
        ok: every check that was made holds.
        checks: "schema", "history", "execution", "equilibrium" → held or not; only those that were made.
        reasons: one sentence for each failure.
    """

    ok: bool
    checks: dict[str, bool] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as a record's `meta.verified` stores it."""
        reasons = {"reasons": self.reasons} if self.reasons else {}
        return {"engine": engine_version(), "ok": self.ok, "checks": self.checks} | reasons


def engine_version() -> str:
    """`PyNiteFEA 3.2.0`, or what is missing."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"PyNiteFEA {version('PyNiteFEA')}"
    except PackageNotFoundError:
        return "without PyNiteFEA"


def run_calls(spec: ModelSpec | State, history: list[Call], calls: list[Call], *, solve: bool = False) -> Executed:
    """Build the model, replay the history, carry out the calls. Later calls run also when one was refused."""
    state = build(spec) if isinstance(spec, ModelSpec) else spec
    for call in history:
        execute(state, call, solve=False)
    return Executed(state, [execute(state, call, solve=solve) for call in calls])


def verify(
    spec: ModelSpec, history: list[Call], gold: list[Call], tools: list[dict[str, Any]], *, equilibrium: bool = True
) -> Verification:
    """Check a row's gold calls: offered and schema-valid, carried out, and in equilibrium.

    Every gold call is executed in order after the history. Queries that need results are solved on demand. After each
    run of load calls, the frame under those loads alone must give reactions equal and opposite to the force that the
    calls' own value, unit, direction and place say, to 1e-6.

    Args:
        equilibrium: False skips everything numerical (Pynite is not needed): well under a millisecond a call.
    """
    reasons: dict[str, list[str]] = {"schema": [], "history": [], "execution": []}
    schemas = offered(tools)
    for call in gold:
        if call["name"] not in schemas:
            reasons["schema"].append(f"{call['name']} is not offered")
        else:
            reasons["schema"] += [
                f"{call['name']}: {e}" for e in schema_errors(call["arguments"], schemas[call["name"]])
            ]
    state = build(spec)
    for call in history:
        result = execute(state, call, solve=False)
        if not result.ok:
            reasons["history"].append(f"{call['name']}: {result.error}")
    if equilibrium:
        reasons["equilibrium"] = []
    pending: list[Load] = []
    applied = [0.0] * 6
    for call in gold:
        if pending and call["name"] not in LOADS:
            reasons["equilibrium"] += _balance(state, pending, applied)
            pending, applied = [], [0.0] * 6
        known = {id(x) for x in state.tables.loads}
        result = execute(state, call, solve=equilibrium)
        if not result.ok:
            reasons["execution"].append(f"{call['name']}: {result.error}")
        elif equilibrium and call["name"] in LOADS:
            pending += [x for x in state.tables.loads if id(x) not in known]
            applied = [a + b for a, b in zip(applied, expected(state, call), strict=True)]
    if pending:
        reasons["equilibrium"] += _balance(state, pending, applied)
    checks = {name: not found for name, found in reasons.items()}
    return Verification(all(checks.values()), checks, [r for found in reasons.values() for r in found])


def _balance(state: State, loads: list[Load], applied: list[float]) -> list[str]:
    fault = imbalance(state, loads, applied)
    return [fault] * bool(fault)
