"""The charts of a result, for the page."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.report.geometry import Bar, Bars, Lines, Series, lines
from benchmarks.report.numbers import figure, signed, times
from benchmarks.report.tables import (
    MODES,
    RATES,
    Cell,
    arm_name,
    by_mode,
    longest_of,
    median,
    memory_key,
    shape_name,
    status_of,
    summary_of,
)
from benchmarks.report.words import Phrase, say

KNOWN = {
    "hf-trainer": 0,
    "plain-hf": 0,
    "unsloth": 1,
    "preset": 1,
    "plain-hf literal": 2,
    "hf": 2,
    "hf-trainer+compile": 2,
    "hf+liger": 3,
    "unsloth+compile": 3,
    "unsloth+prefix": 4,
}
"""An arm keeps its colour from page to page; two have the same only where no device runs both."""

COLOURS = 6


@dataclass(frozen=True)
class Group:
    """Charts that belong together: a shape's, or the whole result's. `columns` are line charts, one below the other."""

    name: Cell | None
    bars: list[Bars]
    columns: list[list[Lines]]
    note: Phrase | None = None


def groups(result: dict[str, Any]) -> list[Group]:
    """The charts of a result."""
    return _CHARTS[result["kind"]](result)


def colours(names: list[str]) -> dict[str, int]:
    """Each arm's colour number; unknown arms get the free ones in their order."""
    free = [i for i in range(COLOURS) if i not in {KNOWN[n] for n in names if n in KNOWN}] or [COLOURS - 1]
    unknown = [name for name in names if name not in KNOWN]
    return {name: KNOWN[name] if name in KNOWN else free[unknown.index(name) % len(free)] for name in names}


def _train(result: dict[str, Any]) -> list[Group]:
    memory, valid = memory_key(result), result["valid"]
    found = []
    for shape in result["shapes"]:
        budget = result["budget_gib"]
        what = say("chart.memory.budget", budget=budget) if budget else say("chart.memory.what")
        title = say("chart.memory.rss" if memory == "peak_rss_gib" else "chart.memory.reserved")
        bars = [
            _bars(shape["arms"], "samples_per_second", say("chart.samples"), say("chart.samples.what"), compared=valid),
            _bars(
                shape["arms"],
                "train_samples_per_second",
                say("chart.trainer"),
                say("chart.trainer.what"),
                compared=valid,
            ),
            _bars(shape["arms"], memory, title, what, rule=budget, compared=valid),
            _bars(shape["arms"], "time_to_first_step_s", say("chart.first"), say("chart.first.what"), compared=valid),
        ]
        found.append(
            Group(
                shape_name(shape),
                bars,
                [c for c in (_losses(shape), _step_times(shape, result["settings"]["warmup_steps"])) if c],
                say("chart.two_rates"),
            )
        )
    return found


def _bars(
    arms: list[dict[str, Any]],
    key: str,
    title: Phrase,
    what: Phrase,
    *,
    rule: float | None = None,
    name: Callable[[dict[str, Any]], Cell] = arm_name,
    compared: bool = True,
) -> Bars:
    colour = colours([arm["arm"] for arm in arms])
    tops = [s["high"] for arm in arms if (s := summary_of(arm, key))] + ([rule] if rule else [])
    scale = 100 / (max(tops, default=1) * 1.04 or 1)
    first = median(arms[0], key) if arms else None
    rows = []
    for arm in arms:
        value = median(arm, key)
        repeats = [run[key] for run in arm["runs"] if run.get(key) is not None]
        like = compared and arm is not arms[0] and not arm.get("different_batches")
        ratio = f"{times(value / first)}×" if like and value and first else ""
        missing: Cell = "–" if arm.get("status", "ok") == "ok" else status_of(arm)
        rows.append(
            Bar(
                name=name(arm),
                colour=colour[arm["arm"]],
                width=None if value is None else round(value * scale, 2),
                dots=[round(v * scale, 2) for v in repeats] if len(repeats) > 1 else [],
                text=missing if value is None else figure(value),
                ratio=ratio,
            )
        )
    return Bars(title, what, rows, round(rule * scale, 2) if rule else None)


