"""Execution accuracy: do the calls leave the state that gold's leave?

Two calls can differ in every argument and mean the same: 10 tonf is 98.0665 kN, the load case that is current may be
named or left out. So the prediction and gold are both carried out by the row's domain (`data/domain.py`), after the
calls of the turns before, and the domain compares the two states.

- strict: the states are the same (`Domain.same`).
- summed: they are once effects are added up (`Domain.same_in_sum`): two loads of 5 kN are one of 10.

A prediction with a call that the row does not offer, or that the domain refuses, is wrong under both. Calls count as
the strict reading of the output gives them, as in the headline metrics. Rows without gold calls are not asked; neither
are those whose gold leaves the state as it was (a support set to what it is), where nothing done would look right, nor
those whose gold, or what went before it, the domain refuses.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from data.domain import Call, Domain, Refused, domain_of, history_calls, own_names
from data.record import Record
from data.validate import offered, schema_errors
from eval.parse import parse_tool_calls
from eval.scoring.equality import equal
from eval.scoring.gold import AnyOf, prune, read_gold
from eval.scoring.sample import Sample
from eval.scoring.schema import FREE, MISSING
from eval.scoring.stats import rate

OUTCOMES = ("strict", "summed", "different", "refused", "no_call")
"""Each row's outcome, best first; a row that is "strict" is also right when effects are summed."""


def execution_accuracy(
    records: Sequence[Record], samples: Sequence[Sample], family: str = "hermes", domain: Domain | None = None
) -> dict[str, Any] | None:
    """Run every sample's calls and compare; `records` and `samples` stand in the same order.

    Args:
        domain: of every record; None: of each the one that `domain_of` finds.

    Returns:
        `{"n", "strict", "summed", "outcomes", "left_out", "by_bucket", "samples"}`: both rates with their Wilson
        interval, the number of rows by outcome, the rows with gold calls that could not be asked, the rates by
        `meta.bucket`, and id → outcome. None when no record has a domain.
    """
    found: dict[str, str] = {}
    buckets: dict[str, list[str]] = {}
    rows, left_out = 0, 0
    for record, sample in zip(records, samples, strict=True):
        its = domain_of(record, domain)
        if its is None:
            continue
        rows += 1
        outcome = run_sample(its, record, sample, family) if record.gold else None
        if outcome is not None:
            found[record.id] = outcome
            buckets.setdefault(str(record.meta.get("bucket", "")), []).append(outcome)
        left_out += bool(record.gold) and outcome is None
    if not rows:
        return None
    return {
        **_rates(found.values()),
        "outcomes": {name: Counter(found.values())[name] for name in OUTCOMES},
        "left_out": left_out,
        "by_bucket": {name: _rates(outcomes) for name, outcomes in sorted(buckets.items()) if name},
        "samples": found,
    }


def run_sample(domain: Domain, record: Record, sample: Sample, family: str = "hermes") -> str | None:
    """One of OUTCOMES; None when the domain refuses gold, or gold changes nothing."""
    known = {tool["function"]["name"] for tool in domain.tools()}
    history = [call for call in own_names(record, history_calls(record.prompt)) if call["name"] in known]

    def state_after(calls: Sequence[Call]) -> Any:
        own = own_names(record, calls)
        if strange := {call["name"] for call in own} - known:
            raise Refused(f"no tools of the domain: {', '.join(sorted(strange))}")
        return domain.execute(record, [*history, *own])

    try:
        before, target = state_after([]), state_after(record.gold)
    except Refused:
        return None
    if domain.same(before, target):
        return None
    parsed = sample.parsed or parse_tool_calls(sample.output, family, sample.tools, sample.truncated)
    made = [{"name": c.name, "arguments": _plain(prune(c.arguments))} for c in parsed.strict_calls]
    if not made:
        return "no_call"
    if not _allowed(made, record):
        return "refused"
    try:
        state = state_after([_as_gold(call, record) for call in made])
    except Refused:
        return "refused"
    if domain.same(state, target):
        return "strict"
    return "summed" if domain.same_in_sum(state, target) else "different"


def _allowed(calls: list[Call], record: Record) -> bool:
    """Whether each call is of a tool offered in this row, under the names that it has here."""
    schemas = offered(record.tools, record.id)
    return all(c["name"] in schemas and not schema_errors(c["arguments"], schemas[c["name"]]) for c in calls)


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
