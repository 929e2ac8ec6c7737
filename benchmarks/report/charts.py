"""The charts of a result as data: bars, and curves of `tooltune.page.curves`. Page and picture draw the same."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
from benchmarks.report.words import say
from tooltune.page.curves import Band, Curve, CurvePanel, Level, Line, Region
from tooltune.page.text import short
from tooltune.words import LANGUAGES, Phrase, in_language

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
class Bar:
    """One arm in a bar chart.

    Attributes:
        colour: number of the arm's colour.
        value: its length; None where there is no figure.
        text: the figure, or how the arm ended.
        ratio: the figure against the first arm's, for example "1.57×"; empty for the first.
    """

    name: Cell
    colour: int
    value: float | None
    dots: list[float]
    text: Cell
    ratio: str = ""


@dataclass(frozen=True)
class Bars:
    """A bar chart.

    Attributes:
        top: the value that the chart ends at.
        rule: a vertical line: a budget.
        pictured: the picture shows it, too.
    """

    title: Phrase
    what: Phrase
    rows: list[Bar]
    top: float
    rule: float | None = None
    pictured: bool = True

    def percent(self, value: float) -> float:
        """The value in percent of the chart's width."""
        return round(100 * value / self.top, 2)


@dataclass(frozen=True)
class LineChart:
    """A curve with what stands around it; its names are those of `curve_words`."""

    title: Phrase
    what: Phrase
    curve: Curve
    note: Phrase | None = None
    pictured: bool = True


@dataclass(frozen=True)
class ChartGroup:
    """Charts that belong together: a shape's, or the whole result's. `columns` are line charts, one below the other."""

    name: Cell | None
    bars: list[Bars]
    columns: list[list[LineChart]]
    note: Phrase | None = None


def groups(result: dict[str, Any]) -> list[ChartGroup]:
    return _CHARTS[result["kind"]](result)


def curve_words(result: dict[str, Any]) -> dict[str, list[str]]:
    """What is written into the curves, by the keys that `tooltune.page` asks for: [Korean, English]."""
    arms = [arm for shape in result.get("shapes", []) for arm in shape["arms"]] or result.get("arms", [])
    found: dict[str, Cell] = {f"line.{short(arm['arm'])}": str(arm["arm"]) for arm in arms}
    found |= {f"line.{mode}": say(phrase) for mode, phrase in MODES.items()}
    found |= {
        "panel.loss": "loss",
        "panel.difference": "",
        "panel.seconds": say("chart.seconds"),
        "panel.gib": "GiB",
        "panel.rate": "",
        "axis.step": say("chart.step"),
        "axis.tokens": say("chart.tokens"),
        "axis.seconds": say("chart.seconds"),
        "axis.rows": say("chart.rows.across"),
        "band.allowed": "",
        "region.warmup": "",
        "level.budget": say("chart.level.budget", value="{value}"),
        "level.target": say("chart.level.target", value="{value}"),
    }
    return {key: [in_language(cell, lang, short) for lang in LANGUAGES] for key, cell in found.items()}


def colours(names: list[str]) -> dict[str, int]:
    """Each arm's colour number; unknown arms get the free ones in their order."""
    free = [i for i in range(COLOURS) if i not in {KNOWN[n] for n in names if n in KNOWN}] or [COLOURS - 1]
    unknown = [name for name in names if name not in KNOWN]
    return {name: KNOWN[name] if name in KNOWN else free[unknown.index(name) % len(free)] for name in names}


def _line(key: str, colour: int, points: Sequence[tuple[float, float]], look: Any = "line") -> Line:
    """A line of an arm; every other colour is dashed, so that lines are told apart where they lie on one another."""
    dashed = colour % 2 == 1 and look != "thin"
    return Line(short(key), f"c{colour}", look, [x for x, _ in points], [y for _, y in points], dashed)


