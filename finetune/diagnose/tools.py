"""Rules on what the losses hide: the loss by role, and the calls that were generated at each evaluation."""

import math

from finetune.diagnose.finding import Finding
from finetune.diagnose.reading import evaluated, is_number, scored_rows
from finetune.history import History

JSON_LEARNT, NAME_LOW = 0.9, 0.75
"""METRICS, "The epoch table": JSON Validity is 85 % after the first epoch, with a tool name accuracy of 75 %, and 96 %
after the second, with 90 %. Valid JSON with names below the first epoch's is no early stage, but a fault."""

FORMAT_LEARNT, NAME_HIGH = 0.1, 0.3
"""Nats a token, where nothing is generated. exp(-0.1) = 90 % for each format token; exp(-0.3) = 74 %, so that a name of
five tokens is right in 0.74 ** 5 = 22 %."""

CUT_OFF = 0.05
"""The share of generations without an end token from which it is more than an odd row."""


def format_not_tool(history: History) -> Finding | None:
    """JSON almost always valid, and the tool name often wrong, at the best evaluation."""
    rows = [
        r for r in evaluated(history) if is_number(r.get("tool_name_accuracy")) and is_number(r.get("json_validity"))
    ]
    if not rows:
        return None
    best = min(rows, key=lambda row: row["eval_loss"])
    if best["json_validity"] < JSON_LEARNT or best["tool_name_accuracy"] >= NAME_LOW:
        return None
    figures = {
        "epoch": best["epoch"],
        "json": best["json_validity"],
        "name": best["tool_name_accuracy"],
        "eval_loss": best["eval_loss"],
        "scored": scored_rows(history),
    }
    return Finding("format_not_tool", "warning", figures)


def format_not_name(history: History) -> Finding | None:
    """The same from the losses by role, for a run that generates nothing."""
    rows = [r for r in evaluated(history) if "eval_loss_name" in r and "eval_loss_format" in r]
    if not rows or any(is_number(r.get("tool_name_accuracy")) for r in rows):
        return None
    best = min(rows, key=lambda row: row["eval_loss"])
    if best["eval_loss_format"] >= FORMAT_LEARNT or best["eval_loss_name"] < NAME_HIGH:
        return None
    figures = {
        "epoch": best["epoch"],
        "format_loss": best["eval_loss_format"],
        "name_loss": best["eval_loss_name"],
        "name_p": math.exp(-best["eval_loss_name"]),
        "eval_loss": best["eval_loss"],
    }
    return Finding("format_not_name", "warning", figures)


def truncated(history: History) -> Finding | None:
    """Generations that reached the limit without an end token, at the last evaluation (`eval_truncated`, a share)."""
    rows = [row for row in history.epochs if is_number(row.get("eval_truncated"))]
    if not rows or rows[-1]["eval_truncated"] <= CUT_OFF:
        return None
    limit = history.config.eval.max_new_tokens
    return Finding(
        "truncated", "warning", {"epoch": rows[-1]["epoch"], "share": rows[-1]["eval_truncated"], "limit": limit}
    )
