"""A result as tables of phrases and text: the terminal, the Markdown file and the page show the same cells."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.report.numbers import figure, median_and_range, percent, signed, times
from benchmarks.report.words import say
from finetune.rate import flops_text
from tooltune.words import Phrase

Cell = str | Phrase
Show = Callable[[dict[str, Any]], str]

RATES = {
    "tool_name_accuracy": "rate.tool_name_accuracy",
    "must_call_exact": "rate.must_call_exact",
    "abstention": "rate.abstention",
    "balanced": "rate.balanced",
    "json_validity": "rate.json_validity",
}
"""What `benchmarks rows` shows of a scored model, as the phrases that name it."""

MODES = {"steps": "mode.steps", "epochs": "mode.epochs"}
"""What is equal for all sizes, as phrases."""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        columns: the head of each column, and whether it holds figures (they stand to the right).
        rows: one cell a column; plain text may come from anywhere and is escaped where it is shown.
    """

    title: Phrase
    columns: list[tuple[Phrase, bool]]
    rows: list[list[Cell]]


def tables(result: dict[str, Any]) -> list[Table]:
    """The tables of a result, the one that answers the question first."""
    return _TABLES[result["kind"]](result)


def whole(result: dict[str, Any]) -> dict[str, Any]:
    """The result with what its kind leaves out of the file: no budget, no settings, nothing that makes it invalid."""
    head: dict[str, Any] = {"settings": {}, "config": {}, "budget_gib": None, "emulated": False, "valid": True}
    if result["kind"] == "length":
        head["settings"] = {key: result[key] for key in ("grain", "random_weights")}
    return head | result


def memory_key(result: dict[str, Any]) -> str:
    """Which figure is the peak memory: what the allocator reserved on a card, the process's RSS on a CPU."""
    return "peak_rss_gib" if result["device"]["kind"] == "cpu" else "peak_reserved_gib"


def summary_of(arm: dict[str, Any], key: str) -> dict[str, Any] | None:
    """Median, low and high of a figure over an arm's repeats; None where no repeat gave one."""
    found: dict[str, Any] | None = (arm["summary"] or {}).get(key)
    return found if found and found["median"] is not None else None


def median(arm: dict[str, Any], key: str) -> float | None:
    """The median of a figure over an arm's repeats."""
    found = summary_of(arm, key)
    return found["median"] if found else None


def machine_rate(result: dict[str, Any]) -> Phrase | None:
    """The machine's matmul rate, the median over all repeats; None of a result that does not have it."""
    runs = [run for shape in result.get("shapes", []) for arm in shape["arms"] for run in arm["runs"]]
    measured = [run for run in runs if "matmul_gflops" in run]
    if not measured:
        return None
    rate = statistics.median(run["matmul_gflops"] for run in measured)
    return say("record.matmul", rate=flops_text(rate), dtype=measured[0]["matmul_dtype"])


def shape_name(shape: dict[str, Any]) -> Cell:
    """A shape as it is called: the dataset's own mix, rows behind one prefix, or micro-batch × length."""
    if shape["shape"] == "one-prefix":
        return say("shape.one_prefix", batch=shape["micro_batch"])
    if shape["length"] is None:
        return say("shape.mix", batch=shape["micro_batch"])
    return f"{shape['micro_batch']} × {shape['length']:,}"


def arm_name(arm: dict[str, Any]) -> Cell:
    """An arm's name, marked where it trains on other batches than the reference; a training of `rows` by its size."""
    if "modes" in arm:
        return say("arm.rows", rows=arm["rows"], steps=arm["steps"])
    return say("arm.other_batches", arm=arm["arm"]) if arm.get("different_batches") else str(arm["arm"])


def status_of(row: dict[str, Any]) -> Phrase:
    """How an arm, a repeat or an attempt ended."""
    return say(f"status.{row['status']}")


