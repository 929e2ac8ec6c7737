"""Figures as they are read."""

from typing import Any


def figure(value: float | None) -> str:
    """Three significant digits and thousands apart: 1.62, 12.3, 4,210, 0.0042; a dash where there is none."""
    if value is None:
        return "–"
    size = abs(value)
    if size >= 99.95:
        return f"{value:,.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    if size >= 0.9995 or size == 0:
        return f"{value:.2f}"
    return f"{value:#.3g}" if size >= 1e-4 else f"{value:.1e}"


def percent(value: float | None) -> str:
    """A share as a whole percentage."""
    return "–" if value is None else f"{100 * value:.0f}%"


def median_and_range(figures: dict[str, Any] | None) -> str:
    """A median with its lowest and highest repeat: 1.62 (1.58–1.70)."""
    if not figures or figures["median"] is None:
        return "–"
    text = figure(figures["median"])
    if figures["low"] == figures["high"]:
        return text
    return f"{text} ({figure(figures['low'])}–{figure(figures['high'])})"


def times(ratio: float) -> str:
    """A ratio of speeds with two decimals: 1.62."""
    return f"{ratio:.2f}"


def signed(share: float | None) -> str:
    """A share with its sign, one decimal: +1.8%, −0.8%."""
    return "–" if share is None else f"{100 * share:+.1f}%".replace("-", "−")
