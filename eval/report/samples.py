"""Every sample as the page lists it: request, tools, output, the calls beside the right ones, and what went wrong."""

from typing import Any

from data.record import Record
from data.validate import offered
from eval.generate import Output
from eval.parse import parse_tool_calls
from eval.parsed import ToolCall
from eval.report.differences import pair_rows
from eval.scoring.gold import GoldCall, prune_call, read_gold
from eval.scoring.match import Pair, match_calls
from eval.scoring.schema import FREE, Place, parameters_place, read_place
from tooltune.page.text import MAX_NAME, short, shorten, value_text

MAX_CALLS = 20
"""Pairs of calls shown of one answer; a model in a loop writes hundreds."""

ASK_BACK = frozenset({"missing", "ambiguous"})
"""Phenomena where the right answer is a question."""


def sample_entries(
    records: list[Record], metrics: dict[str, Any], outputs: dict[str, dict[str, Output]]
) -> dict[str, Any]:
    """`{"tools": [...], "samples": [...]}` for the page's script; a tool that many samples offer stands there once.

    Samples that the run did not score are left out.
    """
    verdicts = {side: {v["id"]: v for v in metrics[side]["samples"]} for side in ("tuned", "base") if metrics.get(side)}
    pool: dict[str, int] = {}
    tools: list[dict[str, Any]] = []
    entries = []
    for record in records:
        if record.id not in verdicts["tuned"] or record.id not in outputs["tuned"]:
            continue
        entry = _request(record)
        entry["tools"] = []
        for tool in record.tools:
            key = repr(tool)
            if key not in pool:
                pool[key] = len(tools)
                tools.append(_tool(tool["function"]))
            entry["tools"].append(pool[key])
        for side, by_id in verdicts.items():
            if record.id in by_id and record.id in outputs[side]:
                entry[side] = _answer(record, outputs[side][record.id], by_id[record.id], metrics["family"])
        entries.append(entry)
    return {"tools": tools, "samples": entries}


def _request(record: Record) -> dict[str, Any]:
    turns = [[m["role"], *shorten(_turn_text(m))] for m in record.prompt]
    last = max((i for i, m in enumerate(record.prompt) if m["role"] == "user"), default=None)
    request = turns.pop(last) if last is not None else ["user", "", 0]
    return {
        "id": short(record.id),
        "bucket": _word(record.meta.get("bucket")),
        "lang": _word(record.meta.get("lang")),
        "phenomena": [short(str(p), MAX_NAME) for p in record.meta.get("phenomena") or []],
        "gold": sorted({short(call["name"], MAX_NAME) for call in record.gold}),
        "request": request[1:],
        "turns": turns,
        "text": short(record.messages[-1].get("content") or "", 1000),
    }


def _answer(record: Record, output: Output, verdict: dict[str, Any], family: str) -> dict[str, Any]:
    parsed = parse_tool_calls(output.text, family, record.tools, output.truncated)
    gold = read_gold(record.gold, record.meta.get("acceptable"), where=record.id)
    schemas = {name: parameters_place(p) for name, p in offered(record.tools).items()}
    pairs = _in_order(match_calls(gold, [prune_call(c) for c in parsed.calls], schemas), gold)
    listed = [_pair(pair, schemas) for pair in pairs[:MAX_CALLS]]
    raw, left = shorten(output.text)
    return {
        "right": verdict["strict"]["exact_match"],
        "repaired": verdict["repaired"]["exact_match"],
        "reasons": _reasons(record, verdict, pairs, schemas),
        "confusion": [[short(gold, MAX_NAME), short(called, MAX_NAME)] for gold, called in verdict["confusion"]],
        "raw": raw,
        "left": left,
        "tokens": output.tokens,
        "truncated": verdict["truncated"],
        "problems": parsed.problems,
        "calls": [_call_text(c) for c in parsed.calls[:MAX_CALLS]],
        "pairs": listed,
        "hidden": len(pairs) - len(listed),
    }


