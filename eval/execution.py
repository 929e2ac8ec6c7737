"""Execution accuracy: do the calls leave the structural model as gold's do?

Two calls can differ in every argument and mean the same: 10 tonf is 98.0665 kN, the load case that is current may be
named or left out. So the prediction and gold are both carried out on the row's own frame (`meta.model`), after the
calls of the turns before, and the two models are compared in kN and m. Nothing is solved.

- strict: every table is equal, loads as a multiset, and the same analyses and queries were asked for.
- summed: the same once loads of one place, direction and case are added up: two of 5 kN are one of 10.

A prediction with a call that the row does not offer, or that the model refuses, is wrong under both. Calls count as the
strict reading of the output gives them, as in the headline metrics. Rows without gold calls are not asked; neither are
those whose gold leaves the model as it was (a support set to what it is), where nothing done would look right.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from data.record import Record
from data.structural.engine import ModelSpec, State, build, history_calls, run_calls, same_state
from data.validate import offered, schema_errors
from eval.parse import parse_tool_calls
from eval.scoring.equality import equal
from eval.scoring.gold import AnyOf, prune, read_gold
from eval.scoring.sample import Sample
from eval.scoring.schema import FREE, MISSING
from eval.scoring.stats import rate

Call = dict[str, Any]
OUTCOMES = ("strict", "summed", "different", "refused", "no_call")
"""Each row's outcome, best first; a row that is "strict" is also right when loads are summed."""


def execution_accuracy(
    records: Sequence[Record], samples: Sequence[Sample], family: str = "hermes"
) -> dict[str, Any] | None:
    """Run every sample's calls and compare; `records` and `samples` stand in the same order.

    Returns:
        `{"n", "strict", "summed", "outcomes", "left_out", "by_bucket", "samples"}`: both rates with their Wilson
        interval, the number of rows by outcome, the rows with gold calls that could not be asked, the rates by
        `meta.bucket`, and id → outcome. None when no record has a structural model.
    """
    found: dict[str, str] = {}
    buckets: dict[str, list[str]] = {}
    models, left_out = 0, 0
    for record, sample in zip(records, samples, strict=True):
        spec = read_model(record.meta.get("model"))
        if spec is None:
            continue
        models += 1
        outcome = run_sample(spec, record, sample, family) if record.gold else None
        if outcome is not None:
            found[record.id] = outcome
            buckets.setdefault(str(record.meta.get("bucket", "")), []).append(outcome)
        left_out += bool(record.gold) and outcome is None
    if not models:
        return None
    return {
        **_rates(found.values()),
        "outcomes": {name: Counter(found.values())[name] for name in OUTCOMES},
        "left_out": left_out,
        "by_bucket": {name: _rates(outcomes) for name, outcomes in sorted(buckets.items()) if name},
        "samples": found,
    }


def read_model(value: Any) -> ModelSpec | None:
    """The frame of `meta.model`, or None: other data may keep something else under that key."""
    if not isinstance(value, dict):
        return None
    try:
        spec = ModelSpec.from_dict(value)
        build(spec)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return spec


def run_sample(spec: ModelSpec, record: Record, sample: Sample, family: str = "hermes") -> str | None:
    """One of OUTCOMES; None when gold does not run on the model or changes nothing."""
    back = record.meta.get("renamed") or {}
    history = [_own_names(call, back) for call in history_calls(record.prompt)]
    target = run_calls(spec, history, [_own_names(call, back) for call in record.gold])
    if not target.ok or same_state(target.state, run_calls(spec, history, []).state).strict:
        return None
    parsed = sample.parsed or parse_tool_calls(sample.output, family, sample.tools, sample.truncated)
    made = [{"name": c.name, "arguments": _plain(prune(c.arguments))} for c in parsed.strict_calls]
    if not made:
        return "no_call"
    if not _allowed(made, record):
        return "refused"
    return _outcome(spec, history, [_own_names(_as_gold(call, record), back) for call in made], target.state)


def _outcome(spec: ModelSpec, history: list[Call], calls: list[Call], target: State) -> str:
    try:
        run = run_calls(spec, history, calls)
        same = same_state(run.state, target)
    except ArithmeticError:  # a number beyond what the frame can hold
        return "refused"
    return "refused" if not run.ok else "strict" if same.strict else "summed" if same.summed else "different"


def _allowed(calls: list[Call], record: Record) -> bool:
    """Whether each call is of a tool offered in this row, under the names that it has here."""
    schemas = offered(record.tools, record.id)
    return all(c["name"] in schemas and not schema_errors(c["arguments"], schemas[c["name"]]) for c in calls)


def _own_names(call: Call, back: dict[str, Any]) -> Call:
    """A call of a renamed tool under the name and the parameters that the engine knows."""
    if call["name"] not in back:
        return call
    own = back[call["name"]]
    arguments = {own["parameters"].get(key, key): value for key, value in call["arguments"].items()}
    return {"name": own["name"], "arguments": arguments}


def _as_gold(call: Call, record: Record) -> Call:
    """The call with gold's own value wherever it uses one of `meta.acceptable` (a name that the user did not give)."""
    own = [g["arguments"] for g in record.gold if g["name"] == call["name"]]
    read = read_gold(record.gold, record.meta.get("acceptable"), where=record.id)
    accepted = [g.arguments for g in read if g.name == call["name"]]
    arguments = dict(call["arguments"])
    for key in {key for wanted in accepted for key, value in wanted.items() if isinstance(value, AnyOf)}:
        said = arguments.pop(key, MISSING)
        values = [mine.get(key, MISSING) for mine in own]
        pairs = zip(values, accepted, strict=True)
        meant = said if said in values else next((v for v, a in pairs if equal(said, a.get(key), FREE)), said)
        if meant is not MISSING:
            arguments[key] = meant
    return {**call, "arguments": arguments}


def _plain(value: Any) -> Any:
    """Whole floats as integers: the scorer takes 5.0 for node 5, and so does JSON Schema."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _rates(outcomes: Iterable[str]) -> dict[str, Any]:
    listed = list(outcomes)
    strict = listed.count("strict")
    return {
        "n": len(listed),
        "strict": rate(strict, len(listed)),
        "summed": rate(strict + listed.count("summed"), len(listed)),
    }
