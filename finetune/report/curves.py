"""The curves of a run as data, for the page's script and for the pictures alike (docs/metrics.md, "The curves")."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from finetune.diagnose import best_row, verdicts
from finetune.diagnose.series import evaluated, head, is_number, series, warmup_steps
from finetune.diagnose.step_rules import NORMAL, UNSTABLE
from finetune.diagnose.verdict import PAST_THE_BEST
from finetune.history import History
from tooltune.page.curves import Band, Colour, Curve, CurvePanel, Level, Line, Mark, Region
from tooltune.run import peak_gib

MAX_POINTS = 1500
"""Of one line: what a screen can show. Of a longer one the lowest and highest of each stretch stay, so spikes do."""


HEADROOM = 1.6
"""The losses' axis ends at least so many times above the highest validation loss."""

CROWDED = 1.25
"""The first steps are left out of it where they would make it so many times higher, or more."""


def curves(history: History) -> list[Curve]:
    drawn = [
        _loss(history),
        _learning(history),
        _tools(history),
        _roles(history),
        _memory(history),
        _speed(history),
    ]
    return [curve for curve in drawn if curve.panels]


def overfitting_from(history: History) -> float | None:
    """The epoch from which on validation loss stays above its lowest while training loss falls; None where it does not.

    The verdicts of the epoch table say it, so that the table, the findings and the curve agree.
    """
    words = verdicts(history.epochs)
    if not words or words[-1] not in PAST_THE_BEST:
        return None
    first = len(words) - 1
    while words[first - 1] in PAST_THE_BEST:
        first -= 1
    return float(history.epochs[first]["epoch"])


def number(value: Any) -> float | None:
    """A finite number, or None: a run that broke has the text "nan" in its place."""
    return float(value) if is_number(value) else None


def _loss(history: History) -> Curve:
    train = _line(history.steps, "epoch", "loss", "train_loss", "probe")
    lines = [*_smoothed(train, history), _line(history.epochs, "epoch", "eval_loss", "eval_loss", "accent", "points")]
    marks, regions = _broken(history, "epoch"), []
    best, turn = best_row(history), overfitting_from(history)
    if best and len(history.epochs) > 1:
        marks.append(Mark("best", best["epoch"], "accent"))
    if turn is not None:
        before = max((row["epoch"] for row in history.epochs if row["epoch"] < turn), default=turn)
        regions.append(Region("overfitting", (before + turn) / 2, float(history.epochs[-1]["epoch"])))
    top, beyond = _top(history)
    return Curve("loss", "epoch", _panels(CurvePanel("loss", "loss", lines, top=top, beyond=beyond)), marks, regions)


def _top(history: History) -> tuple[float | None, float | None]:
    """Where the axis of the losses ends, and the highest loss that it leaves out; None where it leaves out nothing.

    The first steps of a run start many times higher than it ever gets again, and set by them the axis would lay flat
    what is to be seen: the turn of the validation loss. Later values, a spike too, stay inside.
    """
    steps = series(history, "loss")
    begin = {point.step for point in head(steps)}
    later = [p.value for p in steps if p.step not in begin and p.step > warmup_steps(history)]
    measured = [row["eval_loss"] for row in evaluated(history)]
    if not measured or not later:
        return None, None
    top, highest = max([HEADROOM * max(measured), *later]), max(p.value for p in steps)
    return (top, highest) if highest > CROWDED * top else (None, None)


def _learning(history: History) -> Curve:
    norm = _line(history.steps, "step", "grad_norm", "grad_norm", "accent")
    peaks = [y for y in norm.y if y is not None]
    clip = Level("max_grad_norm", history.config.train.max_grad_norm, "soft")
    return Curve(
        "learning",
        "step",
        _panels(
            CurvePanel(
                "learning_rate", "rate", [_line(history.steps, "step", "learning_rate", "learning_rate", "probe")]
            ),
            CurvePanel(
                "grad_norm",
                "norm",
                _smoothed(norm, history),
                [clip],
                [Band("normal", *NORMAL)],
                log=bool(peaks) and max(peaks) > UNSTABLE and min(peaks) > 0,
            ),
        ),
        _broken(history, "step"),
    )


def _tools(history: History) -> Curve:
    colours: dict[str, Colour] = {
        "tool_name_accuracy": "accent",
        "json_validity": "probe",
        "parameter_accuracy": "good",
        "hallucination_rate": "bad",
        "abstention": "soft",
    }
    lines = [_line(history.epochs, "epoch", key, key, colour, "points") for key, colour in colours.items()]
    return Curve("tools", "epoch", _panels(CurvePanel("share", "share", lines)), _best(history))


def _roles(history: History) -> Curve:
    colours: dict[str, Colour] = {"name": "accent", "arguments": "good", "format": "probe", "text": "soft"}
    lines = [
        _line(history.epochs, "epoch", f"eval_loss_{role}", f"role_{role}", colour, "points")
        for role, colour in colours.items()
    ]
    return Curve("roles", "epoch", _panels(CurvePanel("role_loss", "loss", lines)), _best(history))


