"""A result as one PNG that is readable in a paper and in a chat: speed, memory, and whether the arms learn the same."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.report.charts import as_repeats, colours, curve, is_promised, misses, not_reached, peaks, rates_by_rows
from benchmarks.report.numbers import figure, signed, times
from benchmarks.report.tables import MODES, RATES, Cell, median, memory_key, shape_name, status_of
from benchmarks.report.verdict import verdict
from benchmarks.report.words import render, say
from tooltune.files import atomic_write, dump_json
from tooltune.page.picture import BAD, INK, PAPER, RULE, SOFT, hangul_fonts
from tooltune.page.text import short

COLOURS = ("#d08a1d", "#17617f", "#9b4f8d", "#2c7752", "#6d8ad8", "#6b7780")
"""As on the page; blue and ochre stay apart for every kind of colour vision, and lines differ in dash as well."""

DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 1)))


def write_picture(path: Path, result: dict[str, Any]) -> None:
    """Draw the result, in English, 10 inches wide at 160 dpi, as high as its bars need."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {
        "font.family": ["DejaVu Sans", *(hangul_fonts() if re.search("[가-힣]", dump_json(result)) else [])],
        "font.size": 9.5,
        "axes.unicode_minus": True,
        "text.color": INK,
        "axes.edgecolor": RULE,
        "xtick.color": SOFT,
        "ytick.color": SOFT,
        "text.parse_math": False,  # a name with dollar signs is a name
    }
    with mpl.rc_context(style):
        picture = Figure(figsize=(10, max(5.2, 2 + 0.55 * _bar_count(result))), facecolor=PAPER)
        _DRAW[result["kind"]](picture, result)
        _head(picture, result)
        with atomic_write(path, "wb") as f:
            picture.savefig(f, format="png", dpi=160)


