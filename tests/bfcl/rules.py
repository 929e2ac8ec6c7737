"""What the two scorers read differently, each rule as the change under which they meet.

A rule takes a case and the calls at hand and gives the question and the calls as they would have to be for the scorer
that refuses them; None where it changes nothing.
"""

import math
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from eval.parse import parse_tool_calls, render_calls
from eval.parsed import ToolCall
from eval.scoring import Sample, score_sample
from eval.scoring.equality import RELATIVE_TOLERANCE
from tests.bfcl.checker import Bfcl, read_blocks
from tests.bfcl.items import Item, answer, gold

Calls = list[ToolCall]
Scalar = Callable[[Any], Any]
MOST_ORDERS = 720


def counts_as_right(item: Item, text: str) -> bool:
    """This project's Exact Match, strict reading."""
    sample = Sample(item.id, gold(item), item.tools, text)
    return score_sample(sample, parse_tool_calls(text, tools=item.tools)).strict.exact_match


@dataclass(frozen=True)
class Case:
    """An output that one scorer counts as right and the other does not."""

    bfcl: Bfcl
    item: Item
    text: str

    def meets(self, rules: list["Rule"], bfcl_accepts: bool) -> bool:
        """Whether the scorer that refuses the output accepts it once the rules have changed it."""
        item, calls = self.item, parse_tool_calls(self.text, tools=self.item.tools).strict_calls
        for rule in rules:
            changed = rule.change(self, item, calls)
            if changed is None:
                return False
            item, calls = changed
        return counts_as_right(item, render_calls(calls)) if bfcl_accepts else self.accepted(item, calls)

    def accepted(self, item: Item, calls: Calls) -> bool:
        """BFCL's verdict on calls."""
        return self.bfcl.verdict_on(item, [{c.name: c.arguments} for c in calls])[0]


Change = Callable[[Case, Item, Calls], tuple[Item, Calls] | None]


@dataclass(frozen=True)
class Rule:
    """A change, and what it says about the two scorers."""

    change: Change
    says: str


def _fold(text: str) -> str:
    return "".join(c for c in text if c not in " ,./-_*^").lower().replace("'", '"')


def _folded(case: Case, item: Item, calls: Calls) -> tuple[Item, Calls] | None:
    return _everywhere(item, calls, lambda v: _fold(v) if isinstance(v, str) else v)


def _truth_as_number(case: Case, item: Item, calls: Calls) -> tuple[Item, Calls] | None:
    return _everywhere(item, calls, lambda v: int(v) if isinstance(v, bool) else v)


def _composed(case: Case, item: Item, calls: Calls) -> tuple[Item, Calls] | None:
    return _everywhere(item, calls, lambda v: unicodedata.normalize("NFC", v) if isinstance(v, str) else v)


def _empty_is_absent(case: Case, item: Item, calls: Calls) -> tuple[Item, Calls] | None:
    marked = {(name, key) for call in item.truth for name, right in call.items() for key in right if "" in right[key]}
    return _without(item, calls, lambda name, key, value: value in ("", []) and (name, key) in marked)


def _broken_block(case: Case, item: Item, calls: Calls) -> tuple[Item, Calls] | None:
    return None if "duplicate_key" in _problems(case) else _read_again(case, item)


def _key_twice(case: Case, item: Item, calls: Calls) -> tuple[Item, Calls] | None:
    return _read_again(case, item) if "duplicate_key" in _problems(case) else None


def _problems(case: Case) -> list[str]:
    return parse_tool_calls(case.text, tools=case.item.tools).problems


def _read_again(case: Case, item: Item) -> tuple[Item, Calls] | None:
    """The calls as BFCL reads them, where this project reads none strictly."""
    if parse_tool_calls(case.text, tools=item.tools).strict_calls:
        return None
    return item, [ToolCall(call["name"], call["arguments"]) for call in read_blocks(case.text)]


def _snap(got: type, want: type) -> Change:
    """Write numbers of type `got` as the equal one of type `want` in the truth."""

    def rule(case: Case, item: Item, calls: Calls) -> tuple[Item, Calls] | None:
        known: list[Any] = [v for v in _scalars(item.truth) if type(v) is want]

        def change(value: Any) -> Any:
            if type(value) is not got or (got is want and value in known):
                return value
            number: Any = value
            return next((k for k in known if math.isclose(number, k, rel_tol=RELATIVE_TOLERANCE)), value)

        changed = [ToolCall(c.name, _map(c.arguments, change)) for c in calls]
        return (item, changed) if repr(changed) != repr(calls) else None

    return rule


def _default_left_out(case: Case, item: Item, calls: Calls) -> tuple[Item, Calls] | None:
    def is_default(name: str, key: str, value: Any) -> bool:
        schema = item.schema(name).get(key) or {}
        return key not in item.required(name) and "default" in schema and schema["default"] == value

    return _without(item, calls, is_default)