def _train(result: dict[str, Any]) -> list[Table]:
    memory = memory_key(result)
    plan: list[tuple[str, str, Show]] = [
        ("samples_per_second", "column.samples", median_and_range),
        ("train_samples_per_second", "column.trainer", median_and_range),
        ("tokens_per_second", "column.tokens", lambda f: figure(f["median"])),
        ("mfu", "column.mfu", lambda f: percent(f["median"])),
        ("seconds_per_step", "column.step", lambda f: figure(f["median"])),
        (memory, "column.rss" if memory == "peak_rss_gib" else "column.reserved", lambda f: figure(f["median"])),
        ("time_to_first_step_s", "column.first", lambda f: figure(f["median"])),
    ]
    more: list[tuple[str, str, Show]] = [
        ("supervised_tokens_per_second", "column.supervised", median_and_range),
        ("padding_share", "column.padding", lambda f: percent(f["median"])),
        ("hfu", "column.hfu", lambda f: percent(f["median"])),
        ("compile_seconds", "column.compile", median_and_range),
        ("peak_allocated_gib", "column.allocated", median_and_range),
        ("driver_used_gib", "column.driver", median_and_range),
        ("peak_rss_gib", "column.rss", median_and_range),
    ]
    if machine_rate(result) is None:  # a result of before there was an MFU
        plan = [column for column in plan if column[0] != "mfu"]
    found = [key for key, *_ in more if any(summary_of(a, key) for s in result["shapes"] for a in s["arms"])]
    first, second = [], []
    for shape in result["shapes"]:
        # An arm has a row against each plainer one, the plainest first: it is what the bars are beside, too.
        against = {row["arm"]: row for row in reversed(shape["speedup"])}
        for arm in shape["arms"]:
            cells = [shape_name(shape), arm_name(arm)]
            if arm["status"] == "ok" or summary_of(arm, "samples_per_second"):
                first.append(
                    [*cells, *(_cell(arm, key, show) for key, _, show in plan), _speedup(against, arm, result)]
                )
            else:
                first.append([*cells, status_of(arm), *["–"] * len(plan)])
            second.append([*cells, *(_cell(arm, key, show) for key, _, show in more if key in found)])
    heads = [(say("column.shape"), False), (say("column.arm"), False)]
    main = Table(
        say("table.train"),
        [*heads, *((say(name), True) for _, name, _ in plan), (say("column.speedup"), True)],
        first,
    )
    rest = Table(say("table.more"), [*heads, *((say(name), True) for key, name, _ in more if key in found)], second)
    return [main, rest] if found else [main]


def _cell(arm: dict[str, Any], key: str, show: Show) -> str:
    found = summary_of(arm, key)
    return show(found) if found else "–"


def _speedup(against: dict[str, Any], arm: dict[str, Any], result: dict[str, Any]) -> Cell:
    if not result["valid"]:
        return say("column.invalid")
    row = against.get(arm["arm"])
    if not row:
        return "–"
    ratio, low, high = (times(row[key]) for key in ("ratio", "low", "high"))
    return ratio if low == high else f"{ratio} ({low}–{high})"


def _length(result: dict[str, Any]) -> list[Table]:
    rows: list[list[Cell]] = []
    for arm in result["arms"]:
        peak = next((t[memory_key(result)] for t in arm["tried"] if t["length"] == arm["longest"]), None)
        failed = min((t for t in arm["tried"] if t["status"] != "ok"), key=lambda t: t["length"], default=None)
        fault: Cell = say("cell.fault", length=f"{failed['length']:,}", status=status_of(failed)) if failed else "–"
        rows.append([arm_name(arm), longest_of(arm), figure(peak), fault, str(len(arm["tried"]))])
    heads = [("column.arm", False), ("column.longest", True), ("column.peak", True), ("column.fault", False)]
    return [Table(say("table.length"), [*((say(k), n) for k, n in heads), (say("column.tried"), True)], rows)]


def longest_of(arm: dict[str, Any]) -> Cell:
    """The longest length that fitted; that nothing longer was tried; or how the search ended without one."""
    if not arm["longest"]:
        return status_of(arm)
    text = f"{arm['longest']:,}"
    return say("cell.or_more", length=text) if arm["capped"] else text


