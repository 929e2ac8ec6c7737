"""One row of the dataset: a request drawn for its bucket, the tools it offers, its gold answer, what is known of it."""

import random
from dataclasses import replace
from typing import Any

from data.structural.engine import state_line
from data.structural.language import noise
from data.structural.language.speaker import Speaker
from data.structural.proof import split_leaks as checks
from data.structural.proof.row_check import verdict
from data.structural.requests import nocall, renames, toolsets
from data.structural.requests.frames import COUNTS, make_frame
from data.structural.requests.intents import HELDOUT, INTENTS, PARALLEL, by_weight
from data.structural.requests.multitool import chain
from data.structural.requests.multiturn import called, multi_turn, user
from data.structural.requests.request import Request, Situation
from data.structural.requests.sessions import Session
from data.structural.requests.splits import LANGUAGES, STYLES, WANTS, Bucket

SYSTEM = "Call the tools for the request. Ask back if a required value is missing or unclear.\nModel: {state}"
MANY = (2, 2, 2, 2, 3, 3, 3, 4, 5, 6)  # how many calls a parallel request makes
FORMULAIC = ("run_modal_analysis", "generate_code_combinations", "define_material")  # few slots: any wording is close
TRIES = 400


def make_row(
    split: str, bucket: Bucket, kind: str, number: int, seed: int, seen: "checks.Seen", session: Session | None = None
) -> dict[str, Any] | None:
    """One row: drawn again, from the same source of randomness, until it is new and shows what its bucket asks for.

    Args:
        session: whose model, language and tools the row is to have, and which takes it in. It then offers no more
            tools than it needs, until the session closes.

    Returns:
        The row, or None when no draft fits into the session besides the rows that it has.
    """
    rng = random.Random(f"{seed}:{split}:{number}")
    languages = session.languages if session else LANGUAGES
    lang, usual = by_weight(rng.random(), languages), next(iter(languages))
    if bucket.compose and bucket.pool == "val" and kind == "parallel":
        lang = "ko"  # number words
    for attempt in range(TRIES):
        # Evenly spread over the tools; held through the retries, or the tools that are hard to word would be rare.
        place = (number * 0.6180339887 + 0.5 * (attempt // 60)) % 1
        said = lang if attempt < TRIES / 2 else usual
        draft = _draw(split, bucket, kind, number, rng, said, seen, place, session, attempt)
        if draft and seen.take(draft[0]):
            if session:
                session.add(*draft)
            return draft[0]
    if session and session.rows:
        return None
    raise RuntimeError(f"no new {kind} row for {bucket.name} of {split}, number {number}")


def _draw(
    split: str,
    bucket: Bucket,
    kind: str,
    number: int,
    rng: random.Random,
    lang: str,
    seen: "checks.Seen",
    place: float,
    session: Session | None,
    attempt: int,
) -> tuple[dict[str, Any], Request] | None:
    speaker = Speaker(rng, lang, bucket.pool, want=_wants(rng, bucket, kind))
    if bucket.name == "T2":
        speaker.detail = 0.2
    if bucket.compose:
        speaker.novelty = speaker.plan_novelty = 0.15
    model = session.model if session else make_frame(split, int(rng.random() * COUNTS[split]))
    many = speaker.at(MANY) if kind == "parallel" else 1
    scene = Situation(model, split, speaker, many, about=session.about if session else [])
    if twin := session.twin(kind, attempt) if session else None:
        speaker = replace(twin.speaker, rng=rng, shown=[*twin.speaker.shown])
        lang, request = speaker.lang, Request(twin.text, twin.calls, twin.calls[0][0])
    else:
        try:
            request = _request(scene, bucket, kind, place, session.weights(kind) if session else None)
        except LookupError:  # the plan that was drawn cannot say these slots
            return None
    if session and not session.fits(kind, request.tools, attempt):
        return None
    if len(speaker.held) < bucket.held or (bucket.compose and not _composed(speaker, kind)):
        return None
    text = noise.smudge(speaker, request.text)
    names = request.tools if session else toolsets.choose(speaker, request.tools, seen=seen.toolsets)
    row: dict[str, Any] = {
        "id": f"{split}-{number:04d}",
        "messages": [
            {"role": "system", "content": SYSTEM.format(state=state_line(model.spec))},
            *request.history,
            user(text),
            called(request.calls) if request.calls else {"role": "assistant", "content": request.answer},
        ],
        "tools": toolsets.offer(names, lang),
        "meta": {
            "split": split,
            "bucket": bucket.name,
            "lang": lang,
            "phenomena": list(dict.fromkeys([kind, *speaker.shown])),
            "template_id": f"{request.template}/{lang}/{'-'.join(speaker.plans) or 'fixed'}",
            "model_id": model.id,
            **({} if session else {"model": model.spec.to_dict()}),
            "relevant_tools": list(dict.fromkeys([name for name, _ in request.calls] or request.concerns)),
        },
    }
    if session:
        row["meta"]["session"] = session.name
    if request.acceptable:
        row["meta"]["acceptable"] = request.acceptable
    found = verdict(row, request.refused)
    if not found["ok"]:
        seen.failed.append(f"{row['id']} {text} {request.calls} {found}")
        return None
    if not session:
        row["meta"]["verified"] = found
    if bucket.name == "T1":
        renames.offer_to([row], names, lang, by_weight(rng.random(), STYLES), speaker, set(HELDOUT))
    return row, request


def _request(
    scene: Situation, bucket: Bucket, kind: str, place: float, weights: dict[str, float] | None = None
) -> Request:
    """A request of a kind; `place` in [0, 1) picks the tool of a single or parallel one, by `weights` if given."""
    if kind in nocall.KINDS:
        return nocall.KINDS[kind](scene)
    if kind == "multi_turn":
        return multi_turn(scene)
    if kind == "multi_tool":
        return chain(scene, bucket.pool)
    if kind == "heldout":
        name = tuple(HELDOUT)[int(place * len(HELDOUT))]
        command = HELDOUT[name](scene)
    else:
        name = by_weight(place, weights) if weights else _tool(scene.speaker, bucket, kind, place)
        command = INTENTS[name][0](scene)
    if kind == "parallel" and not 2 <= len(command.calls) <= MANY[-1]:
        raise LookupError(name)
    return Request(command.sentence(scene.speaker), command.calls, name)


def _tool(speaker: Speaker, bucket: Bucket, kind: str, place: float) -> str:
    if bucket.compose and kind == "single":
        return "add_nodal_load"
    if bucket.compose:
        return speaker.at(("add_nodal_load", "add_member_distributed_load", "add_floor_load"))
    weights = PARALLEL if kind == "parallel" else {n: w for n, (_, w) in INTENTS.items() if w}
    if bucket.name == "T2":
        weights = weights | {n: 0.5 for n in FORMULAIC if n in weights}
    return by_weight(place, weights)


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
        plain = () if kind == "multi_tool" and bucket.name == "train" else ("plain_unit",)
        return (want, *plain) if want not in ("unit", "number_form", "correction") else plain
    if want == "correction":
        return ("correction", "axis_only")
    return (want,) if want else ()


def _composed(speaker: Speaker, kind: str) -> bool:
    if kind == "parallel":
        return "unit" in speaker.shown or "number_form" in speaker.shown
    if kind == "single":
        return "correction" in speaker.shown and "direction_word" in speaker.shown
    return True
