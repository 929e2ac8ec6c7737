"""The metrics of generated calls: key, name in English and Korean, direction, and how a figure is written.

Terminal tables, pages, pictures and the published results all take them from here; `eval.scoring` defines what they
count.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tooltune.words import Language


@dataclass(frozen=True)
class Metric:
    """A figure of a model.

    Attributes:
        ko_column, en_column: the short name, for a table with many columns.
    """

    key: str
    ko: str
    en: str
    ko_column: str
    en_column: str
    lower: bool = False

    def name(self, lang: Language) -> str:
        return self.ko if lang == "ko" else self.en

    def column(self, lang: Language) -> str:
        return self.ko_column if lang == "ko" else self.en_column


HEADLINE = (
    Metric("tool_name_accuracy", "도구 이름 정확도", "Tool Name Accuracy", "도구 이름", "tool name"),
    Metric("parameter_accuracy", "매개변수 정확도", "Parameter Accuracy", "매개변수", "parameters"),
    Metric("json_validity", "JSON 유효성", "JSON Validity", "JSON", "JSON"),
    Metric("hallucination_rate", "환각률", "Hallucination Rate", "환각률", "hallucination", lower=True),
    Metric("exact_match", "완전 일치", "Exact Match", "완전 일치", "exact match"),
    Metric("must_call_exact", "호출 정답률", "Must-call Exact", "호출 정답률", "must-call exact"),
    Metric("abstention", "미호출 정답률", "Abstention", "미호출 정답률", "abstention"),
    Metric("balanced", "균형 점수", "Balanced", "균형 점수", "balanced"),
)
"""What a model is known by, as `score` returns it."""

METRICS = {
    metric.key: metric
    for metric in (
        *HEADLINE,
        Metric("execution", "실행 정확도", "Execution Accuracy", "실행", "execution"),
        Metric("eval_loss", "검증 loss", "Validation loss", "검증 loss", "val loss", lower=True),
    )
}

BY_KIND = ("must_call_exact", "abstention", "balanced")
"""Exact Match apart: of the rows where a call is due, of those where none is, and the harmonic mean of the two. Exact
Match itself mixes them, and a model that never calls is right on all of the latter."""

EPOCH_TABLE = ("tool_name_accuracy", "json_validity", *BY_KIND, "hallucination_rate")
"""The rates that a table of epochs has room for."""

COMPARED = {
    "exact_match": METRICS["exact_match"],
    "must_call_exact": METRICS["must_call_exact"],
    "abstention": METRICS["abstention"],
    "tool_name": METRICS["tool_name_accuracy"],
    "execution": METRICS["execution"],
}
"""The figures that `eval.scoring.compare` compares in pairs, under its keys."""


def names(prefix: str = "", keys: Iterable[str] = METRICS) -> dict[str, list[str]]:
    """Key → [Korean, English] of each metric's name, as a `words.yaml` has them."""
    return {prefix + key: [METRICS[key].ko, METRICS[key].en] for key in keys}


def column_names() -> dict[str, list[str]]:
    """The same of the short names of rates, with a capital."""
    return {m.key: [m.ko_column, m.en_column[:1].upper() + m.en_column[1:]] for m in HEADLINE}


def percent(value: float | None) -> str:
    """A fraction as it is read: 84.8%, 100%, and a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.0%}" if value in (0, 1) else f"{100 * value:.1f}%"


def whole_percent(value: float | None) -> str:
    """A fraction without a decimal, for narrow columns: 85%."""
    return "–" if value is None else f"{value:.0%}"


def rate_text(rate: Mapping[str, Any], decimals: int = 0) -> str:
    """A rate of `score` with its interval, where it has one: 84.8% (80–89).

    Args:
        decimals: of the interval's ends.
    """
    if rate["value"] is None:
        return "–"
    if rate["low"] is None:
        return f"{rate['value']:.1%}"
    return f"{rate['value']:.1%} ({100 * rate['low']:.{decimals}f}–{100 * rate['high']:.{decimals}f})"
