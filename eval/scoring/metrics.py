"""From verdicts on samples to the figures of a run."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from eval.parsed import Parsed
from eval.scoring.agreement import Leaves
from eval.scoring.confusion import confusion_table
from eval.scoring.sample import Sample, SampleReading, SampleScore, score_sample
from eval.scoring.stats import f1, harmonic_mean, rate
from tooltune.errors import InputError

Scores = Sequence[SampleScore]
ReadingOf = Callable[[SampleScore], SampleReading]


def score(samples: Iterable[Sample], family: str = "hermes") -> dict[str, Any]:
    """Score the outputs of a run.

    Every rate is `{"value", "count", "n", "low", "high"}`: a fraction from 0 to 1 with its Wilson 95 % interval, None
    where n is 0; `balanced` alone counts nothing and has no interval. The result can be written as JSON:

        n, family
        headline       tool_name_accuracy, parameter_accuracy, json_validity, exact_match, must_call_exact, abstention,
                       balanced (all of the strict reading), hallucination_rate (of the repaired reading)
        strict         those of the strict reading;
                       parameter_accuracy_given_name (of the gold calls paired with a call of their name);
                       calls (names) and parameters (leaves), each precision, recall, f1
        repaired       the same without json_validity, with hallucination_rate
        hallucination  all_samples and samples_with_call, each any, unknown_tool, unknown_argument
        no_call        precision, recall, f1 of answering in words where gold has no call
        apart          rates over samples, see `apart`; with "total" where a sample can hold several
        slices         tool, phenomenon, bucket, lang → name → n and the headline rates; the tool "(none)" holds the
                       samples whose gold has no call
        confusion      gold name → called name → count (repaired)
        samples        the verdict on each sample, which `compare` needs; see `SampleScore`

    In a slice by tool stand the samples whose gold calls it, with all their calls.

    Args:
        samples: each id once. A sample's output is parsed once, unless it brings its `parsed`.
        family: the tool-call format of the model.

    Raises:
        InputError: an id twice, or a sample that has not the documented shape.
    """
    scores: list[SampleScore] = []
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise InputError(f"the sample {sample.id!r} is there twice", fix="give every sample its own id")
        seen.add(sample.id)
        scores.append(score_sample(sample, sample.parsed or _parse(sample, family)))
    return {"family": family, **summarise(scores)}


def summarise(scores: Scores) -> dict[str, Any]:
    """What `score` returns, from verdicts that are there already."""
    return {
        "n": len(scores),
        "headline": headline(scores),
        "strict": _reading(scores, _strict, json_validity=_json_validity(scores)),
        "repaired": _reading(scores, lambda score: score.repaired, hallucination_rate=_hallucination(scores)["any"]),
        "hallucination": {
            "all_samples": _hallucination(scores),
            "samples_with_call": _hallucination([s for s in scores if s.repaired.made]),
        },
        "no_call": _no_call(scores),
        "apart": apart(scores),
        "slices": _slices(scores),
        "confusion": confusion_table(scores),
        "samples": [_row(s) for s in scores],
    }


def headline(scores: Scores) -> dict[str, Any]:
    """What a run is known by: strict reading; hallucination is judged on the repaired one.

    Exact Match mixes samples where a call is due with samples where none is, and a model that never calls is right on
    all of the latter. Therefore they stand apart too: `must_call_exact` and `abstention`, with their harmonic mean.
    """
    n, gold_calls = len(scores), sum(len(s.gold) for s in scores)
    return {
        "tool_name_accuracy": rate(_count(s.strict.tool_name for s in scores), n),
        "parameter_accuracy": rate(sum(s.strict.equal_calls for s in scores), gold_calls),
        "json_validity": _json_validity(scores),
        "hallucination_rate": rate(_count(s.hallucinated for s in scores), n),
        "exact_match": rate(_count(s.strict.exact_match for s in scores), n),
        **_by_kind(scores, _strict),
    }


def apart(scores: Scores) -> dict[str, Any]:
    """Faults and oddities that no headline figure names, as rates over samples, on the repaired reading.

    - no_attempt, missed_call, extra_call: of samples whose gold has a call; text_outside: text beside their call or
      attempt.
    - over_call, silent: of samples whose gold has none, those with a call or an attempt, and those without a word.
    - ungrounded_value: of samples with a call whose prompt text is known.
    - enum_violation, wrong_type, missing_required, coerced_integer, truncated, order_differs: of all samples;
      coerced_integer and order_differs are accepted, not faults.
    """
    due = [s for s in scores if s.gold]
    grounded = [s for s in scores if s.ungrounded is not None]
    return {
        "no_attempt": rate(_count(not s.attempted for s in due), len(due)),
        "missed_call": _total([s.missed_calls for s in due]),
        "extra_call": _total([s.extra_calls for s in due]),
        "over_call": rate(_count(s.attempted for s in scores if not s.gold), len(scores) - len(due)),
        "silent": rate(_count(s.silent for s in scores if not s.gold), len(scores) - len(due)),
        "text_outside": rate(_count(s.text_outside for s in due), len(due)),
        "truncated": rate(_count(s.truncated for s in scores), len(scores)),
        "enum_violation": _total([s.enum_violation for s in scores]),
        "wrong_type": _total([s.wrong_type for s in scores]),
        "missing_required": _total([s.missing_required for s in scores]),
        "ungrounded_value": _total([s.ungrounded or 0 for s in grounded]),
        "coerced_integer": _total([s.coerced_integer for s in scores]),
        "order_differs": rate(_count(s.order_differs for s in scores), len(scores)),
    }


def _parse(sample: Sample, family: str) -> Parsed:
    from eval.parse import parse_tool_calls

    return parse_tool_calls(sample.output, family=family, tools=sample.tools, truncated=sample.truncated)


def _reading(scores: Scores, of: ReadingOf, **figures: Any) -> dict[str, Any]:
    readings = [of(s) for s in scores]
    gold_calls = sum(len(s.gold) for s in scores)
    made, hits = sum(r.made for r in readings), sum(r.name_hits for r in readings)
    right = sum(r.equal_calls for r in readings)
    leaves = sum((r.leaves for r in readings), Leaves())
    return {
        "tool_name_accuracy": rate(_count(r.tool_name for r in readings), len(readings)),
        "parameter_accuracy": rate(right, gold_calls),
        **figures,
        "exact_match": rate(_count(r.exact_match for r in readings), len(readings)),
        **_by_kind(scores, of),
        "parameter_accuracy_given_name": rate(right, hits),
        "calls": f1(hits, made, hits, gold_calls),
        "parameters": f1(leaves.got_hits, leaves.got, leaves.wanted_hits, leaves.wanted),
    }


def _strict(score: SampleScore) -> SampleReading:
    return score.strict


def _json_validity(scores: Scores) -> dict[str, Any]:
    due = [s for s in scores if s.gold]
    return rate(_count(s.json_valid for s in due), len(due))


def _by_kind(scores: Scores, of: ReadingOf) -> dict[str, Any]:
    """Exact Match of the samples whose gold has a call and of those whose gold has none, and their harmonic mean."""
    due, none_due = [s for s in scores if s.gold], [s for s in scores if not s.gold]
    must_call_exact, abstention = (rate(_count(of(s).exact_match for s in kind), len(kind)) for kind in (due, none_due))
    balanced = harmonic_mean(must_call_exact, abstention)
    return {"must_call_exact": must_call_exact, "abstention": abstention, "balanced": balanced}


def _hallucination(scores: Scores) -> dict[str, Any]:
    return {
        "any": rate(_count(s.hallucinated for s in scores), len(scores)),
        "unknown_tool": rate(_count(bool(s.unknown_tools) for s in scores), len(scores)),
        "unknown_argument": rate(_count(bool(s.unknown_arguments) for s in scores), len(scores)),
    }


def _no_call(scores: Scores) -> dict[str, Any]:
    words, due = [s for s in scores if not s.attempted and not s.silent], [s for s in scores if not s.gold]
    both = _count(not s.gold for s in words)
    return f1(both, len(words), both, len(due))


def _slices(scores: Scores) -> dict[str, dict[str, Any]]:
    slices: dict[str, dict[str, Any]] = {}
    for kind in ("tool", "phenomenon", "bucket", "lang"):
        groups: dict[str, list[SampleScore]] = {}
        for verdict in scores:
            for name in verdict.slices.get(kind, []):
                groups.setdefault(name, []).append(verdict)
        slices[kind] = {name: {"n": len(group), **headline(group)} for name, group in sorted(groups.items())}
    return slices


def _row(score: SampleScore) -> dict[str, Any]:
    """A verdict as JSON, lists of the model's words kept short: a looping output can name thousands."""
    short = replace(
        score,
        unknown_tools=score.unknown_tools[:_SHOWN],
        unknown_arguments=score.unknown_arguments[:_SHOWN],
        confusion=score.confusion[:_SHOWN],
    )
    return short.to_dict()


_SHOWN = 20


def _count(flags: Iterable[bool]) -> int:
    return sum(map(bool, flags))


def _total(counts: list[int]) -> dict[str, Any]:
    """The rate of samples with at least one, and the sum."""
    return {**rate(_count(c > 0 for c in counts), len(counts)), "total": sum(counts)}
