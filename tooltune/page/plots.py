"""Curves as pictures: `tooltune.page.curves` drawn by matplotlib, for papers and chats."""

from collections.abc import Callable
from typing import Any

from tooltune.page.curves import Curve, CurvePanel, Line
from tooltune.page.picture import ACCENT, BAD, GOOD, INK, RULE, SOFT

COLOURS = {
    "accent": ACCENT,
    "good": GOOD,
    "bad": BAD,
    "probe": "#a67614",
    "soft": SOFT,
    "c0": "#d08a1d",
    "c1": "#17617f",
    "c2": "#9b4f8d",
    "c3": "#2c7752",
    "c4": "#6d8ad8",
    "c5": "#6b7780",
}
"""By the names that the pages' style has for them; c0 to c5 stay apart for every kind of colour vision."""
MARKERS = ("o", "s", "D", "^", "v")
BELOW = ("memory_limit", "mean_speed")
"""Levels whose name stands under the line, where there is room."""

Word = Callable[[str], str]
"""From a key (`line.…`, `panel.…`) to its text in the picture's language; empty: nothing is written."""


def plain_axes(ax: Any) -> None:
    """No frame but a line below."""
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(RULE)
    ax.tick_params(which="both", length=0, labelcolor=SOFT)


def draw_panel(ax: Any, panel: CurvePanel, word: Word, *, inside: bool = False) -> None:
    """Draw a panel's lines, bands and levels; the names of several lines stand above it, or inside."""
    plain_axes(ax)
    if all(line.look == "points" and len(line.x) == 1 for line in panel.lines):
        _bars(ax, panel, word)
        return
    ax.grid(axis="y", color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    pointed = [line for line in panel.lines if line.look == "points"]
    for line in panel.lines:
        _line(ax, line, MARKERS[pointed.index(line) % len(MARKERS)] if line in pointed else None, word)
    top = max(y for line in panel.lines for y in line.y if y is not None)
    named = [level.value for level in panel.levels if panel.unit == "gib" or level.key == "mean_speed"]
    top = 1.0 if panel.unit == "share" else panel.top or max([top, *named])
    if panel.log:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_formatter(lambda value, _: "")
    else:
        ax.set_ylim(panel.low, (top * 1.08 or 1) if panel.unit != "share" else 1.03)
    for band in panel.bands:
        ax.axhspan(band.low, min(band.high, ax.get_ylim()[1]), color=COLOURS[band.colour], alpha=0.08, linewidth=0)
    for level in panel.levels:
        if ax.get_ylim()[0] <= level.value <= ax.get_ylim()[1]:
            ax.axhline(level.value, color=COLOURS[level.colour], linewidth=1, linestyle=":")
            text = word(f"level.{level.key}").format(value=f"{level.value:.4g}")
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
        _beyond(ax, panel.beyond, word)
    if panel.unit == "share":
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    elif panel.unit == "tokens":
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    elif panel.unit == "rate":
        ax.yaxis.set_major_formatter(lambda value, _: rate_text(value))
    ax.set_ylabel(word(f"panel.{panel.key}"), color=SOFT)
    names: dict[str, Any] = {}
    for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
        names.setdefault(name, handle)
    if len(names) < 2:
        return
    if inside:
        ax.legend(names.values(), names.keys(), frameon=False, fontsize=9)
        return
    ax.legend(
        names.values(),
        names.keys(),
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


def _beyond(ax: Any, highest: float, word: Word) -> None:
    ax.annotate(
        word("beyond.first_steps").format(value=f"{highest:.4g}"),
        (0.16, 1),
        xycoords="axes fraction",
        xytext=(0, -11),
        textcoords="offset points",
        fontsize=8.5,
        color=SOFT,
    )


def _line(ax: Any, line: Line, marker: str | None, word: Word) -> None:
    y = [float("nan") if value is None else value for value in line.y]
    colour = COLOURS[line.colour]
    if line.look == "faint":
        ax.plot(line.x, y, color=colour, alpha=0.3, linewidth=0.8)
    elif line.look == "crosses":
        ax.scatter(line.x, y, marker="x", color=colour)
    else:
        ax.plot(
            line.x,
            y,
            color=colour,
            linewidth=1.2 if line.look == "thin" else 1.9,
            linestyle="--" if line.dashed else "-",
            marker=marker or ("o" if len(line.x) == 1 else None),
            markersize=5.5,
            label=word(f"line.{line.key}"),
        )


def _bars(ax: Any, panel: CurvePanel, word: Word) -> None:
    """A single evaluation: its values side by side."""
    names = [word(f"line.{line.key}") for line in panel.lines]
    values = [line.y[0] or 0.0 for line in panel.lines]
    bars = ax.barh(names, values, color=[COLOURS[line.colour] for line in panel.lines], height=0.5)
    ax.bar_label(bars, [f"{v:.1%}" if panel.unit == "share" else f"{v:.3f}" for v in values], padding=4, color=INK)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.08 if panel.unit == "share" else max(values) * 1.12)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)


def draw_places(ax: Any, curve: Curve, word: Word, *, named: bool) -> None:
    """Draw what lies along a curve's horizontal axis: its regions and marks."""
    if curve.log:
        _log_ticks(ax, sorted({x for panel in curve.panels for line in panel.lines for x in line.x}))
    for region in curve.regions:
        ax.axvspan(region.start, region.end, color=COLOURS[region.colour], alpha=0.08, linewidth=0)
        if named:
            _note(ax, (region.start + region.end) / 2, word(f"region.{region.key}"), region.colour, "center")
    right = ax.get_xlim()[1]
    for mark in curve.marks:
        ax.axvline(mark.x, color=COLOURS[mark.colour], linewidth=1.1, linestyle=":")
        if named:
            text = word(f"mark.{mark.key}").format(x=f"{mark.x:.4g}")
            _note(ax, mark.x, text, mark.colour, "right" if mark.x > 0.92 * right else "center")


def _log_ticks(ax: Any, values: list[float]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xlim(values[0] / 1.15, values[-1] * 1.15)
    ax.set_xticks(values, [f"{value:,g}" for value in values])
    ax.minorticks_off()


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
