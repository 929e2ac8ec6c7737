"""What a result says, in a sentence and a few facts, each with the figure that led to it."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.report.numbers import figure, percent, signed, times
from benchmarks.report.tables import (
    MODES,
    arm_name,
    by_mode,
    longest_of,
    median,
    memory_key,
    shape_name,
    status_of,
)
from benchmarks.report.words import say
from tooltune.words import Language, Phrase


@dataclass(frozen=True)
class ResultVerdict:
    """The top of a report.

    Attributes:
        tone: "good" (a clear answer), "plain" (none) or "bad" (the run is invalid: nothing below may be quoted).
        headline: the answer in one sentence.
        facts: what stands behind it.
    """

    tone: str
    headline: Phrase
    facts: list[Phrase] = field(default_factory=list)


def verdict(result: dict[str, Any]) -> ResultVerdict:
    return _VERDICTS[result["kind"]](result)


def told(result: dict[str, Any], lang: Language = "en") -> str:
    """The verdict with its facts on one line: in English for the result's file, and for the terminal."""
    top = verdict(result)
    said = [say("headline.interrupted")] * (not result["complete"]) + [top.headline, *top.facts]
    return " ".join(f"{phrase.text(lang).rstrip('.')}." for phrase in said)


def _train(result: dict[str, Any]) -> ResultVerdict:
    failures = [
        say("fact.failed", arm=arm["arm"], shape=shape_name(shape), status=status_of(arm))
        for shape in result["shapes"]
        for arm in shape["arms"]
        if arm["status"] != "ok"
    ]
    parity = [row for shape in result["shapes"] for row in shape["parity"]]
    if not result["valid"]:
        apart = [_parity(row) for row in parity if not row["passed"]]
        return ResultVerdict("bad", say("headline.loss") if apart else say("headline.invalid"), [*apart, *failures])
    pairs: dict[tuple[str, str], list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for shape in result["shapes"]:
        for row in shape["speedup"]:
            pairs.setdefault((row["arm"], row["against"]), []).append((shape, row))
    if not pairs:
        return ResultVerdict("plain", say("headline.nothing"), failures)
    lines = [_compared(arm, against, [row for _, row in rows]) for (arm, against), rows in pairs.items()]
    memory = [
        fact
        for (arm, against), rows in pairs.items()
        if (fact := _memory(result, [shape for shape, _ in rows], arm, against))
    ]
    agreed = [_parity(max(parity, key=lambda row: row["max_difference"] or 0))] if parity else []
    # Arms go from the plainest to the fullest: the headline is of the last, against the first that it stands beside.
    arms = [arm for arm, _ in pairs]
    tone, headline = lines.pop(arms.index(arms[-1]))
    return ResultVerdict(tone, headline, [*(line for _, line in lines), *memory, *agreed, *failures])


def _compared(arm: str, against: str, rows: list[dict[str, Any]]) -> tuple[str, Phrase]:
    """Clear only where the repeats of both arms leave no doubt about which is faster."""
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    if low <= 1 <= high:
        return "plain", say("headline.unclear", arm=arm, against=against, low=times(low), high=times(high))
    ratios = sorted(row["ratio"] for row in rows)
    ratio = "–".join(dict.fromkeys((times(ratios[0]), times(ratios[-1]))))
    key = "headline.faster" if low > 1 else "headline.slower"
    return "good", say(key, arm=arm, against=against, ratio=ratio)


def _memory(result: dict[str, Any], shapes: list[dict[str, Any]], arm: str, against: str) -> Phrase | None:
    """Peak memory of two arms on the shape where the reference needs most."""
    key, best = memory_key(result), None
    for shape in shapes:
        arms = {row["arm"]: median(row, key) for row in shape["arms"]}
        mine, other = arms.get(arm), arms.get(against)
        if mine and other and (best is None or other > best[1]):
            best = (mine, other, shape)
    if best is None:
        return None
    mine, other, shape = best
    return say(
        "fact.less_memory" if mine <= other else "fact.more_memory",
        arm=arm,
        against=against,
        mine=figure(mine),
        other=figure(other),
        share=percent(abs(mine / other - 1)),
        shape=shape_name(shape),
    )


def _parity(row: dict[str, Any]) -> Phrase:
    if row["max_difference"] is None:
        return say("fact.not_finite", arm=row["arm"], against=row["against"], steps=row["steps"])
    if not row["passed"] and row["max_difference"] < row["limit"]:
        return say("fact.other_work", arm=row["arm"], against=row["against"])
    return say(
        "fact.agree" if row["passed"] else "fact.differ",
        arm=row["arm"],
        against=row["against"],
        difference=figure(row["max_difference"]),
        limit=f"{row['limit']:g}",
        steps=row["steps"],
    )


def _ended(arms: list[dict[str, Any]], but: str = "skipped") -> list[Phrase]:
    """The arms that did not come to their end, those aside whose status is `but`."""
    odd = [arm for arm in arms if arm["status"] not in ("ok", but)]
    return [say("fact.ended", arm=arm_name(arm), status=status_of(arm)) for arm in odd]


def _length(result: dict[str, Any]) -> ResultVerdict:
    failed = _ended(result["arms"])
    found = [arm for arm in result["arms"] if arm["longest"]]
    if not found:
        return ResultVerdict("plain", say("headline.no_length"), failed)
    first, best = found[0], max(found, key=lambda arm: int(arm["longest"]))
    if best["longest"] == first["longest"]:
        return ResultVerdict("plain", say("headline.length_one", arm=best["arm"], length=longest_of(best)), failed)
    phrase = say(
        "headline.length_more" if best["capped"] else "headline.length",
        arm=best["arm"],
        length=f"{best['longest']:,}",
        against=first["arm"],
        other=f"{first['longest']:,}",
        ratio=times(best["longest"] / first["longest"]),
    )
    return ResultVerdict("good", phrase, failed)


def _recipe(result: dict[str, Any]) -> ResultVerdict:
    target, ratio, arms = result["target_loss"], result["ratio"], result["arms"]
    failed = _ended(arms)
    missed = [say("fact.missed", arm=arm["arm"]) for arm in arms if arm["status"] == "ok" and not arm["reached"]]
    if ratio is None or not result["valid"]:
        return ResultVerdict("plain", say("headline.recipe_none"), [*missed, *failed])
    found = _factors(result)
    key = (
        "headline.recipe_at_least"
        if result["at_least"]
        else "headline.recipe"
        if ratio > 1
        else "headline.recipe_slower"
    )
    phrase = say(key, arm=arms[-1]["arm"], against=arms[0]["arm"], ratio=times(ratio), target=figure(target))
    return ResultVerdict("good", phrase, [*found, *missed, *failed])


def _factors(result: dict[str, Any]) -> list[Phrase]:
    """What sets the arms apart: parts of the ratio where both arrived, and no parts of a lower bound."""
    factors: dict[str, Any] = {name: times(value) for name, value in (result["factors"] or {}).items() if value}
    if not factors:
        return []
    part = factors.pop("shared_prefix", times(1))
    factors["shared"] = say("fact.factors.shared", part=part) if part != times(1) else ""
    if "samples" in factors and not result["at_least"]:
        return [say("fact.factors.whole", **factors)]
    against = result["arms"][0]["arm"]
    bound = [say("fact.factors.bound", against=against)] if result["at_least"] else []
    return [say("fact.factors", **{name: value for name, value in factors.items() if name != "samples"}), *bound]


def _planner(result: dict[str, Any]) -> ResultVerdict:
    trained = [case for case in result["arms"] if case["error"] is not None]
    ended = _ended(result["arms"], but="out of memory")
    mistaken = [
        say("fact.plan_mistaken", case=case["arm"], gate=figure(case["gate_gib"]))
        for case in result["arms"]
        if case["verdict"] == "fits" and case["status"] == "out of memory"
    ]
    if not trained:
        return ResultVerdict("plain", say("headline.nothing"), [*mistaken, *ended])
    limit, errors = result["limit"], [case["error"] for case in trained]
    within = sum(abs(error) <= limit for error in errors)
    worst = max(trained, key=lambda case: abs(case["error"]))
    phrase = say(
        "headline.planner",
        within=within,
        cases=len(errors),
        limit=percent(limit),
        low=signed(min(errors)),
        high=signed(max(errors)),
    )
    fact = say(
        "fact.plan_worst",
        case=worst["arm"],
        planned=figure(worst["planned_gib"]),
        allocated=figure(worst["allocated_gib"]),
        error=signed(worst["error"]),
    )
    good = within == len(errors) and not mistaken
    return ResultVerdict("good" if good else "bad", phrase, [fact, *mistaken, *ended])


_RATES = {"must": "must_call_exact", "silent": "abstention", "name": "tool_name_accuracy"}
"""What the verdict on rows tells of: by itself, a model that never calls looks right in the second."""


def _rows(result: dict[str, Any]) -> ResultVerdict:
    """The line of equal epochs gives the headline where it is there: that is what a user with so many rows gets."""
    lines = {mode: [point for point in points if point["rates"]] for mode, points in by_mode(result).items()}
    ended = _ended(result["arms"])
    measured = say("fact.rows_measured", n=result["settings"]["rows_asked"])
    long = {mode: line for mode, line in lines.items() if len(line) > 1}
    if not long:
        return ResultVerdict("plain", say("headline.nothing"), [measured, *ended])
    mode = "epochs" if "epochs" in long else "steps"
    first, *_, last = long[mode]
    told = [rate for rate in _RATES.values() if last["rates"][rate]["n"]]  # data may have one kind of rows only
    facts = [_more_rows(each, line, rate) for each, line in long.items() for rate in told]
    figures = {
        f"{key}_{name}": percent(point["rates"][rate]["value"])
        for key, rate in _RATES.items()
        for name, point in (("first", first), ("last", last))
    }
    rows = {"few": f"{first['rows']:,}", "many": f"{last['rows']:,}"}
    phrase = say("headline.rows", mode=say(MODES[mode]), **rows, **figures)
    clear = any(_apart(first["rates"][rate], last["rates"][rate]) for rate in told)
    return ResultVerdict("good" if clear else "plain", phrase, [*facts, measured, *ended])


def _more_rows(mode: str, line: list[dict[str, Any]], rate: str) -> Phrase:
    """What the last step to more rows did to a rate."""
    few, many = line[-2:]
    before, after = few["rates"][rate], many["rates"][rate]
    key = "fact.rows_apart" if _apart(before, after) else "fact.rows_overlap"
    change = f"{100 * (after['value'] - before['value']):+.1f}".replace("-", "−")
    rows = {"few": f"{few['rows']:,}", "many": f"{many['rows']:,}"}
    return say(key, mode=say(MODES[mode]), rate=say(f"rate.{rate}"), change=change, **rows)


def _apart(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two rates' intervals have nothing in common."""
    return bool(one["high"] < other["low"] or other["high"] < one["low"])


_VERDICTS = {
    "train": _train,
    "length": _length,
    "recipe": _recipe,
    "rows": _rows,
    "planner": _planner,
}