def _bar_count(result: dict[str, Any]) -> int:
    """Bars in the longest panel."""
    if result["kind"] == "rows":
        return 0
    if result["kind"] == "train":
        return sum(len(shape["arms"]) for shape in result["shapes"])
    return -(-len(result["arms"]) // 2) if result["kind"] == "parse" else len(result["arms"])


def _frame(picture: Any) -> dict[str, float]:
    """Where the panels lie: the head and the foot take the same room in a picture of any height."""
    high = picture.get_figheight()
    return {"left": 0.03, "right": 0.97, "top": 1 - 1.04 / high, "bottom": 0.78 / high}


def _head(picture: Any, result: dict[str, Any]) -> None:
    top, high = verdict(result), picture.get_figheight()
    picture.text(0.03, 1 - 0.31 / high, _clip(top.headline.text("en"), 90), fontsize=14, weight="bold", va="center",
                 color=BAD if top.tone == "bad" else INK)  # fmt: skip
    labels = [] if result["complete"] else ["incomplete"]
    if result["emulated"]:
        labels.append(f"emulated budget of {result['budget_gib']} GiB: not the speed of such a card")
    if any(arm["different_batches"] for shape in result.get("shapes", []) for arm in shape["arms"]):
        labels.append("* on different batches")
    packages = result["environment"]["packages"]
    versions = [f"{name} {packages[name]}" for name in ("torch", "transformers", "trl", "unsloth") if name in packages]
    foot = " · ".join([_clip(short(result["device"]["name"]), 60), _clip(short(result["date"]), 20), *versions])
    picture.text(0.03, 1 - 0.6 / high, " · ".join(labels), fontsize=10, color=COLOURS[0], weight="bold", va="center")
    picture.text(0.03, 0.18 / high, _clip(foot, 150), fontsize=8, color=SOFT, va="center")
    if not result["valid"]:
        picture.text(0.5, 0.45, "INVALID", fontsize=92, color=BAD, alpha=0.22, weight="bold", ha="center",
                     va="center", rotation=18, zorder=10)  # fmt: skip


def _train(picture: Any, result: dict[str, Any]) -> None:
    compared = next((shape for shape in result["shapes"] if shape["parity"]), None)
    grid = picture.add_gridspec(
        2, 3 if compared else 2, **_frame(picture), wspace=0.42, hspace=0.28,
        height_ratios=[3, 1], width_ratios=[1, 1, 1.1] if compared else None,
    )  # fmt: skip
    rows = [(shape, arm) for shape in result["shapes"] for arm in shape["arms"]]
    colour = colours(list(dict.fromkeys(arm["arm"] for _, arm in rows)))
    memory = memory_key(result)
    named = "Peak RSS, GiB" if memory == "peak_rss_gib" else "Peak reserved memory, GiB"
    many = len(result["shapes"]) > 1

    def name(row: tuple[dict[str, Any], dict[str, Any]]) -> str:
        shape, arm = row
        named = short(arm["arm"]) + ("*" if arm["different_batches"] else "")
        return _clip(f"{_text(shape_name(shape))} · {named}" if many else named, 36)

    for column, (key, title) in enumerate((("samples_per_second", "Samples/s, steady state"), (memory, named))):
        axes = picture.add_subplot(grid[:, column])
        bars = [(name(row), colour[row[1]["arm"]], row[1]) for row in rows]
        _bars(axes, bars, key, title, compared=result["valid"] and not many)
        if key == memory and result["budget_gib"]:
            axes.axvline(result["budget_gib"], color=BAD, linestyle="--", linewidth=1.2)
    if compared:
        _losses(picture.add_subplot(grid[0, 2]), picture.add_subplot(grid[1, 2]), compared, colour)


def _bars(axes: Any, rows: list[tuple[str, int, dict[str, Any]]], key: str, title: str, *, compared: bool) -> None:
    """Horizontal bars of the medians, the repeats as dots, the figure beside them; names stand above their bars."""
    values = [median(arm, key) for _, _, arm in rows]
    tops = [run[key] for _, _, arm in rows for run in arm["runs"] if run.get(key) is not None]
    widest = max([*tops, *(v for v in values if v is not None)], default=1.0)
    for i, ((name, colour, arm), value) in enumerate(zip(rows, values, strict=True)):
        axes.text(0, i - 0.3, name, va="bottom", color=INK)
        if value is None:
            missing = arm.get("missing") or ("–" if arm.get("status", "ok") == "ok" else status_of(arm))
            axes.text(0, i, _text(missing), va="center", color=BAD)
            continue
        axes.barh(i, value, height=0.3 if len(rows) < 4 else 0.42, color=COLOURS[colour], alpha=0.9)
        repeats = [run[key] for run in arm["runs"] if run.get(key) is not None]
        if len(repeats) > 1:
            axes.scatter(repeats, [i] * len(repeats), s=16, facecolor="white", edgecolor=COLOURS[colour], zorder=3)
        like = compared and i and values[0] and not arm.get("different_batches")
        ratio = f"  {times(value / values[0])}×" if like and values[0] else ""
        text = axes.text(max([value, *repeats]) + widest * 0.03, i, figure(value) + ratio, va="center", weight="bold")
        text.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 1})  # clear of a budget's line
    axes.set(xlim=(0, widest * 1.38), ylim=(len(rows) - 0.55, -0.85), yticks=[])
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_title(title, loc="left", fontsize=10.5, weight="bold")
    _plain(axes)


def _losses(upper: Any, lower: Any, shape: dict[str, Any], colour: dict[str, int]) -> None:
    first = {
        arm["arm"]: run["losses"]
        for arm in shape["arms"]
        if not arm["different_batches"]
        and (run := next((r for r in arm["runs"] if r["status"] == "ok" and r.get("losses")), None))
    }
    for name, losses in first.items():
        c = colour[name]
        upper.plot(range(1, len(losses) + 1), losses, color=COLOURS[c], linestyle=DASHES[c], linewidth=1.8,
                   label=_clip(short(name), 24))  # fmt: skip
    upper.set_title(f"Losses, {_text(shape_name(shape))}", loc="left", fontsize=10.5, weight="bold")
    upper.legend(frameon=False, fontsize=9)
    upper.tick_params(labelbottom=False)
    limit = max((row["limit"] for row in shape["parity"]), default=0.0)
    lower.axhspan(-limit, limit, color=SOFT, alpha=0.14, linewidth=0)
    for row in shape["parity"]:
        if row["arm"] in first and row["against"] in first:
            pairs = zip(first[row["arm"]], first[row["against"]], strict=False)
            apart = [a - b if math.isfinite(a - b) else math.nan for a, b in pairs]
            lower.plot(range(1, len(apart) + 1), apart, color=COLOURS[colour[row["arm"]]], linewidth=1.5)
    lower.set_xlabel("step", color=SOFT)
    lower.set_title(f"difference; ±{limit:g} allowed", loc="left", fontsize=9, color=SOFT, pad=3)
    for axes in (upper, lower):
        _plain(axes)
        axes.grid(axis="y", color=RULE, linewidth=0.8)