def _memory(history: History) -> Curve:
    cuda = any(number(event.get("gpu_memory_reserved")) is not None for event in history.steps)
    if cuda:
        lines = [
            _line(history.steps, "step", "gpu_memory_reserved", "gpu_memory_reserved", "accent"),
            _line(history.steps, "step", "gpu_memory_allocated", "gpu_memory_allocated", "good"),
        ]
    else:
        lines = [_line(history.steps, "step", "memory", "memory", "accent")]
    levels = []
    limit, peak = memory_limit(history), memory_peak(history)
    if limit is not None:
        levels.append(Level("memory_limit", limit, "bad"))
    if peak is not None:
        levels.append(Level("memory_peak", peak, "soft"))
    return Curve("memory", "step", _panels(CurvePanel("gpu_gib" if cuda else "main_gib", "gib", lines, levels)))


def memory_limit(history: History) -> float | None:
    """GiB that the run could use: of the card (or the part of it that the config allows), or of main memory."""
    return number(history.config.memory.budget_gb) or number(history.manifest["device"].get("memory_gib"))


def memory_peak(history: History) -> float | None:
    """GiB that the run held at most, as the manifest of a finished run says; None before that."""
    return number(peak_gib(history.manifest))


def _speed(history: History) -> Curve:
    speed = _line(history.steps, "step", "samples_per_second", "samples_per_second", "accent")
    mean = number((history.end or {}).get("train_samples_per_second"))
    levels = [] if mean is None else [Level("mean_speed", mean, "soft")]
    tokens = [
        _line(history.steps, "step", "tokens_per_second", "tokens_per_second", "accent"),
        _dashed(_line(history.steps, "step", "supervised_per_second", "supervised_per_second", "accent")),
    ]
    busy = [
        _line(history.steps, "step", "mfu", "mfu", "probe"),
        _dashed(_line(history.steps, "step", "hfu", "hfu", "probe")),
        _line(history.steps, "step", "gpu_utilization", "gpu_utilization", "good", scale=0.01),
        _line(history.steps, "step", "cpu_utilization", "cpu_utilization", "soft", scale=0.01),
    ]
    return Curve(
        "speed",
        "step",
        _panels(
            CurvePanel("speed", "speed", [speed], levels),
            CurvePanel("tokens", "tokens", tokens),
            CurvePanel("utilization", "share", busy),
        ),
    )


def _line(
    rows: Sequence[dict[str, Any]],
    axis: str,
    key: str,
    name: str,
    colour: Colour,
    look: Literal["points", "line"] = "line",
    *,
    scale: float = 1.0,
) -> Line:
    found = [(number(row.get(axis)), number(row.get(key))) for row in rows]
    points = [(x, None if y is None else y * scale) for x, y in found if x is not None]
    if look == "line":
        points = _thin(points)
    return Line(name, colour, look, [x for x, _ in points], [y for _, y in points])


def _dashed(line: Line) -> Line:
    return replace(line, dashed=True)


def _thin(points: list[tuple[float, float | None]]) -> list[tuple[float, float | None]]:
    if len(points) <= MAX_POINTS:
        return points
    whole = [(x, y) for x, y in points if y is not None]
    width = -(-2 * len(whole) // MAX_POINTS)
    kept: list[tuple[float, float | None]] = []
    for start in range(0, len(whole), width):
        stretch = range(start, min(start + width, len(whole)))
        ends = {min(stretch, key=lambda i: whole[i][1]), max(stretch, key=lambda i: whole[i][1])}
        kept += [whole[i] for i in sorted(ends)]
    return kept


def _smoothed(line: Line, history: History) -> list[Line]:
    """The line as the mean of a fifth of an epoch around each point, with the raw values faint behind it.

    A line too short for that stays as it is.
    """
    epochs = number(history.steps[-1].get("epoch")) if history.steps else None
    reach = int(len(line.x) / max(epochs or 1, 1) / 10)
    if reach < 1 or len(line.x) < 4 * reach:
        return [line]
    mean = []
    for i in range(len(line.y)):
        near = min(reach, i, len(line.y) - 1 - i)  # as far to the left as to the right: no lag at the ends
        around = [y for y in line.y[i - near : i + near + 1] if y is not None]
        mean.append(sum(around) / len(around) if around else None)
    return [
        Line(line.key, line.colour, "faint", line.x, line.y),
        Line(line.key, line.colour, "line", line.x, mean),
    ]


def _panels(*panels: CurvePanel) -> list[CurvePanel]:
    """Those that have something to show, without the lines that have nothing."""
    kept = []
    for panel in panels:
        lines = [line for line in panel.lines if any(y is not None for y in line.y)]
        if lines:
            kept.append(replace(panel, lines=lines))
    return kept


def _best(history: History) -> list[Mark]:
    best = best_row(history)
    return [Mark("best", best["epoch"], "accent")] if best and len(history.epochs) > 1 else []


def _broken(history: History, axis: str) -> list[Mark]:
    """Where loss or grad_norm was no number."""
    return [
        Mark("broken", event[axis], "bad")
        for event in history.steps
        if number(event["loss"]) is None or ("grad_norm" in event and number(event["grad_norm"]) is None)
    ][:20]
