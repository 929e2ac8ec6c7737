"""Build the dataset: train, validation and test rows of structural requests, the same bytes on every machine.

Run `python -m data.structural.build` to write the files beside this one.
"""

import argparse
import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.files import atomic_write, write_json
from data.structural import checks, nocall, noise, renames, toolsets
from data.structural.act import Call, Scene
from data.structural.engine import state_line
from data.structural.intents import HELDOUT, INTENTS, PARALLEL, by_weight
from data.structural.models import COUNTS, make_model
from data.structural.multitool import chain
from data.structural.multiturn import Turns, called, multi_turn, user
from data.structural.splits import LANGUAGES, RENAMED, SPLITS, UNDESCRIBED, WANTS, Bucket, quota
from data.structural.verify import verdict
from data.structural.voice import Voice

SEED = 20261
HERE = Path(__file__).parent
FORMULAIC = ("run_modal_analysis", "generate_code_combinations", "define_material")  # few slots: any wording is close
SYSTEM = "Call the tools for the request. Ask back if a required value is missing or unclear.\nModel: {state}"


def build_split(split: str, seed: int, seen: "checks.Seen", limit: int = 0) -> Iterator[dict[str, Any]]:
    """The rows of one split in order; `seen` holds what other splits said, `limit` cuts each bucket for a sample."""
    number = 0
    for bucket in SPLITS[split]:
        kinds = quota(bucket)
        for kind in kinds[:limit] if limit else kinds:
            yield make_row(split, bucket, kind, number, seed, seen)
            number += 1


