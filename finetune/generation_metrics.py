"""Tool metrics while training: generate a fixed slice of validation, parse, score."""

from collections.abc import Callable, Sequence
from typing import Any

from data.record import Record
from data.render import render_prompt
from finetune.device import Device
from finetune.rows import Prepared
from finetune.together import gathered, share
from tooltune.config import Config
from tooltune.errors import InputError
from tooltune.words import Say


def scorer(
    config: Config,
    device: Device,
    prepared: Prepared,
    records: Sequence[Record],
    warn: Say,
) -> Callable[[Any], dict[str, float]] | None:
    """A function from the model in training to the headline metrics of `records` and the share of answers without an
    end token (`truncated`), all 0 to 1; None when there are no records.

    Raises:
        InputError: the best checkpoint is to be chosen by `balanced`, and the rows that each evaluation scores are all
            of one kind, so that it will never be known.
    """
    if config.eval.select_by == "balanced" and len({bool(r.gold) for r in prepared.scored}) < 2:
        raise InputError(
            f"the {len(prepared.scored)} validation rows that each evaluation scores need both kinds: rows with a call "
            "and rows without",
            where="eval.select_by=balanced",
            fix="raise eval.generate, add rows of the other kind to the validation split, or choose by exact_match",
        )
    if not records:
        return None
    from eval import Sample, score
    from eval.generate import generate, safe_batch, say_shrunk
    from eval.load import dense_copy

    prompts = [render_prompt(r, prepared.tokenizer, prepared.template) for r in share(records)]
    four_bit = config.model.load_in_4bit
    safe: list[int] = []  # found at the first call

    def shrunk(before: int, now: int) -> None:
        safe[:] = [now]  # for the evaluations to come too
        say_shrunk(warn)(before, now)

    def run(model: Any) -> dict[str, float]:
        asked = dense_copy(model, prepared.folder, load_in_4bit=four_bit) if device.kind == "cpu" else model
        if prompts and not safe:
            wanted = config.eval.generate_batch
            safe.append(safe_batch(asked, prepared.tokenizer, prompts, batch=wanted, warn=warn))
        limit = config.eval.max_new_tokens
        options: dict[str, Any] = {"max_new_tokens": limit, "batch": safe[0], "shrunk": shrunk} if prompts else {}
        outputs = gathered(generate(asked, prepared.tokenizer, prompts, **options) if prompts else [])
        pairs = zip(records, outputs, strict=True)
        samples = [Sample.from_record(r, o.text, truncated=o.truncated) for r, o in pairs]
        headline = score(samples, family=prepared.template.family)["headline"]
        rates = {name: rate["value"] for name, rate in headline.items() if rate["value"] is not None}
        return rates | {"truncated": sum(o.truncated for o in outputs) / len(outputs)}

    return run