def _length(picture: Any, result: dict[str, Any]) -> None:
    left, right = picture.subplots(1, 2, gridspec_kw=_frame(picture) | {"wspace": 0.18})
    colour = colours([arm["arm"] for arm in result["arms"]])
    rows = [(_clip(short(arm["arm"]), 30), colour[arm["arm"]], as_repeats(arm, ("longest",))) for arm in result["arms"]]
    _bars(left, rows, "longest", "Longest sequence, tokens", compared=True)
    top = max([peak for arm in result["arms"] for _, peak in peaks(arm, result)] + [result["budget_gib"]]) * 1.08
    for arm in result["arms"]:
        if done := peaks(arm, result):
            _line(right, done, colour[arm["arm"]], arm["arm"])
        failed = misses(arm)
        right.scatter(failed, [top] * len(failed), marker="x", color=COLOURS[colour[arm["arm"]]])
    _lined(right, "Peak memory by length, GiB (×: did not fit)", "tokens", result["budget_gib"])


def _recipe(picture: Any, result: dict[str, Any]) -> None:
    left, right = picture.subplots(1, 2, gridspec_kw=_frame(picture) | {"wspace": 0.18})
    colour = colours([arm["arm"] for arm in result["arms"]])
    rows = [
        (
            _clip(short(arm["arm"]), 30),
            colour[arm["arm"]],
            as_repeats(arm, ("seconds_to_target",)) | {"missing": not_reached(arm)},
        )
        for arm in result["arms"]
    ]
    _bars(left, rows, "seconds_to_target", f"Seconds to loss {figure(result['target_loss'])}", compared=True)
    for arm in result["arms"]:
        if points := curve(arm):
            _line(right, points, colour[arm["arm"]], arm["arm"])
    _lined(right, "Validation loss over time", "seconds", result["target_loss"])


def _rows(picture: Any, result: dict[str, Any]) -> None:
    """Accuracy by rows: a line a mode within the band of its intervals."""
    panels = picture.subplots(1, 3, gridspec_kw=_frame(picture) | {"left": 0.045, "wspace": 0.2})
    for axes, key in zip(panels, ("tool_name_accuracy", "must_call_exact", "abstention"), strict=True):
        found = rates_by_rows(result, key)
        for colour, (mode, rates) in enumerate(found.items()):
            if not rates:
                continue
            low, high = ([100 * rate[end] for _, rate in rates] for end in ("low", "high"))
            at = [rows for rows, _ in rates]
            axes.fill_between(at, low, high, color=COLOURS[colour], alpha=0.16, linewidth=0)
            _line(axes, [(rows, 100 * rate["value"]) for rows, rate in rates], colour, _text(say(MODES[mode])))
        _lined(axes, f"{_text(say(RATES[key]))}, %", "training rows (log)", None)
        sizes = sorted({rows for rates in found.values() for rows, _ in rates}) or [1]
        axes.set_xscale("log", base=2)
        axes.set(xlim=(sizes[0] / 1.15, sizes[-1] * 1.15), ylim=(0, 100))
        axes.set_xticks(sizes, [f"{rows:,}" for rows in sizes])
        axes.minorticks_off()