def _train(result: dict[str, Any]) -> list[ChartGroup]:
    memory, valid, budget = memory_key(result), result["valid"], result["budget_gib"]
    title = say("chart.memory.rss" if memory == "peak_rss_gib" else "chart.memory.reserved")
    what = say("chart.memory.budget", budget=budget) if budget else say("chart.memory.what")
    found = []
    for number, shape in enumerate(result["shapes"]):
        arms = shape["arms"]
        bars = [
            _bars(arms, "samples_per_second", say("chart.samples"), say("chart.samples.what"), compared=valid),
            _bars(arms, "train_samples_per_second", say("chart.trainer"), say("chart.trainer.what"), compared=valid),
            _bars(arms, memory, title, what, rule=budget, compared=valid),
            _bars(arms, "time_to_first_step_s", say("chart.first"), say("chart.first.what"), compared=valid),
        ]
        bars = [replace(chart, pictured=i in (0, 2)) for i, chart in enumerate(bars)]
        times_of_steps = _step_times(shape, result["settings"]["warmup_steps"], number)
        columns = [column for column in (_losses(shape, number), times_of_steps) if column]
        found.append(ChartGroup(shape_name(shape), bars, columns, say("chart.two_rates")))
    return found


def _bars(
    arms: list[dict[str, Any]],
    key: str,
    title: Phrase,
    what: Phrase,
    *,
    rule: float | None = None,
    compared: bool = True,
) -> Bars:
    colour = colours([arm["arm"] for arm in arms])
    tops = [s["high"] for arm in arms if (s := summary_of(arm, key))] + ([rule] if rule else [])
    first = median(arms[0], key) if arms else None
    rows = []
    for arm in arms:
        value = median(arm, key)
        repeats = [run[key] for run in arm["runs"] if run.get(key) is not None]
        like = compared and arm is not arms[0] and not arm.get("different_batches")
        missing: Cell = "–" if arm.get("status", "ok") == "ok" else status_of(arm)
        rows.append(
            Bar(
                name=arm_name(arm),
                colour=colour[arm["arm"]],
                value=value,
                dots=repeats if len(repeats) > 1 else [],
                text=missing if value is None else figure(value),
                ratio=f"{times(value / first)}×" if like and value and first else "",
            )
        )
    return Bars(title, what, rows, max(tops, default=1) * 1.04 or 1, rule)


def _losses(shape: dict[str, Any], number: int) -> list[LineChart]:
    """The arms' losses over one another (the first repeat that ended well), and below their differences."""
    first = {arm["arm"]: run for arm in shape["arms"] if (run := _first_run(arm)) and not arm["different_batches"]}
    if not first:
        return []
    colour = colours([arm["arm"] for arm in shape["arms"]])
    lines = [
        _line(name, colour[name], [(i, v) for i, v in enumerate(run["losses"], 1) if math.isfinite(v)])
        for name, run in first.items()
    ]
    losses = Curve(f"losses-{number}", "step", [CurvePanel("loss", "loss", lines)], height=290)
    found = [LineChart(say("chart.losses"), say("chart.losses.what"), losses)]
    rows = [row for row in shape["parity"] if row["arm"] in first and row["against"] in first]
    if rows:
        against, limit, steps = rows[0]["against"], rows[0]["limit"], rows[0]["steps"]
        apart = []
        for row in rows:
            pairs = zip(first[row["arm"]]["losses"], first[row["against"]]["losses"], strict=False)
            points = [(i, a - b) for i, (a, b) in enumerate(pairs, 1) if math.isfinite(a - b)]
            apart.append(_line(row["arm"], colour[row["arm"]], points))
        widest = max([abs(v) for line in apart for v in line.y if v is not None] + [limit]) * 1.25
        allowed = [Band("allowed", -limit, limit, "soft")]
        panel = CurvePanel("difference", "difference", apart, bands=allowed, low=-widest * 1.08, top=widest)
        what = say("chart.difference.what", steps=steps, limit=f"{limit:g}")
        difference = Curve(f"difference-{number}", "step", [panel], height=170)
        found.append(LineChart(say("chart.difference", against=against), what, difference))
    return found


