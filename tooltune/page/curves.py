"""Curves as plain data, which the pages' script (curves.js, by plotly) and the pictures (plots.py) draw alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Colour = str
"""A custom property of the page's style: accent, good, bad, probe, soft, faint; in benchmarks c0 to c5."""
Unit = Literal["loss", "rate", "norm", "share", "gib", "speed", "tokens", "seconds", "difference"]


@dataclass(frozen=True)
class Line:
    """One line of a panel. Several may have one key: a name in the legend stands for all of them.

    Attributes:
        key: what it shows; also the key of its name.
        look: `points` a marker a value, `line` without markers, `thin` one of several repeats, `faint` what stands
            behind a line (raw values, the ends of an interval), `crosses` markers alone.
        y: in the panel's unit; None leaves a gap.
        dashed: so that a line is seen where it lies on another.
    """

    key: str
    colour: Colour
    look: Literal["points", "line", "thin", "faint", "crosses"]
    x: list[float]
    y: list[float | None]
    dashed: bool = False


@dataclass(frozen=True)
class Level:
    """A value that a panel's lines are read against."""

    key: str
    value: float
    colour: Colour


@dataclass(frozen=True)
class Band:
    """A range of values that is as it should be."""

    key: str
    low: float
    high: float
    colour: Colour = "good"


@dataclass(frozen=True)
class CurvePanel:
    """One pair of axes.

    Attributes:
        log: values too far apart for a plain axis.
        low: the value that the axis begins at.
        top: the value that the axis ends at; None: the highest.
        beyond: the highest value of the first steps that `top` leaves out.
    """

    key: str
    unit: Unit
    lines: list[Line]
    levels: Sequence[Level] = ()
    bands: Sequence[Band] = ()
    log: bool = False
    low: float = 0.0
    top: float | None = None
    beyond: float | None = None


@dataclass(frozen=True)
class Mark:
    """A place on the horizontal axis."""

    key: str
    x: float
    colour: Colour


@dataclass(frozen=True)
class Region:
    """A stretch of the horizontal axis."""

    key: str
    start: float
    end: float
    colour: Colour = "bad"


@dataclass(frozen=True)
class Curve:
    """One figure: panels above each other over a shared axis.

    Attributes:
        axis: what runs along it: epoch, step, tokens, seconds, rows; also the key of its name.
        log: the horizontal axis is logarithmic, with a tick at each value of the lines.
        height: pixels on a page; 0: by its panels.
    """

    key: str
    axis: str
    panels: list[CurvePanel]
    marks: Sequence[Mark] = ()
    regions: Sequence[Region] = ()
    log: bool = False
    height: int = 0
