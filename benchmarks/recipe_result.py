"""The result of `benchmarks recipe`: what stands in its file, and how arms' events become rows and a verdict."""

from typing import Any, Literal, TypedDict, cast

from benchmarks.results import Measured, Status
from benchmarks.watch import Ended
from tooltune.config import Config

PLAIN, LITERAL, PRESET = "plain-hf", "plain-hf literal", "preset"

Event = dict[str, Any]
"""What an arm tells: see `recipe_arm.run_arm`."""


class ArmRow(TypedDict):
    """One arm. Figures are None where it did not come so far.

    `curve` holds [seconds, samples, validation loss] for each evaluation; `seconds` are training alone.
    `samples_per_second` is over all of them, `tokens_per_sample` the mean of the training rows, each by itself, and
    `computed_per_sample` what is computed of it: a prefix that rows share only once.
    """

    arm: str
    status: Status
    reason: str | None
    reached: bool
    seconds_to_target: float | None
    seconds_with_setup: float | None
    samples_to_target: int | None
    seconds: float | None
    samples: int
    load_seconds: float | None
    warm_up_seconds: float | None
    peak_memory_gib: float | None
    samples_per_second: float | None
    tokens_per_sample: float | None
    computed_per_sample: float | None
    tokens_per_second: float | None
    supervised: dict[str, Any] | None
    curve: list[list[float]]
    config: dict[str, Any]


class Factors(TypedDict):
    """Plain over preset, each above 1 where the preset is better off; `samples` is None when plain did not arrive.

    `shared_prefix` is the part of `tokens_per_second` that comes from computing a prefix that rows share once; 1: none.
    """

    samples: float | None
    tokens_per_sample: float
    tokens_per_second: float
    shared_prefix: float


class RecipeResult(Measured):
    """The whole file. `ratio`: plain's seconds to the target over the preset's; None: it cannot be said."""

    kind: Literal["recipe"]
    budget_gib: float | None
    settings: dict[str, Any]
    valid: bool
    target_loss: float | None
    arms: list[ArmRow]
    ratio: float | None
    at_least: bool
    factors: Factors | None


def unmeasured(name: str, config: Config) -> ArmRow:
    """The row of an arm before it has run: every other figure is None."""
    known = {"arm": name, "status": "skipped", "reason": "not run", "reached": False, "samples": 0, "curve": []}
    return cast(ArmRow, dict.fromkeys(ArmRow.__annotations__) | known | {"config": config.model_dump(mode="json")})


def fill(row: ArmRow, events: list[Event], ended: Ended) -> None:
    """Put what an arm told into its row; its own word on how it ended is the one that counts."""
    told = {event["event"]: event for event in events}  # the last of each
    last = told.get("ended") or {"status": ended.status, "reason": ended.reason}
    if ended.status == "ok" and "ended" not in told:
        last = {"status": "crashed", "reason": "it ended without a word"}
    row["status"], row["reason"] = last["status"], last["reason"]
    row["curve"] = [[e["seconds"], e["samples"], e["loss"]] for e in events if e["event"] == "evaluated"]
    if "rows" not in told:
        return
    tokens = told["rows"]["tokens_per_sample"]
    row["tokens_per_sample"], row["supervised"] = tokens, told["rows"]["supervised"]
    row["computed_per_sample"] = told["rows"]["computed_per_sample"]
    row["load_seconds"] = told.get("loaded", {}).get("seconds")
    row["warm_up_seconds"] = told.get("warmed up", {}).get("seconds")
    if trained := told.get("trained"):
        row["seconds"], row["samples"] = trained["seconds"], trained["samples"]
        row["peak_memory_gib"] = trained["peak_memory_gib"]
        rate = trained["samples"] / trained["seconds"]
        row["samples_per_second"], row["tokens_per_second"] = round(rate, 4), round(rate * tokens, 1)


def settle(result: RecipeResult) -> None:
    """Say for each arm when it reached the target, and the ratio and its factors."""
    target = result["target_loss"]
    for row in result["arms"]:
        point = next((p for p in row["curve"] if target is not None and p[2] <= target), None)
        row["reached"] = point is not None
        if point:
            row["seconds_to_target"], row["samples_to_target"] = point[0], int(point[1])
            before = (row["load_seconds"] or 0) + (row["warm_up_seconds"] or 0 if row["arm"] == PRESET else 0)
            row["seconds_with_setup"] = round(point[0] + before, 2)
    plain, preset = result["arms"][0], result["arms"][-1]
    result["ratio"], result["at_least"] = _ratio(plain, preset)
    result["factors"] = _factors(plain, preset)


def _ratio(plain: ArmRow, preset: ArmRow) -> tuple[float | None, bool]:
    """Plain's seconds over the preset's, and whether that is only a lower bound."""
    ours = preset["seconds_to_target"]
    if not ours:
        return None, False
    if plain["seconds_to_target"] is not None:
        return round(plain["seconds_to_target"] / ours, 3), False
    # An arm that broke down would never have arrived; one that was stopped took at least so long.
    if plain["status"] in ("ok", "interrupted", "hung") and (plain["seconds"] or 0) > ours:
        return round((plain["seconds"] or 0) / ours, 3), True
    return None, False


def _factors(plain: ArmRow, preset: ArmRow) -> Factors | None:
    if not (plain["tokens_per_second"] and preset["tokens_per_second"]):
        return None
    assert plain["tokens_per_sample"] and preset["tokens_per_sample"]
    samples = None
    if plain["samples_to_target"] is not None and preset["samples_to_target"]:
        samples = round(plain["samples_to_target"] / preset["samples_to_target"], 3)
    return {
        "samples": samples,
        "tokens_per_sample": round(plain["tokens_per_sample"] / preset["tokens_per_sample"], 3),
        "tokens_per_second": round(preset["tokens_per_second"] / plain["tokens_per_second"], 3),
        "shared_prefix": round(_saved(preset) / _saved(plain), 3),
    }


def _saved(row: ArmRow) -> float:
    """Tokens of the rows to each that is computed."""
    assert row["tokens_per_sample"] and row["computed_per_sample"]
    return row["tokens_per_sample"] / row["computed_per_sample"]
