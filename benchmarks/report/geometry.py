"""Bars and lines as numbers: where things stand in a chart. The page's template draws them.

Across, positions are percentages, so that a chart fills a phone as well as a screen; up and down they are pixels, so
that its letters never shrink.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.report.numbers import figure
from benchmarks.report.words import Phrase

HEIGHT = 210
"""Of a line chart, in pixels."""


@dataclass(frozen=True)
class Bar:
    """One arm in a bar chart.

    Attributes:
        colour: number of the arm's colour.
        width: of the bar, in percent; None where there is no figure.
        dots: the repeats, in percent.
        text: the figure, or how the arm ended.
        ratio: the figure against the first arm's, for example "1.57×"; empty for the first.
    """

    name: str | Phrase
    colour: int
    width: float | None
    dots: list[float]
    text: str | Phrase
    ratio: str = ""


@dataclass(frozen=True)
class Bars:
    """A bar chart. `rule` is the place of a vertical line (a budget, a promise), in percent."""

    title: Phrase
    what: Phrase
    rows: list[Bar]
    rule: float | None = None


@dataclass(frozen=True)
class Series:
    """One line: (x, y) in the units of the chart. `marks` draws a dot at each point, "x" a cross."""

    colour: int
    points: Sequence[tuple[float, float]]
    name: str | Phrase = ""
    marks: str = ""
    thin: bool = False


@dataclass(frozen=True)
class Lines:
    """A line chart as positions.

    Attributes:
        paths: colour, thin or not, and an SVG path in a box 1000 wide and `height` high.
        dots: colour, x in percent, y in pixels, what a pointer is told.
        crosses: as dots.
        across, up: the ticks, as (position, text).
        shades: boxes behind the lines: x and width in percent, y and height in pixels.
        rule: y of a horizontal dashed line.
        legend: colour, thin or not, and name.
    """

    title: Phrase
    what: Phrase
    x_name: Phrase
    height: int
    paths: list[tuple[int, bool, str]]
    dots: list[tuple[int, float, float, str]]
    crosses: list[tuple[int, float, float, str]]
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]
    shades: list[tuple[float, float, float, float]] = field(default_factory=list)
    rule: float | None = None
    legend: list[tuple[int, bool, str | Phrase]] = field(default_factory=list)
    note: Phrase | None = None


def lines(
    title: Phrase,
    what: Phrase,
    x_name: Phrase,
    series: Sequence[Series],
    *,
    x: tuple[float, float],
    y: tuple[float, float],
    height: int = HEIGHT,
    shade_x: tuple[float, float] | None = None,
    shade_y: tuple[float, float] | None = None,
    rule: float | None = None,
    note: Phrase | None = None,
    log: bool = False,
) -> Lines:
    """Place the series in a box from `x[0]` to `x[1]` across and `y[0]` to `y[1]` up.

    Args:
        shade_x: a region across to shade, in the chart's units.
        shade_y: a band to shade.
        rule: a level to mark.
        log: across, a value twice as large is as far everywhere, and the ticks are the points' own.
    """
    scale = math.log2 if log else float
    left, right = scale(x[0]), scale(x[1])
    named = sorted({px for s in series for px, _ in s.points}) if log else ticks(*x)

    def across(value: float) -> float:
        return round(100 * (scale(value) - left) / ((right - left) or 1), 3)

    def up(value: float) -> float:
        return round(height * (y[1] - value) / ((y[1] - y[0]) or 1), 2)

    shades = []
    if shade_x:
        near, far = (min(max(across(v), 0), 100) for v in shade_x)
        shades.append((near, far - near, 0.0, float(height)))
    if shade_y:
        top, bottom = up(shade_y[1]), up(shade_y[0])
        shades.append((0.0, 100.0, top, bottom - top))
    placed = {
        kind: [
            (s.colour, across(px), up(py), f"{figure(px)}: {figure(py)}")
            for s in series
            if s.marks == kind
            for px, py in s.points
        ]
        for kind in ("dot", "x")
    }
    return Lines(
        title=title,
        what=what,
        x_name=x_name,
        height=height,
        paths=[
            (s.colour, s.thin, "M" + "L".join(f"{10 * across(px):g},{up(py):g}" for px, py in s.points))
            for s in series
            if len(s.points) > 1 and s.marks != "x"
        ],
        dots=placed["dot"],
        crosses=placed["x"],
        across=[(across(v), _tick(v)) for v in named if x[0] <= v <= x[1]],
        up=[(up(v), _tick(v)) for v in ticks(*y, most=5) if y[0] <= v <= y[1]],
        shades=shades,
        rule=None if rule is None else up(rule),
        legend=list({s.colour: (s.colour, s.thin, s.name) for s in series if s.name}.values()),
        note=note,
    )


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round values from low to high: steps of 1, 2 or 5 times a power of ten, at most `most` of them."""
    if high <= low:
        return [low]
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _tick(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}".replace("-", "−")