def _losses(shape: dict[str, Any]) -> list[Lines]:
    """The arms' losses over one another (the first repeat that ended well), and below their differences."""
    first = {arm["arm"]: run for arm in shape["arms"] if (run := _first_run(arm)) and not arm["different_batches"]}
    if not first:
        return []
    colour = colours([arm["arm"] for arm in shape["arms"]])
    series = [
        Series(colour[name], [(i, v) for i, v in enumerate(run["losses"], 1) if math.isfinite(v)], name)
        for name, run in first.items()
    ]
    last = max(len(run["losses"]) for run in first.values())
    top = max((v for s in series for _, v in s.points), default=1.0)
    found = [
        lines(
            say("chart.losses"),
            say("chart.losses.what"),
            say("chart.step"),
            series,
            x=(1, last),
            y=(0, top * 1.05),
        )
    ]
    rows = [row for row in shape["parity"] if row["arm"] in first and row["against"] in first]
    if rows:
        against, limit, steps = rows[0]["against"], rows[0]["limit"], rows[0]["steps"]
        apart = []
        for row in rows:
            pairs = zip(first[row["arm"]]["losses"], first[row["against"]]["losses"], strict=False)
            points = [(i, a - b) for i, (a, b) in enumerate(pairs, 1) if math.isfinite(a - b)]
            apart.append(Series(colour[row["arm"]], points, row["arm"]))
        widest = max([abs(v) for s in apart for _, v in s.points] + [limit]) * 1.25
        found.append(
            lines(
                say("chart.difference", against=against),
                say("chart.difference.what", steps=steps, limit=f"{limit:g}"),
                say("chart.step"),
                apart,
                x=(1, last),
                y=(-widest, widest),
                height=120,
                shade_y=(-limit, limit),
            )
        )
    return found


def _step_times(shape: dict[str, Any], warmup: int) -> list[Lines]:
    """Seconds of each step of each repeat. The top is set by the steady state; what lies beyond it is written out."""
    colour = colours([arm["arm"] for arm in shape["arms"]])
    series: list[Series] = []
    steady: list[float] = []
    slow: list[str] = []
    for arm in shape["arms"]:
        for run in arm["runs"]:
            seconds = run.get("step_seconds") or []
            steady += seconds[warmup:]
            series.append(Series(colour[arm["arm"]], list(enumerate(seconds, 1)), arm["arm"], thin=True))
    series = [s for s in series if s.points]
    if not series:
        return []
    top = max(steady or [v for s in series for _, v in s.points]) * 1.25
    for s in series:
        slow += [f"{s.name} {figure(v)}" for _, v in s.points if v > top]
    beyond = say("chart.steps.beyond", values=", ".join(slow[:8]) + (" …" if len(slow) > 8 else "")) if slow else None
    last = max(x for s in series for x, _ in s.points)
    return [
        lines(
            say("chart.steps"),
            say("chart.steps.what"),
            say("chart.step"),
            series,
            x=(1, last),
            y=(0, top),
            height=260,
            shade_x=(1, warmup + 0.5),
            note=beyond,
        )
    ]


def _first_run(arm: dict[str, Any]) -> dict[str, Any] | None:
    return next((run for run in arm["runs"] if run["status"] == "ok" and run.get("losses")), None)


