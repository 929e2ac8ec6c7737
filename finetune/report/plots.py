"""The curves as pictures, for papers and chats: one PNG a curve in `plots/`, 150 dpi, on white."""

from pathlib import Path
from typing import Any

from finetune.history import read_history
from finetune.report.curves import curves
from finetune.report.words import words
from tooltune.files import atomic_write
from tooltune.page.curves import Curve
from tooltune.page.picture import INK, SOFT, hangul_fonts
from tooltune.page.plots import draw_panel, draw_places


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

    def word(key: str) -> str:
        return words()[key][language]

    with rc_context(
        {"font.family": [*([font] if font else []), "DejaVu Sans"], "font.size": 10, "axes.unicode_minus": False}
    ):
        figure = Figure(figsize=(8, (4.2, 5.6, 7.4)[len(curve.panels) - 1]), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(curve.panels), 1, sharex=True, squeeze=False)[:, 0]
        for ax, panel in zip(axes, curve.panels, strict=True):
            draw_panel(ax, panel, word)
            if curve.axis == "epoch" and all(len(line.x) == 1 for line in panel.lines):
                continue
            draw_places(ax, curve, word, named=ax is axes[0])
        axes[0].set_title(
            word(f"curve.{curve.key}"),
            loc="left",
            fontsize=12,
            color=INK,
            pad=36 if len(curve.panels) == 1 else 14,
        )
        if curve.axis == "step" or any(len(line.x) > 1 for panel in curve.panels for line in panel.lines):
            axes[-1].set_xlabel(word(f"axis.{curve.axis}"), color=SOFT)
        figure.draw_without_rendering()
    return figure
