"""The curves as pictures, for papers and chats: one PNG a curve in `plots/`, 150 dpi, on white."""

from pathlib import Path
from typing import Any

from finetune.history import read_history
from finetune.report.curves import Curve, Line, Panel, curves
from finetune.report.words import words
from tooltune.files import atomic_write
from tooltune.page.picture import ACCENT, BAD, GOOD, INK, RULE, SOFT, hangul_fonts

COLOURS = {"accent": ACCENT, "good": GOOD, "bad": BAD, "probe": "#a67614", "soft": SOFT}
MARKERS = ("o", "s", "D", "^", "v")
BELOW = ("memory_limit", "mean_speed")
"""Levels whose name stands under the line, where there is room."""


def write_plots(run: Path, *, lang: str = "ko") -> list[Path]:
    """Write each curve of a run to `plots/<curve>.png`.

    Args:
        lang: of the labels, ko or en; en where the machine has no Hangul font that is known here.

    Raises:
        InputError: the folder holds no run that began to train.
    """
    history = read_history(run)
    font = next(iter(hangul_fonts()), None) if lang == "ko" else None
    paths = []
    for curve in curves(history):
        path = run / "plots" / f"{curve.key}.png"
        figure = _draw(curve, font)
        with atomic_write(path, "wb") as f:
            figure.savefig(f, format="png", dpi=150)
        paths.append(path)
    return paths


def _draw(curve: Curve, font: str | None) -> Any:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    language = 0 if font else 1
    with rc_context(
        {"font.family": [*([font] if font else []), "DejaVu Sans"], "font.size": 10, "axes.unicode_minus": False}
    ):
        figure = Figure(figsize=(8, (4.2, 5.6, 7.4)[len(curve.panels) - 1]), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(curve.panels), 1, sharex=True, squeeze=False)[:, 0]
        for ax, panel in zip(axes, curve.panels, strict=True):
            _panel(ax, panel, language)
            if curve.axis == "epoch" and all(len(line.x) == 1 for line in panel.lines):
                continue
            _places(ax, curve, language, named=ax is axes[0])
        axes[0].set_title(
            _word(f"curve.{curve.key}", language),
            loc="left",
            fontsize=12,
            color=INK,
            pad=36 if len(curve.panels) == 1 else 14,
        )
        if curve.axis == "step" or any(len(line.x) > 1 for panel in curve.panels for line in panel.lines):
            axes[-1].set_xlabel(_word(f"axis.{curve.axis}", language), color=SOFT)
        figure.draw_without_rendering()
    return figure


def _panel(ax: Any, panel: Panel, language: int) -> None:
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(RULE)
    ax.tick_params(which="both", length=0, labelcolor=SOFT)
    if all(line.look == "points" and len(line.x) == 1 for line in panel.lines):
        _bars(ax, panel, language)
        return
    ax.grid(axis="y", color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    pointed = [line for line in panel.lines if line.look == "points"]
    for line in panel.lines:
        _line(ax, line, MARKERS[pointed.index(line) % len(MARKERS)] if line in pointed else None, language)
    top = max(y for line in panel.lines for y in line.y if y is not None)
    named = [level.value for level in panel.levels if panel.unit == "gib" or level.key == "mean_speed"]
    top = 1.0 if panel.unit == "share" else panel.top or max([top, *named])
    if panel.log:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_formatter(lambda value, _: "")
    else:
        ax.set_ylim(0, top * 1.08 if panel.unit != "share" else 1.03)
    for band in panel.bands:
        ax.axhspan(band.low, min(band.high, ax.get_ylim()[1]), color=COLOURS["good"], alpha=0.08, linewidth=0)
    for level in panel.levels:
        if ax.get_ylim()[0] <= level.value <= ax.get_ylim()[1]:
            ax.axhline(level.value, color=COLOURS[level.colour], linewidth=1, linestyle=":")
            text = _word(f"level.{level.key}", language).format(value=f"{level.value:.4g}")
            ax.annotate(
                text,
                (1, level.value),
                xycoords=("axes fraction", "data"),
                xytext=(0, -11 if level.key in BELOW else 3),
                textcoords="offset points",
                ha="right",
                fontsize=8.5,
                color=COLOURS[level.colour],
            )
    if panel.beyond is not None:
        _beyond(ax, panel.beyond, language)
    if panel.unit == "share":
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    elif panel.unit == "tokens":
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    elif panel.unit == "rate":
        ax.yaxis.set_major_formatter(lambda value, _: rate_text(value))
    ax.set_ylabel(_word(f"panel.{panel.key}", language), color=SOFT)
    if sum(line.look != "faint" for line in panel.lines) > 1:
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1.06),
            ncols=len(MARKERS),
            frameon=False,
            borderaxespad=0.1,
            fontsize=8.5,
            handlelength=1.6,
            handletextpad=0.5,
            columnspacing=1.0,
        )


def rate_text(rate: float) -> str:
    """A learning rate as an axis has it: 1.25e-03, 2e-04, 0."""
    digits, power = f"{rate:.2e}".split("e")
    return f"{float(digits):g}e{power}" if rate else "0"


def _beyond(ax: Any, highest: float, language: int) -> None:
    ax.annotate(
        _word("beyond.first_steps", language).format(value=f"{highest:.4g}"),
        (0.16, 1),
        xycoords="axes fraction",
        xytext=(0, -11),
        textcoords="offset points",
        fontsize=8.5,
        color=SOFT,
    )


def _line(ax: Any, line: Line, marker: str | None, language: int) -> None:
    y = [float("nan") if value is None else value for value in line.y]
    colour = COLOURS[line.colour]
    if line.look == "faint":
        ax.plot(line.x, y, color=colour, alpha=0.3, linewidth=0.8)
        return
    ax.plot(
        line.x,
        y,
        color=colour,
        linewidth=1.9,
        marker=marker,
        markersize=5.5,
        label=_word(f"line.{line.key}", language),
    )


def _bars(ax: Any, panel: Panel, language: int) -> None:
    """A single evaluation: its values side by side."""
    names = [_word(f"line.{line.key}", language) for line in panel.lines]
    values = [line.y[0] or 0.0 for line in panel.lines]
    bars = ax.barh(names, values, color=[COLOURS[line.colour] for line in panel.lines], height=0.5)
    ax.bar_label(bars, [f"{v:.1%}" if panel.unit == "share" else f"{v:.3f}" for v in values], padding=4, color=INK)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.08 if panel.unit == "share" else max(values) * 1.12)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)


def _places(ax: Any, curve: Curve, language: int, *, named: bool) -> None:
    for region in curve.regions:
        ax.axvspan(region.start, region.end, color=COLOURS["bad"], alpha=0.08, linewidth=0)
        if named:
            _note(ax, (region.start + region.end) / 2, _word(f"region.{region.key}", language), "bad", "center")
    right = ax.get_xlim()[1]
    for mark in curve.marks:
        ax.axvline(mark.x, color=COLOURS[mark.colour], linewidth=1.1, linestyle=":")
        if named:
            text = _word(f"mark.{mark.key}", language).format(x=f"{mark.x:.4g}")
            _note(ax, mark.x, text, mark.colour, "right" if mark.x > 0.92 * right else "center")


def _note(ax: Any, x: float, text: str, colour: str, side: str) -> None:
    ax.annotate(
        text,
        (x, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha=side,
        va="bottom",
        fontsize=8.5,
        color=COLOURS[colour],
    )


def _word(key: str, language: int) -> str:
    return words()[key][language]
