"""What holds for any schema and any calls."""

import json

from hypothesis import given
from hypothesis import strategies as st

from eval.parsed import Parsed, ToolCall
from eval.scoring import Sample, score, score_sample

KEYS = st.sampled_from(["a", "b", "any_of", "optional", "절점", "c d"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


MAKERS = {
    "integer": st.integers(),
    "number": st.integers() | st.floats(-1e9, 1e9),
    "string": st.text(max_size=6),
    "boolean": st.booleans(),
}


@st.composite
def objects(draw, depth):
    """An object schema and an object that it allows: keys required, given, at their default, or left out."""
    parts = draw(st.dictionaries(KEYS, schemas_with_values(depth - 1), max_size=3))
    value, properties, required = {}, {}, []
    for key, (schema, inner) in parts.items():
        role = draw(st.sampled_from(["required", "given", "default written", "default left out", "left out"]))
        properties[key] = {**schema, "default": inner} if role.startswith("default") else schema
        if role == "required":
            required.append(key)
        if not role.endswith("left out"):
            value[key] = inner
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}, value


@st.composite
def schemas_with_values(draw, depth):
    """A schema and a value that it allows."""
    kind = draw(st.sampled_from([*MAKERS, "enum", "free", *(["object", "array", "map"] if depth else [])]))
    if kind == "object":
        return draw(objects(depth))
    if kind == "map":
        return {"type": "object", "additionalProperties": {}}, draw(st.dictionaries(KEYS, SCALARS, max_size=3))
    if kind == "array":
        schema, inner = draw(schemas_with_values(depth - 1))
        return {"type": "array", "items": schema, "uniqueItems": draw(st.booleans())}, [inner] * draw(st.integers(0, 3))
    if kind == "enum":
        values = draw(st.lists(st.integers() | st.text(max_size=4), min_size=1, max_size=3))
        return {"enum": values}, draw(st.sampled_from(values))
    return ({}, draw(VALUES)) if kind == "free" else ({"type": kind}, draw(MAKERS[kind]))


@st.composite
def tasks(draw):
    """Offered tools and calls that fit them."""
    tools, calls = [], []
    for name in ["f", "g", "h"][: draw(st.integers(1, 3))]:
        schema, value = draw(objects(depth=2))
        tools.append({"type": "function", "function": {"name": name, "parameters": schema}})
        calls += [ToolCall(name, value)] * draw(st.integers(0, 2))
    return tools, draw(st.permutations(calls))


def literal(value):
    """Gold's way of writing a value that may look like a marker."""
    if isinstance(value, list):
        return [literal(v) for v in value]
    if not isinstance(value, dict):
        return value
    return {"any_of": [value]} if "any_of" in value else {k: literal(v) for k, v in value.items()}


def as_gold(calls):
    return [{"name": c.name, "arguments": {k: literal(v) for k, v in c.arguments.items()}} for c in calls]


def parsed(calls):
    return Parsed(
        list(calls), json_valid=True, format_ok=True, attempted=bool(calls), text="" if calls else "없습니다."
    )


@given(tasks())
def test_gold_against_itself_is_perfect(task):
    tools, calls = task
    result = score([Sample("s", as_gold(calls), tools, prompt="", parsed=parsed(calls))])
    for key, rate in result["headline"].items():
        assert rate["value"] in (None, 0.0 if key == "hallucination_rate" else 1.0), key
    for reading in ("strict", "repaired"):
        for table in ("calls", "parameters"):
            assert result[reading][table]["f1"] in (None, 1.0)
    faults = {k: r["count"] for k, r in result["apart"].items() if k != "coerced_integer" and r["count"]}
    assert not faults
    assert all(gold == called for gold, row in result["confusion"].items() for called in row)


FEW = st.dictionaries(st.sampled_from("ab"), st.integers(0, 2) | st.lists(st.integers(0, 1), max_size=2), max_size=2)
LOOSE = st.lists(st.builds(ToolCall, st.sampled_from("fgx"), FEW), max_size=5)
CLOSE = {"properties": {"a": {"default": 1}, "b": {"uniqueItems": True}}}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": CLOSE}} for name in "fg"]


@given(LOOSE, LOOSE, st.data())
def test_the_order_of_calls_changes_nothing(gold, made, data):
    one = score_sample(Sample("s", as_gold(gold), TOOLS, prompt="2"), parsed(made)).to_dict()
    gold, made = data.draw(st.permutations(gold)), data.draw(st.permutations(made))
    two = score_sample(Sample("s", as_gold(gold), TOOLS, prompt="2"), parsed(made)).to_dict()
    for verdict in (one, two):
        verdict.pop("order_differs")
        for key in ("gold", "unknown_tools", "unknown_arguments", "confusion"):
            verdict[key].sort()
    assert one == two


@given(
    tasks(),
    st.lists(
        st.builds(ToolCall, st.sampled_from(["f", "g", "x"]), st.dictionaries(KEYS, VALUES, max_size=4)), max_size=4
    ),
)
def test_any_calls_give_sound_counts(task, made):
    tools, gold = task
    result = score([Sample("s", as_gold(gold), tools, prompt="a 1", parsed=parsed(made))])
    json.dumps(result, allow_nan=False)
    for reading in ("strict", "repaired"):
        block = result[reading]
        exact, names = block["exact_match"]["count"], block["tool_name_accuracy"]["count"]
        assert exact <= names
        assert block["parameter_accuracy"]["count"] <= block["calls"]["recall"]["count"] <= len(gold)
        assert exact == int(block["parameter_accuracy"]["count"] == len(gold) == len(made))
        for side in ("precision", "recall"):
            rate = block["parameters"][side]
            assert 0 <= rate["count"] <= rate["n"]
        if exact:
            assert block["parameters"]["f1"] in (None, 1.0)


@given(tasks(), st.data())
def test_one_changed_value_is_seen(task, data):
    tools, gold = task
    spots = [(i, k) for i, call in enumerate(gold) for k in call.arguments]
    if not spots:
        return
    i, key = data.draw(st.sampled_from(spots))
    made = list(gold)
    made[i] = ToolCall(gold[i].name, {**gold[i].arguments, key: "\x00no such value"})
    verdict = score_sample(Sample("s", as_gold(gold), tools), parsed(made))
    assert verdict.strict.tool_name and not verdict.strict.exact_match
    assert verdict.strict.equal_calls <= len(gold) - 1
    assert verdict.strict.leaves.got_hits < verdict.strict.leaves.got