def _step_times(shape: dict[str, Any], warmup: int, number: int) -> list[LineChart]:
    """Seconds of each step of each repeat. The top is set by the steady state; what lies beyond it is written out."""
    colour = colours([arm["arm"] for arm in shape["arms"]])
    every = [(arm["arm"], run.get("step_seconds")) for arm in shape["arms"] for run in arm["runs"]]
    runs = [(name, seconds) for name, seconds in every if seconds]
    if not runs:
        return []
    steady = [v for _, seconds in runs for v in seconds[warmup:]]
    top = max(steady or [v for _, seconds in runs for v in seconds]) * 1.25
    slow = [f"{name} {figure(v)}" for name, seconds in runs for v in seconds if v > top]
    beyond = say("chart.steps.beyond", values=", ".join(slow[:8]) + (" …" if len(slow) > 8 else "")) if slow else None
    lines = [_line(name, colour[name], list(enumerate(seconds, 1)), "thin") for name, seconds in runs]
    panel = CurvePanel("seconds", "seconds", lines, top=top)
    region = Region("warmup", 1, warmup + 0.5, "soft")
    curve = Curve(f"steps-{number}", "step", [panel], regions=[region])
    return [LineChart(say("chart.steps"), say("chart.steps.what"), curve, beyond, pictured=False)]


def _first_run(arm: dict[str, Any]) -> dict[str, Any] | None:
    return next((run for run in arm["runs"] if run["status"] == "ok" and run.get("losses")), None)


def _length(result: dict[str, Any]) -> list[ChartGroup]:
    arms, budget = [arm for arm in result["arms"] if arm["tried"]], result["budget_gib"]
    colour = colours([arm["arm"] for arm in result["arms"]])
    bars = _bars([_as_repeats(arm, "longest") for arm in result["arms"]], "longest", say("chart.longest"),
                 say("chart.longest.what"))  # fmt: skip
    rows = [replace(row, text=longest_of(arm)) for row, arm in zip(bars.rows, result["arms"], strict=True)]
    bars = replace(bars, rows=rows)
    if not arms:
        return [ChartGroup(None, [bars], [])]
    key = memory_key(result)
    lines = []
    for arm in arms:
        fitted = sorted((t["length"], t[key]) for t in arm["tried"] if t["status"] == "ok" and t[key] is not None)
        lines.append(_line(arm["arm"], colour[arm["arm"]], fitted, "points"))
    top = max([peak for line in lines for peak in line.y if peak is not None] + [budget]) * 1.1
    for arm in arms:
        misses = sorted(t["length"] for t in arm["tried"] if t["status"] != "ok")
        lines.append(_line(arm["arm"], colour[arm["arm"]], [(n, top) for n in misses], "crosses"))
    panel = CurvePanel("gib", "gib", [line for line in lines if line.x], [Level("budget", budget, "bad")], top=top)
    chart = LineChart(say("chart.length"), say("chart.length.what", budget=budget), Curve("length", "tokens", [panel]))
    return [ChartGroup(None, [bars], [[chart]])]


def _recipe(result: dict[str, Any]) -> list[ChartGroup]:
    arms, target = result["arms"], result["target_loss"]
    colour = colours([arm["arm"] for arm in arms])
    lines = [
        _line(arm["arm"], colour[arm["arm"]], [(point[0], point[-1]) for point in arm["curve"]], "points")
        for arm in arms
        if arm["curve"]
    ]
    if not lines:
        return []
    what = say("chart.curve.what", target=figure(target)) if target is not None else say("chart.curve.no_target")
    levels = [] if target is None else [Level("target", target, "bad")]
    curve = Curve("curve", "seconds", [CurvePanel("loss", "loss", lines, levels)])
    known = [_as_repeats(arm, "seconds_to_target") for arm in arms]
    bars = _bars(known, "seconds_to_target", say("chart.to_target"), say("chart.to_target.what"))
    rows = [replace(row, text=_not_reached(arm) or row.text) for row, arm in zip(bars.rows, arms, strict=True)]
    # Drawn alone, the bar of the arm that arrives would be as long as the chart, where shorter is better.
    top = max([bars.top, *(1.04 * arm["seconds"] for arm in arms if _not_reached(arm))])
    chart = LineChart(say("chart.curve"), what, curve)
    return [ChartGroup(None, [replace(bars, rows=rows, top=top)], [[chart]])]


