"""Rules on what the losses hide: the loss by role, and the calls that were generated at each evaluation."""

import math
from typing import Any

from finetune.diagnose.run_finding import RunFinding
from finetune.diagnose.series import evaluated, is_number, scored_rows
from finetune.history import History

JSON_LEARNT, NAME_LOW = 0.9, 0.75
"""docs/metrics.md, "The epoch table": JSON Validity is 85 % after the first epoch, with a tool name accuracy of
75 %, and 96 % after the second, with 90 %. Valid JSON with names below the first epoch's is a fault, not an early
stage."""

FORMAT_LEARNT, NAME_HIGH = 0.1, 0.3
"""Nats a token, where nothing is generated. exp(-0.1) = 90 % for each format token; exp(-0.3) = 74 %, so that a name of
five tokens is right in 0.74 ** 5 = 22 %."""

RARELY, MOSTLY = 0.2, 0.8
"""Shares of the rows of one kind, call due or none due. With fewer than a fifth of one kind right, a model that does
well on the other has learnt one answer for all (this project's reading)."""

CHOOSES = 0.5
"""Must-call Exact from which it does choose tools: half of the due calls are right to the last value."""

CUT_OFF = 0.05
"""The share of generations without an end token from which it is more than an odd row."""


def format_not_tool(history: History) -> RunFinding | None:
    """JSON almost always valid, and the tool name often wrong, at the best evaluation.

    Tool Name Accuracy counts the rows without a call too: where the due calls are right, what it lacks is abstention.
    """
    rows = [
        r for r in evaluated(history) if is_number(r.get("tool_name_accuracy")) and is_number(r.get("json_validity"))
    ]
    if not rows:
        return None
    best = min(rows, key=lambda row: row["eval_loss"])
    if best["json_validity"] < JSON_LEARNT or best["tool_name_accuracy"] >= NAME_LOW:
        return None
    if (best.get("must_call_exact") or 0) >= CHOOSES:
        return None
    figures = {
        "epoch": best["epoch"],
        "json": best["json_validity"],
        "name": best["tool_name_accuracy"],
        "eval_loss": best["eval_loss"],
        "scored": scored_rows(history),
    }
    return RunFinding("format_not_tool", "warning", figures)


def calls_whatever(history: History) -> RunFinding | None:
    """It has learnt to call, and calls where it should ask back or decline, at the best evaluation."""
    best = _by_kind(history)
    if not best or best["json_validity"] < JSON_LEARNT or best["abstention"] >= RARELY:
        return None
    return RunFinding("calls_whatever", "warning", _kinds(history, best))


def never_calls(history: History) -> RunFinding | None:
    """The other way round: hardly a due call that can be read, and none where none is due, at the best evaluation."""
    best = _by_kind(history)
    if not best or best["json_validity"] >= RARELY or best["abstention"] < MOSTLY:
        return None
    return RunFinding("never_calls", "warning", _kinds(history, best))


def _by_kind(history: History) -> dict[str, Any] | None:
    """The row of the lowest loss among those that scored rows of both kinds."""
    needed = ("json_validity", "must_call_exact", "abstention")
    rows = [row for row in evaluated(history) if all(is_number(row.get(key)) for key in needed)]
    return min(rows, key=lambda row: row["eval_loss"]) if rows else None


def _kinds(history: History, row: dict[str, Any]) -> dict[str, Any]:
    figures = {key: row[key] for key in ("epoch", "must_call_exact", "abstention")}
    return figures | {"json": row["json_validity"], "scored": scored_rows(history)}


def format_not_name(history: History) -> RunFinding | None:
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
    return RunFinding("format_not_name", "warning", figures)


def truncated(history: History) -> RunFinding | None:
    """Generations that reached the limit without an end token, at the last evaluation (`eval_truncated`, a share)."""
    rows = [row for row in history.epochs if is_number(row.get("eval_truncated"))]
    if not rows or rows[-1]["eval_truncated"] <= CUT_OFF:
        return None
    limit = history.config.eval.max_new_tokens
    return RunFinding(
        "truncated", "warning", {"epoch": rows[-1]["epoch"], "share": rows[-1]["eval_truncated"], "limit": limit}
    )
