"""The tools a row offers: cutting the list down for a small context."""

from dataclasses import replace
from typing import Any

from data.record import Record


def with_visible_tools(record: Record, *, max_tools: int | None, descriptions: bool) -> Record:
    """The record with its tools as a model is to see them."""
    record = limit_tools(record, max_tools)
    return record if descriptions else without_descriptions(record)


def limit_tools(record: Record, most: int | None) -> Record:
    """The record with at most `most` tools, in their order; None keeps all.

    Tools that the conversation calls, and those that `meta.relevant_tools` names (what a request without a right call
    is about), always stay, so the task stays the same and only distractors go.
    """
    if most is None or len(record.tools) <= most:
        return record
    called = {c["function"]["name"] for m in record.messages for c in m.get("tool_calls") or []}
    needed = called | set(record.meta.get("relevant_tools") or [])
    spare = most - sum(t["function"]["name"] in needed for t in record.tools)
    kept = []
    for tool in record.tools:
        if tool["function"]["name"] in needed:
            kept.append(tool)
        elif spare > 0:
            kept.append(tool)
            spare -= 1
    return replace(record, tools=kept)


def without_descriptions(record: Record) -> Record:
    """The record with every tool and parameter description removed: names, types and choices remain."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            # A parameter may itself be called "description": then its value is a schema, not a text.
            return {k: strip(v) for k, v in value.items() if k != "description" or not isinstance(v, str)}
        return [strip(v) for v in value] if isinstance(value, list) else value

    return replace(record, tools=strip(record.tools))