def _default_written(case: Case, item: Item, calls: Calls) -> tuple[Item, Calls] | None:
    made = []
    for call in calls:
        right: dict[str, Any] = {}
        for truth in item.truth:
            right |= truth.get(call.name, {})
        made.append(ToolCall(call.name, _filled(call.arguments, item.parameters(call.name), right)))
    return (item, made) if made != calls else None


def _filled(given: dict[str, Any], schema: dict[str, Any], right: dict[str, list[Any]]) -> dict[str, Any]:
    """An object with the defaults of the keys that it leaves out and the truth wants, also inside."""
    properties, needed = schema.get("properties") or {}, schema.get("required") or []
    made = dict(given)
    for key, values in right.items():
        below = properties.get(key, {})
        if key not in given and key not in needed and "default" in below and "" not in values:
            made[key] = below["default"]
        if isinstance(given.get(key), dict):
            made[key] = _filled(given[key], below, next((v for v in values if isinstance(v, dict)), {}))
    return made


def _unknown_argument(case: Case, item: Item, calls: Calls) -> tuple[Item, Calls] | None:
    changed = _without(item, calls, lambda name, key, value: key not in item.schema(name))
    if changed is None:
        return None
    truth = [{n: {k: v for k, v in r.items() if k in item.schema(n)} for n, r in call.items()} for call in item.truth]
    return replace(item, truth=truth), changed[1]


def _other_order(case: Case, item: Item, calls: Calls) -> tuple[Item, Calls] | None:
    """The same calls in an order that BFCL's matching, first come first served, accepts."""
    for number, order in enumerate(permutations(calls)):
        if number == MOST_ORDERS:
            break
        if case.accepted(item, list(order)):
            return item, list(order)
    return None


BFCL_ACCEPTS: dict[str, Rule] = {
    "texts folded": Rule(
        _folded, "BFCL drops blanks, `, . / - _ * ^` and capitals from texts before it compares them: `12.5` is `125`."
    ),
    "empty is absent": Rule(
        _empty_is_absent,
        'BFCL marks an argument that may be left out with "" among its values, and then takes the empty text (or, for '
        "an array, the empty list) as a value.",
    ),
    "true is 1": Rule(
        _truth_as_number,
        "Inside objects and lists BFCL compares as Python does, where `True == 1`; here a bool is no number.",
    ),
    "key twice": Rule(
        _key_twice,
        "BFCL's handler reads with Python's `json`, which keeps the last of two keys; here that is not strict JSON.",
    ),
    "broken block passed over": Rule(
        _broken_block, "BFCL's handler passes over a block that is no JSON; here the sample is then not strictly right."
    ),
}
OURS_ACCEPTS: dict[str, Rule] = {
    "5.0 for 5": Rule(
        _snap(float, int), "Here 5.0 is accepted for an integer (and counted apart); BFCL wants Python's int."
    ),
    "5 for 5.0 inside": Rule(
        _snap(int, float),
        "BFCL takes 5 for a float at the top level only; here JSON's number has one type at any depth.",
    ),
    "1e-9": Rule(_snap(float, float), "Here floats agree to 1e-9 relative; BFCL wants the same float."),
    "default left out": Rule(
        _default_left_out, "Here writing a default is leaving it out; BFCL lists what may be written."
    ),
    "default written": Rule(_default_written, "Here leaving an optional argument out is its schema's default."),
    "first come, first served": Rule(
        _other_order,
        "BFCL matches parallel calls one after the other, and a call can take the place that another needs.",
    ),
    "accents": Rule(_composed, "Here texts are compared after NFC; BFCL compares code points."),
    "argument unknown to the schema": Rule(
        _unknown_argument,
        "The truth lists an argument that the schema does not have, and BFCL's checker then refuses it.",
    ),
}
NO_ANSWER = "no answer"
NO_ANSWER_SAYS = "BFCL's checker refuses every answer that the truth lists: the question cannot be solved."


def no_answer_accepted(case: Case) -> bool:
    """Whether BFCL refuses even the answers that its own truth lists."""
    item = case.item
    tries = [answer(item, last=last, optional=optional) for last in (False, True) for optional in (False, True)]
    return not any(case.accepted(item, calls) for calls in tries)


def _everywhere(item: Item, calls: Calls, change: Scalar) -> tuple[Item, Calls] | None:
    """Change every scalar of the calls and of the truth."""
    changed = [ToolCall(c.name, _map(c.arguments, change)) for c in calls]
    truth = _map(item.truth, change)
    return (replace(item, truth=truth), changed) if repr((truth, changed)) != repr((item.truth, calls)) else None


def _without(item: Item, calls: Calls, drop: Callable[[str, str, Any], bool]) -> tuple[Item, Calls] | None:
    """Leave out arguments."""
    kept = [ToolCall(c.name, {k: v for k, v in c.arguments.items() if not drop(c.name, k, v)}) for c in calls]
    return (item, kept) if kept != calls else None


def _map(value: Any, change: Scalar) -> Any:
    if isinstance(value, dict):
        return {k: _map(v, change) for k, v in value.items()}
    if isinstance(value, list):
        return [_map(v, change) for v in value]
    return change(value)


def _scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _scalars(below)
    else:
        yield value