def _length(result: dict[str, Any]) -> list[Group]:
    arms = [arm for arm in result["arms"] if arm["tried"]]
    colour = colours([arm["arm"] for arm in result["arms"]])
    budget = result["budget_gib"]
    top = max([peak for arm in arms for _, peak in peaks(arm, result)] + [budget]) * 1.1
    series = [Series(colour[arm["arm"]], peaks(arm, result), arm["arm"], "dot") for arm in arms]
    failed = [Series(colour[arm["arm"]], [(n, top) for n in misses(arm)], "", "x") for arm in arms]
    chart = lines(
        say("chart.length"),
        say("chart.length.what", budget=budget),
        say("chart.tokens"),
        [*series, *failed],
        x=(0, max((t["length"] for arm in arms for t in arm["tried"]), default=1)),
        y=(0, top),
        rule=budget,
    )
    title = say("chart.longest")
    bars = _bars([as_repeats(arm, ("longest",)) for arm in result["arms"]], "longest", title, say("chart.longest.what"))
    rows = [replace(row, text=longest_of(arm)) for row, arm in zip(bars.rows, result["arms"], strict=True)]
    return [Group(None, [replace(bars, rows=rows)], [[chart]] if arms else [])]


def peaks(arm: dict[str, Any], result: dict[str, Any]) -> list[tuple[float, float]]:
    """(tokens, peak memory in GiB) of each length that fitted."""
    key = memory_key(result)
    return sorted((t["length"], t[key]) for t in arm["tried"] if t["status"] == "ok" and t[key] is not None)


def misses(arm: dict[str, Any]) -> list[int]:
    """The lengths that did not fit."""
    return sorted(t["length"] for t in arm["tried"] if t["status"] != "ok")


def _generate(result: dict[str, Any]) -> list[Group]:
    def name(arm: dict[str, Any]) -> Phrase:
        return say("arm.batch", n=arm["batch"]) if arm["batch"] > 1 else say("arm.single")

    arms = [arm | {"arm": "preset" if arm["batch"] > 1 else "hf-trainer"} for arm in result["arms"]]
    bars = [
        _bars(arms, "samples_per_second", say("chart.generate"), say("chart.generate.what"), name=name),
        _bars(arms, "tokens_per_second", say("chart.new_tokens"), say("chart.new_tokens.what"), name=name),
    ]
    if any(summary_of(arm, memory_key(result)) for arm in arms):
        title = say("chart.memory.reserved")
        bars.append(_bars(arms, memory_key(result), title, say("chart.memory.what"), name=name))
    return [Group(None, bars, [])]


def _parse(result: dict[str, Any]) -> list[Group]:
    promise = result["promise"]
    what = say("chart.parse.what", promise=f"{promise['outputs_per_second']:,}") if promise else say("chart.parse.any")
    rule = promise["outputs_per_second"] if promise else None
    chart = _bars(result["arms"], "outputs_per_second", say("chart.parse"), what, rule=rule, compared=False)
    rows = [replace(row, colour=int(is_promised(str(row.name), result))) for row in chart.rows]
    return [Group(None, [replace(chart, rows=rows)], [])]


def is_promised(arm: str, result: dict[str, Any]) -> bool:
    """Whether this arm is of the family that a speed is promised for."""
    return bool(result["promise"]) and arm.split(",")[0] == result["promise"]["family"]


def _recipe(result: dict[str, Any]) -> list[Group]:
    arms, target = result["arms"], result["target_loss"]
    colour = colours([arm["arm"] for arm in arms])
    series = [Series(colour[arm["arm"]], curve(arm), arm["arm"], "dot") for arm in arms]
    points = [p for s in series for p in s.points]
    if not points:
        return []
    chart = lines(
        say("chart.curve"),
        say("chart.curve.what", target=figure(target)) if target is not None else say("chart.curve.no_target"),
        say("chart.seconds"),
        series,
        x=(0, max(x for x, _ in points)),
        y=(0, max(y for _, y in points) * 1.05),
        rule=target,
    )
    known = [as_repeats(arm, ("seconds_to_target",)) for arm in arms]
    bars = _bars(known, "seconds_to_target", say("chart.to_target"), say("chart.to_target.what"))
    rows = [replace(row, text=not_reached(arm) or row.text) for row, arm in zip(bars.rows, arms, strict=True)]
    return [Group(None, [replace(bars, rows=rows)], [[chart]])]