def _generate(picture: Any, result: dict[str, Any]) -> None:
    left, right = picture.subplots(1, 2, gridspec_kw=_frame(picture) | {"wspace": 0.18})
    rows = [
        ("one by one" if arm["batch"] == 1 else f"batches of {arm['batch']}", int(arm["batch"] > 1), arm)
        for arm in result["arms"]
    ]
    _bars(left, rows, "samples_per_second", "Samples/s", compared=True)
    _bars(right, rows, "tokens_per_second", "New tokens/s", compared=True)


def _parse(picture: Any, result: dict[str, Any]) -> None:
    half = -(-len(result["arms"]) // 2)
    top = max(arm["summary"]["outputs_per_second"]["high"] for arm in result["arms"])
    panels = zip(
        picture.subplots(1, 2, gridspec_kw=_frame(picture) | {"wspace": 0.18}),
        (result["arms"][:half], result["arms"][half:]),
        strict=True,
    )
    for axes, arms in panels:
        rows = [(_clip(short(arm["arm"]), 30), int(is_promised(arm["arm"], result)), arm) for arm in arms]
        _bars(axes, rows, "outputs_per_second", "Outputs/s on one core", compared=False)
        axes.set_xlim(0, top * 1.25)
        if result["promise"]:
            axes.axvline(result["promise"]["outputs_per_second"], color=BAD, linestyle="--", linewidth=1.2)


def _planner(picture: Any, result: dict[str, Any]) -> None:
    axes = picture.subplots(1, 1, gridspec_kw=_frame(picture))
    cases = result["arms"]
    colour = colours([case["engine"] for case in cases])
    widest = max([case[key] or 0 for case in cases for key in ("planned_gib", "allocated_gib")], default=1)
    for i, case in enumerate(cases):
        c = COLOURS[colour[case["engine"]]]
        axes.text(0, i - 0.3, _clip(short(case["arm"]), 70), va="bottom", color=INK)
        if case["allocated_gib"]:
            axes.barh(i, case["allocated_gib"], height=0.42, color=c, alpha=0.9)
        axes.plot([case["planned_gib"]] * 2, [i - 0.26, i + 0.26], color=INK, linewidth=2)
        said = f"{figure(case['allocated_gib'])}  {signed(case['error'])}" if case["allocated_gib"] else ""
        text = said or _text(status_of(case))
        place = max(case["planned_gib"], case["allocated_gib"] or 0) + widest * 0.02
        axes.text(place, i, text, va="center", weight="bold", color=INK if said else BAD)
    axes.set(xlim=(0, widest * 1.2), ylim=(len(cases) - 0.55, -0.85), yticks=[])
    axes.set_title("Peak allocated memory, GiB; the mark is the plan", loc="left", fontsize=10.5, weight="bold")
    if result["budget_gib"]:
        axes.axvline(result["budget_gib"], color=BAD, linestyle="--", linewidth=1.2)
    _plain(axes)


def _line(axes: Any, points: list[tuple[float, float]], colour: int, name: str) -> None:
    axes.plot(
        *zip(*points, strict=True),
        color=COLOURS[colour],
        linestyle=DASHES[colour],
        marker="o",
        markersize=4,
        label=_clip(short(name), 24),
    )


def _lined(axes: Any, title: str, across: str, level: float | None) -> None:
    if level:
        axes.axhline(level, color=BAD, linestyle="--", linewidth=1.2)
    axes.set(xlabel=across, xlim=(0, None), ylim=(0, None))
    axes.set_title(title, loc="left", fontsize=10.5, weight="bold")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    _plain(axes)


def _plain(axes: Any) -> None:
    axes.set_facecolor(PAPER)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)


def _text(cell: Cell) -> str:
    return render(cell, "en", short)


def _clip(text: str, most: int) -> str:
    flat = text.replace("\n", " ") if len(text) > most else text
    return flat if len(flat) <= most else flat[: most - 1] + "…"


_DRAW: dict[str, Callable[[Any, dict[str, Any]], None]] = {
    "train": _train,
    "length": _length,
    "generate": _generate,
    "parse": _parse,
    "recipe": _recipe,
    "rows": _rows,
    "planner": _planner,
}