def _not_reached(arm: dict[str, Any]) -> Phrase | None:
    """What stands for the bar of a recipe's arm that trained and did not reach the target; None for any other."""
    if arm["status"] != "ok" or arm["seconds_to_target"] is not None or not arm.get("seconds"):
        return None
    return say("cell.not_reached_in", seconds=f"{arm['seconds']:,.0f}")


def _as_repeats(arm: dict[str, Any], key: str) -> dict[str, Any]:
    """An arm whose figure was measured once, in the form of an arm with repeats."""
    summary = {key: {"median": arm[key], "low": arm[key], "high": arm[key]}}
    return {"arm": arm["arm"], "status": arm.get("status", "ok"), "runs": [], "summary": summary}


def _planner(result: dict[str, Any]) -> list[ChartGroup]:
    """A group a model: bars are what was allocated, dots what was planned."""
    budget, found = result["budget_gib"], []
    for model in dict.fromkeys(case["model"] for case in result["arms"]):
        cases = [case for case in result["arms"] if case["model"] == model]
        colour = colours([case["engine"] for case in cases])
        sizes = [case[key] or 0 for case in cases for key in ("planned_gib", "allocated_gib")]
        rows = [
            Bar(
                name=f"{shape_name(case)}, {case['engine']}",
                colour=colour[case["engine"]],
                value=case["allocated_gib"] or None,
                dots=[case["planned_gib"]],
                text=figure(case["allocated_gib"]) if case["status"] == "ok" else status_of(case),
                ratio=signed(case["error"]) if case["error"] is not None else "",
            )
            for case in cases
        ]
        chart = Bars(say("chart.planner"), say("chart.planner.what"), rows, max([*sizes, budget or 0]) * 1.04, budget)
        found.append(ChartGroup(str(model).rsplit("/", 1)[-1], [chart], []))
    return found


def _rows(result: dict[str, Any]) -> list[ChartGroup]:
    """Accuracy by rows: a line a mode, with the ends of its intervals behind it."""
    if not any(point["rates"] for point in result["arms"]):
        return []
    charts = [
        LineChart(
            say(RATES[key]),
            say("chart.rows.what") if key != "balanced" else say("chart.rows.balanced"),
            Curve(key, "rows", [CurvePanel("rate", "share", lines)], log=True),
        )
        for key in ("tool_name_accuracy", "must_call_exact", "abstention", "balanced")
        if (lines := _rate_lines(result, key))  # none of a rate that the data has no rows for
    ]
    return [ChartGroup(None, [], [column for column in (charts[:2], charts[2:]) if column])]


def _rate_lines(result: dict[str, Any], key: str) -> list[Line]:
    found = []
    for colour, (mode, points) in enumerate(by_mode(result).items()):
        rates = [(p["rows"], p["rates"][key]) for p in points if p["rates"] and p["rates"][key]["value"] is not None]
        for end in ("low", "high"):
            found.append(_line(mode, colour, [(n, r[end]) for n, r in rates if r[end] is not None], "faint"))
        found.append(_line(mode, colour, [(n, r["value"]) for n, r in rates], "points"))
    return [line for line in found if line.x]


_CHARTS: dict[str, Callable[[dict[str, Any]], list[ChartGroup]]] = {
    "train": _train,
    "length": _length,
    "recipe": _recipe,
    "rows": _rows,
    "planner": _planner,
}