def not_reached(arm: dict[str, Any]) -> Phrase | None:
    """What stands for the bar of a recipe's arm that trained and did not reach the target; None for any other."""
    if arm["status"] != "ok" or arm["seconds_to_target"] is not None or not arm.get("seconds"):
        return None
    return say("cell.not_reached_in", seconds=f"{arm['seconds']:,.0f}")


def curve(arm: dict[str, Any]) -> list[tuple[float, float]]:
    """(seconds of training, validation loss) of a recipe's arm."""
    return [(point[0], point[-1]) for point in arm["curve"]]


def as_repeats(arm: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """An arm whose figures were measured once, in the form of an arm with repeats."""
    summary = {key: {"median": arm[key], "low": arm[key], "high": arm[key]} for key in keys}
    return {"arm": arm["arm"], "status": arm.get("status", "ok"), "runs": [], "summary": summary}


def _planner(result: dict[str, Any]) -> list[Group]:
    """A group a model: bars are what was allocated, dots what was planned."""
    budget, found = result["budget_gib"], []
    for model in dict.fromkeys(case["model"] for case in result["arms"]):
        cases = [case for case in result["arms"] if case["model"] == model]
        colour = colours([case["engine"] for case in cases])
        sizes = [case[key] or 0 for case in cases for key in ("planned_gib", "allocated_gib")]
        scale = 100 / (max([*sizes, budget or 0]) * 1.04)
        rows = [
            Bar(
                name=f"{shape_name(case)}, {case['engine']}",
                colour=colour[case["engine"]],
                width=round(case["allocated_gib"] * scale, 2) if case["allocated_gib"] else None,
                dots=[round(case["planned_gib"] * scale, 2)],
                text=figure(case["allocated_gib"]) if case["status"] == "ok" else status_of(case),
                ratio=signed(case["error"]) if case["error"] is not None else "",
            )
            for case in cases
        ]
        rule = round(budget * scale, 2) if budget else None
        chart = Bars(say("chart.planner"), say("chart.planner.what"), rows, rule)
        found.append(Group(str(model).rsplit("/", 1)[-1], [chart], []))
    return found


def _rows(result: dict[str, Any]) -> list[Group]:
    sizes = [point["rows"] for point in result["arms"] if point["rates"]]
    if not sizes:
        return []
    charts = [
        lines(
            say(RATES[key]),
            say("chart.rows.what") if key != "balanced" else say("chart.rows.balanced"),
            say("chart.rows.across"),
            _rate_series(result, key),
            x=(min(sizes), max(sizes)),
            y=(0, 100),
            log=True,
        )
        for key in ("tool_name_accuracy", "must_call_exact", "abstention", "balanced")
    ]
    return [Group(None, [], [charts[:2], charts[2:]])]


def _rate_series(result: dict[str, Any], key: str) -> list[Series]:
    """A line a mode, and the ends of its intervals as thin ones."""
    found = []
    for colour, (mode, rates) in enumerate(rates_by_rows(result, key).items()):
        for end in ("low", "high"):
            found.append(Series(colour, [(n, 100 * r[end]) for n, r in rates if r[end] is not None], thin=True))
        found.append(Series(colour, [(n, 100 * r["value"]) for n, r in rates], say(MODES[mode]), "dot"))
    return found


def rates_by_rows(result: dict[str, Any], key: str) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """Mode → (rows, rate with its interval) of each point of `benchmarks rows` that has this rate."""
    return {
        mode: [(p["rows"], p["rates"][key]) for p in points if p["rates"] and p["rates"][key]["value"] is not None]
        for mode, points in by_mode(result).items()
    }


_CHARTS: dict[str, Callable[[dict[str, Any]], list[Group]]] = {
    "train": _train,
    "length": _length,
    "generate": _generate,
    "parse": _parse,
    "recipe": _recipe,
    "rows": _rows,
    "planner": _planner,
}