def _reasons(record: Record, verdict: dict[str, Any], pairs: list[Pair], schemas: dict[str, Place]) -> list[str]:
    """Why the answer is wrong, the weightiest reason first; empty when it is right."""
    if verdict["strict"]["exact_match"]:
        return []
    if not record.gold:
        asks = ASK_BACK.intersection(record.meta.get("phenomena") or [])
        found = {"should_ask" if asks else "should_decline"}
    elif not verdict["attempted"]:
        found = {"no_call"}
    elif not verdict["repaired"]["made"]:
        found = {"not_json"}
    elif verdict["repaired"]["exact_match"]:
        found = {"format"}
    else:
        found = set().union(*(_pair_reasons(pair, schemas) for pair in pairs))
        if not verdict["strict"]["made"]:
            found.add("format")
    found |= {"unknown_tool"} if verdict["unknown_tools"] else set()
    found |= {"unknown_argument"} if verdict["unknown_arguments"] else set()
    found |= {"cut_off"} if verdict["truncated"] else set()
    return [reason for reason in REASONS if reason in found]


REASONS = (
    "cut_off",
    "no_call",
    "not_json",
    "should_ask",
    "should_decline",
    "unknown_tool",
    "wrong_tool",
    "missing_call",
    "extra_call",
    "unknown_argument",
    "wrong_value",
    "missing_argument",
    "extra_argument",
    "format",
)
"""From what makes an answer useless to what a lenient reader would forgive."""


def _pair_reasons(pair: Pair, schemas: dict[str, Place]) -> set[str]:
    if pair.got is None:
        return {"missing_call"}
    if pair.gold is None:
        return {"extra_call"}
    if not pair.same_name:
        return {"wrong_tool"} if pair.got.name in schemas else set()
    if pair.equal:
        return set()
    words = {"differs": "wrong_value", "missing": "missing_argument", "extra": "extra_argument"}
    statuses = {row["status"] for row in pair_rows(pair, schemas[pair.gold.name])}
    return {words[status] for status in statuses if status in words}


def _in_order(pairs: list[Pair], gold: list[GoldCall]) -> list[Pair]:
    """Pairs in the order of the right answer, then the calls that have no partner."""
    place = {id(call): i for i, call in enumerate(gold)}
    return sorted(pairs, key=lambda p: place[id(p.gold)] if p.gold else len(gold))


def _pair(pair: Pair, schemas: dict[str, Place]) -> dict[str, Any]:
    return {
        "gold": short(pair.gold.name, MAX_NAME) if pair.gold else None,
        "got": short(pair.got.name, MAX_NAME) if pair.got else None,
        "same": pair.same_name,
        "equal": pair.equal,
        "offered": pair.got is None or pair.got.name in schemas,
        "rows": pair_rows(pair, schemas.get(pair.gold.name, FREE) if pair.gold else FREE),
    }


def _call_text(call: ToolCall) -> str:
    arguments = ", ".join(f"{short(k, MAX_NAME)}={value_text(v)}" for k, v in prune_call(call).arguments.items())
    return short(f"{call.name}({arguments})", 1000)


def _turn_text(message: dict[str, Any]) -> str:
    calls = [c["function"] for c in message.get("tool_calls") or []]
    return "\n".join(
        [message.get("content") or "", *(_call_text(ToolCall(c["name"], c["arguments"])) for c in calls)]
    ).strip("\n")


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    place = parameters_place(function.get("parameters"))
    return {
        "name": short(function["name"], MAX_NAME),
        "what": short(str(function.get("description") or "")),
        "parameters": [
            [short(key), _kind(read_place(schema, place.root)), key in place.required, _description(schema)]
            for key, schema in place.properties.items()
        ],
    }


def _kind(place: Place) -> str:
    """A parameter's type, or its choices, as one short phrase."""
    if place.enum is not None:
        return short(" | ".join(value_text(v) for v in place.enum))
    items = read_place(place.items, place.root).types if place.items is not None else None
    kinds = [f"array of {'/'.join(sorted(items))}" if k == "array" and items else k for k in sorted(place.types or ())]
    return " | ".join(kinds) or "any"


def _description(schema: Any) -> str:
    text = schema.get("description") if isinstance(schema, dict) else None
    return short(text) if isinstance(text, str) else ""


def _word(value: Any) -> str | None:
    return None if value is None else short(str(value), MAX_NAME)
