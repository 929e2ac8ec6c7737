"""A result as one PNG that is readable in a paper and in a chat: its charts, a row a group, with the verdict above."""

import re
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.report.charts import Bars, ChartGroup, LineChart, curve_words, groups
from benchmarks.report.tables import Cell
from benchmarks.report.verdict import verdict
from tooltune.files import atomic_write, dump_json
from tooltune.page.picture import BAD, INK, PAPER, RULE, SOFT, hangul_fonts
from tooltune.page.plots import COLOURS, Word, draw_panel, draw_places, plain_axes
from tooltune.page.text import short
from tooltune.words import Phrase, in_language

MANY = 12
"""Bars beyond which a chart is split in two."""

SLOT = 0.55
"""Inches of a bar and its name."""

HEAD, FOOT = 1.0, 0.5
"""Inches."""


def write_picture(path: Path, result: dict[str, Any], *, dpi: int = 160) -> None:
    """Draw the result, in English, 10 inches wide, as high as its charts need."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {
        "font.family": ["DejaVu Sans", *(hangul_fonts() if re.search("[가-힣]", dump_json(result)) else [])],
        "font.size": 9.5,
        "axes.unicode_minus": True,
        "text.color": INK,
        "axes.edgecolor": RULE,
        "text.parse_math": False,  # a name with dollar signs is a name
    }
    drawn = groups(result)
    heights = [_height(group) for group in drawn]
    with mpl.rc_context(style):
        high = max(3.0, HEAD + sum(heights) + FOOT)
        picture = Figure(figsize=(10, high), facecolor=PAPER)
        parts: Any = picture.subfigures(3, 1, height_ratios=[HEAD, high - HEAD - FOOT, FOOT])
        head, body, foot = parts
        _head(head, result)
        _foot(foot, result)
        _body(body, result, drawn, heights)
        if not result["valid"]:
            picture.text(0.5, 0.45, "INVALID", fontsize=92, color=BAD, alpha=0.22, weight="bold", ha="center",
                         va="center", rotation=18, zorder=10)  # fmt: skip
        with atomic_write(path, "wb") as f:
            picture.savefig(f, format="png", dpi=dpi)


def _height(group: ChartGroup) -> float:
    """Inches of a group's row."""
    bars = max((len(bars.rows) for chart in group.bars for bars in _halves(chart)), default=0)
    lines = max((sum(chart.pictured for chart in column) for column in group.columns), default=0)
    return max(1.2 + SLOT * bars, 1.9 + 1.3 * lines if lines else 0)


def _head(part: Any, result: dict[str, Any]) -> None:
    top = verdict(result)
    labels = [] if result["complete"] else ["incomplete"]
    if result["emulated"]:
        labels.append(f"emulated budget of {result['budget_gib']} GiB: not the speed of such a card")
    headline = "\n".join(textwrap.wrap(_clip(top.headline.text("en", short), 170), 90))
    part.text(0.03, 0.68, headline, fontsize=12, weight="bold", va="center", color=BAD if top.tone == "bad" else INK)
    part.text(0.03, 0.34, " · ".join(labels), fontsize=10, color=COLOURS["c0"], weight="bold", va="center")


def _foot(part: Any, result: dict[str, Any]) -> None:
    packages = result["environment"]["packages"]
    versions = [f"{name} {packages[name]}" for name in ("torch", "transformers", "trl", "unsloth") if name in packages]
    said = " · ".join([_clip(short(result["device"]["name"]), 60), _clip(short(result["date"]), 20), *versions])
    part.text(0.03, 0.4, _clip(said, 150), fontsize=8, color=SOFT, va="center")


def _body(part: Any, result: dict[str, Any], drawn: list[ChartGroup], heights: list[float]) -> None:
    words = curve_words(result)
    rows = part.subfigures(len(drawn), 1, height_ratios=heights, squeeze=False)[:, 0] if drawn else []
    for row, group, height in zip(rows, drawn, heights, strict=True):
        if group.name is not None and len(drawn) > 1:
            row.text(0.03, 1 - 0.12 / height, _clip(_text(group.name), 60), color=SOFT, fontsize=11, va="center")
        bars = [half for chart in group.bars if chart.pictured for half in _halves(chart)]
        columns = [column for charts in group.columns if (column := [chart for chart in charts if chart.pictured])]
        place = {
            "left": 0.03 if bars else 0.06,
            "right": 0.97,
            "top": 1 - 0.55 / height,
            "bottom": 0.4 / height,
            "wspace": 0.2,
        }
        grid = row.add_gridspec(1, len(bars) + len(columns), **place)
        for i, bar_chart in enumerate(bars):
            _bars(row.add_subplot(grid[i]), bar_chart, slots=(height - 0.95) / SLOT)
        for i, charts in enumerate(columns, len(bars)):
            ratios = [chart.curve.height or 1 for chart in charts]
            cells = grid[i].subgridspec(len(charts), 1, hspace=0.6, height_ratios=ratios)
            for n, chart in enumerate(charts):
                _lines(row.add_subplot(cells[n]), chart, lambda key: words.get(key, ["", key])[1])


def _halves(chart: Bars) -> list[Bars]:
    half = -(-len(chart.rows) // 2)
    if len(chart.rows) <= MANY:
        return [chart]
    return [replace(chart, rows=chart.rows[:half]), replace(chart, rows=chart.rows[half:])]


def _bars(axes: Any, chart: Bars, *, slots: float) -> None:
    """Horizontal bars, the repeats as dots, the figure beside them; names stand above their bars. There is room for
    `slots` of them."""
    for i, bar in enumerate(chart.rows):
        colour = COLOURS[f"c{bar.colour}"]
        axes.text(0, i - 0.3, _clip(_text(bar.name), 36), va="bottom", color=INK)
        if bar.value is not None:
            axes.barh(i, bar.value, height=0.42, color=colour, alpha=0.9)
        axes.scatter(bar.dots, [i] * len(bar.dots), s=16, facecolor="white", edgecolor=colour, zorder=3)
        said = f"{_text(bar.text)}  {bar.ratio}".rstrip()
        place = max([bar.value or 0, *bar.dots]) + (chart.top * 0.03 if bar.value or bar.dots else 0)
        text = axes.text(place, i, said, va="center", weight="bold", color=BAD if bar.value is None else INK)
        text.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 1})  # clear of a budget's line
    if chart.rule is not None:
        axes.axvline(chart.rule, color=BAD, linestyle="--", linewidth=1.2)
    axes.set(xlim=(0, chart.top * 1.38), ylim=(max(len(chart.rows), slots) - 0.55, -0.85), yticks=[])
    axes.xaxis.set_major_formatter("{x:,g}")
    plain_axes(axes)
    _title(axes, chart.title)


def _lines(axes: Any, chart: LineChart, word: Word) -> None:
    (panel,) = chart.curve.panels
    draw_panel(axes, panel, word, inside=True)
    draw_places(axes, chart.curve, word, named=False)
    axes.set_xlabel(word(f"axis.{chart.curve.axis}"), color=SOFT)
    _title(axes, chart.title)


def _title(axes: Any, title: Phrase) -> None:
    axes.set_facecolor(PAPER)
    axes.set_title(_clip(title.text("en", short), 46), loc="left", fontsize=10.5, weight="bold")


def _text(cell: Cell) -> str:
    return in_language(cell, "en", short)


def _clip(text: str, most: int) -> str:
    flat = text.replace("\n", " ") if len(text) > most else text
    return flat if len(flat) <= most else flat[: most - 1] + "…"