def _recipe(result: dict[str, Any]) -> list[Table]:
    rows: list[list[Cell]] = [
        [
            arm["arm"],
            say("cell.reached" if arm["reached"] else "cell.not_reached") if arm["status"] == "ok" else status_of(arm),
            figure(arm["seconds_to_target"]),
            figure(arm["seconds_with_setup"]),
            figure(arm["samples_to_target"]),
            figure(arm["samples_per_second"]),
            figure(arm["tokens_per_sample"]),
            figure(min((point[-1] for point in arm["curve"]), default=None)),
            figure(arm["peak_memory_gib"]),
        ]
        for arm in result["arms"]
    ]
    heads = ("to_target", "with_setup", "samples_to", "samples", "tokens_a_sample", "lowest", "memory")
    columns = [(say("column.arm"), False), (say("column.reached"), False), *((say(f"column.{k}"), True) for k in heads)]
    return [Table(say("table.recipe"), columns, rows)]


def _planner(result: dict[str, Any]) -> list[Table]:
    rows: list[list[Cell]] = [
        [
            str(case["model"]).rsplit("/", 1)[-1],
            shape_name(case),
            str(case["engine"]),
            figure(case["planned_gib"]),
            figure(case["allocated_gib"]) if case["status"] == "ok" else status_of(case),
            signed(case["error"]),
            figure(case["reserved_gib"]),
            figure(case["expected_gib"]),
            figure(case["gate_gib"]),
            say(f"plan.{case['verdict']}") if case["verdict"] else "–",
        ]
        for case in result["arms"]
    ]
    words = ("model", "shape", "arm")
    heads = ("planned", "allocated", "error", "reserved", "expected", "gate")
    columns = [*((say(f"column.{k}"), False) for k in words), *((say(f"column.{k}"), True) for k in heads)]
    return [Table(say("table.planner"), [*columns, (say("column.plan_says"), False)], rows)]


def _rows(result: dict[str, Any]) -> list[Table]:
    first: list[list[Cell]] = [
        [
            say(MODES[mode]),
            f"{point['rows']:,}",
            f"{point['steps']:,}",
            *(
                [rate_cell(point["rates"][key]) for key in RATES]
                if point["rates"]
                else [status_of(point), *["–"] * (len(RATES) - 1)]
            ),
        ]
        for mode, points in by_mode(result).items()
        for point in points
    ]
    more: list[list[Cell]] = [
        [
            f"{point['rows']:,}",
            f"{point['steps']:,}",
            figure(point["epochs"]),
            f"{point['rows_trained']:,}",
            figure(point["eval_loss"]),
            figure(point["train_seconds"] / 60),
            figure(point["evaluate_seconds"] / 60),
            figure(point["peak_memory_gib"]),
        ]
        for point in sorted(result["arms"], key=lambda point: (point["rows"], point["steps"]))
        if point["rates"]
    ]
    heads = ("rows", "steps", "epochs", "rows_trained", "eval_loss", "train_minutes", "evaluate_minutes", "memory")
    columns = [(say("column.equal"), False), *((say(f"column.{k}"), True) for k in heads[:2])]
    main = Table(say("table.rows"), [*columns, *((say(phrase), True) for phrase in RATES.values())], first)
    return [main, Table(say("table.more"), [(say(f"column.{k}"), True) for k in heads], more)]


def by_mode(result: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Mode → the points of `benchmarks rows` that stand for it, by rows; one may stand for both."""
    points = sorted(result["arms"], key=lambda point: point["rows"])
    found = {mode: [point for point in points if mode in point["modes"]] for mode in MODES}
    return {mode: mine for mode, mine in found.items() if mine}


def rate_cell(rate: dict[str, Any]) -> str:
    """A rate with its interval, where it has one: 88.4% (84–92)."""
    if rate["value"] is None:
        return "–"
    interval = f" ({100 * rate['low']:.0f}–{100 * rate['high']:.0f})" if rate["low"] is not None else ""
    return f"{100 * rate['value']:.1f}%{interval}"


_TABLES = {
    "train": _train,
    "length": _length,
    "recipe": _recipe,
    "rows": _rows,
    "planner": _planner,
}