def make_row(split: str, bucket: Bucket, kind: str, number: int, seed: int, seen: "checks.Seen") -> dict[str, Any]:
    """One row: drawn again, from the same source of randomness, until it is new and shows what its bucket asks for."""
    rng = random.Random(f"{seed}:{split}:{number}")
    lang = by_weight(rng.random(), LANGUAGES)
    if bucket.compose and bucket.pool == "val" and kind == "parallel":
        lang = "ko"  # number words
    if lang != "ko" and bucket.name in ("T2", "T5") and rng.random() < 0.3:
        lang = "ko"  # the held-out rules are mostly Korean
    for attempt in range(400):
        # Evenly spread over the tools; held through the retries, or the tools that are hard to word would be rare.
        place = (number * 0.6180339887 + 0.5 * (attempt // 60)) % 1
        row = _draw(split, bucket, kind, number, rng, lang, seen, place)
        if row and seen.take(row):
            return row
    raise RuntimeError(f"no new {kind} row for {bucket.name} of {split}, number {number}")


def _draw(
    split: str, bucket: Bucket, kind: str, number: int, rng: random.Random, lang: str, seen: "checks.Seen", place: float
) -> dict[str, Any] | None:
    voice = Voice(rng, lang, bucket.pool, want=_wants(rng, bucket, kind))
    if bucket.name == "T2":
        voice.detail = 0.2
    if bucket.compose:
        voice.novelty = voice.plan_novelty = 0.15
    model = make_model(split, int(rng.random() * COUNTS[split]))
    scene = Scene(model, split, voice, many=voice.at((2, 2, 2, 2, 3, 3, 3, 4, 5, 6)) if kind == "parallel" else 1)
    try:
        history, text, calls, answer, tools, template, refused = _say(scene, bucket, kind, place)
    except LookupError:
        return None
    if len(voice.held) < bucket.held or (bucket.compose and not _composed(voice, kind)):
        return None
    text = noise.smudge(voice, text)
    if calls and len(calls) > 6:
        return None
    names = toolsets.choose(voice, _needed(history, tools), seen.toolsets if split != "train" else None)
    last = called(calls) if calls else {"role": "assistant", "content": answer}
    row: dict[str, Any] = {
        "id": f"{split}-{number:04d}",
        "messages": [
            {"role": "system", "content": SYSTEM.format(state=state_line(model.spec))},
            *history,
            user(text),
            last,
        ],
        "tools": toolsets.offer(names),
        "meta": {
            "split": split,
            "bucket": bucket.name,
            "lang": lang,
            "phenomena": list(dict.fromkeys([kind, *voice.shown])),
            "template_id": f"{template}/{lang}/{'-'.join(voice.plans) or 'fixed'}",
            "model_id": model.id,
            "model": model.spec.to_dict(),
            "relevant_tools": list(dict.fromkeys(tools)),
        },
    }
    row["meta"]["verified"] = verdict(row, refused)
    if not row["meta"]["verified"]["ok"]:
        seen.failed.append(f"{row['id']} {text} {calls} {row['meta']['verified']}")
        return None
    if bucket.name in ("train", "T1"):
        share = rng.random()
        if share < RENAMED:
            renames.rename(voice, row, set(HELDOUT))
        elif share < RENAMED + UNDESCRIBED:
            renames.bare(row)
    return row


def _say(
    scene: Scene, bucket: Bucket, kind: str, place: float
) -> tuple[Turns, str, list[Call], str, list[str], str, list[Call]]:
    """(history, request, calls, answer when there are none, tools concerned, template, calls to be refused)."""
    voice = scene.voice
    if kind in nocall.KINDS:
        silence = nocall.KINDS[kind](scene)
        voice.shown.append(silence.why)
        return [], silence.text, [], silence.answer, silence.tools, kind, silence.refused
    if kind == "multi_turn":
        name, history, text, calls = multi_turn(scene)
        return history, text, calls, "", [n for n, _ in calls], f"multi_turn:{name}", []
    if kind == "multi_tool":
        name, text, calls = chain(scene, bucket.pool)
        return [], text, calls, "", [n for n, _ in calls], name, []
    if kind == "heldout":
        name = tuple(HELDOUT)[int(place * len(HELDOUT))]
        act = HELDOUT[name](scene)
    else:
        weights = PARALLEL if kind == "parallel" else {n: w for n, (_, w) in INTENTS.items() if w}
        if bucket.name == "T2":
            weights = weights | {n: 0.5 for n in FORMULAIC if n in weights}
        name = by_weight(place, weights)
        if bucket.compose:
            name = (
                "add_nodal_load"
                if kind == "single"
                else voice.at(("add_nodal_load", "add_member_distributed_load", "add_floor_load"))
            )
        act = INTENTS[name][0](scene)
        if kind == "parallel" and len(act.calls) < 2:
            raise LookupError(name)
    return [], act.sentence(voice), act.calls, "", [act.tool], name, []


def _wants(rng: random.Random, bucket: Bucket, kind: str) -> tuple[str, ...]:
    """What this row should show. Parallel calls in other units and corrections with direction words are kept for T3."""
    if bucket.compose and kind == "parallel":
        return ("unit",) if bucket.pool == "test" else ("number_form", "plain_unit")
    if bucket.compose and kind == "single":
        return ("correction",)
    want = by_weight(rng.random(), WANTS)
    if kind == "irrelevant" and want == "distractor":
        return ()
    if kind in ("parallel", "multi_tool"):
        return (want, "plain_unit") if want not in ("unit", "number_form", "correction") else ("plain_unit",)
    if want == "correction":
        return ("correction", "axis_only")
    return (want,) if want else ()


def _composed(voice: Voice, kind: str) -> bool:
    if kind == "parallel":
        return "unit" in voice.shown or "number_form" in voice.shown
    if kind == "single":
        return "correction" in voice.shown and "direction_word" in voice.shown
    return True


def _needed(history: Turns, tools: list[str]) -> list[str]:
    """The tools that a row must offer: those it concerns and those that its history called."""
    earlier = [c["function"]["name"] for m in history for c in m.get("tool_calls") or []]
    return list(dict.fromkeys([*tools, *earlier]))


def build(out_dir: str | Path, seed: int = SEED, limit: int = 0) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    """Write train.jsonl, validation.jsonl, test.jsonl and digests.json to a folder.

    Returns:
        The rows by split, and one line for each draft that the engine or the second reader refused.
    """
    out, seen = Path(out_dir), checks.Seen()
    rows: dict[str, list[dict[str, Any]]] = {}
    for split in ("train", "test", "validation"):
        rows[split] = list(build_split(split, seed, seen, limit))
        with atomic_write(out / f"{split}.jsonl") as file:
            file.writelines(line(row) for row in rows[split])
    write_json(out / "digests.json", {s: digest(rows[s]) for s in ("train", "validation", "test")})
    return rows, seen.failed


def digest(rows: list[dict[str, Any]]) -> str:
    """SHA-256 of a split's rows as they stand in its file."""
    return hashlib.sha256("".join(map(line, rows)).encode("utf-8")).hexdigest()


def line(row: dict[str, Any]) -> str:
    """A row as its file has it: compact JSON, literal Hangul."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def main() -> None:
    """The command line: `python -m data.structural.build [--out DIR] [--limit N]`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--limit", type=int, default=0, help="rows a bucket, for a quick sample")
    options = parser.parse_args()
    rows, refused = build(options.out, options.seed, options.limit)
    for draft in refused:
        print(f"drawn again: {draft}")
    for split, found in rows.items():
        print(f"{split}: {len(found)} rows, {(options.out / f'{split}.jsonl').stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
