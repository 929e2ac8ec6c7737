"""What rows begin with alike: how many fewer tokens are computed where that is read once, and what stands against it.

Training does this on a model's tokens (finetune/shared_prefix.py), by the same rule for families.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice, pairwise, takewhile
from statistics import median
from typing import Any

from data.check.words import phrase
from data.families import SHORTEST, common, cut_by_prefix
from data.record import Record
from data.template import apply, project_template
from tooltune.words import Phrase

LETTERS = 4
"""Characters that are taken for a token where there is no tokenizer."""
STEP = 8
"""Rows of an optimizer step, in the presets."""
LITTLE = 1.2
"""Times fewer. Where sharing saves less than this, the report says why."""

Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True)
class TokenisedRow:
    """One row.

    Attributes:
        records, number: where its record is, which may be on disk.
        lead: ids of what stands before its first token that carries loss: only that may be shared.
        length: ids of the whole row.
    """

    records: Sequence[Record]
    number: int
    lead: "list[int] | array[int]"
    length: int

    @property
    def record(self) -> Record:
        """The record."""
        return self.records[self.number]


@dataclass(frozen=True)
class Shared:
    """What rows share.

    Attributes:
        unit: token, or character where there was no tokenizer.
        rows, families, alike: all rows, families of at least two that share a prefix, and the rows of those.
        prefix: units that a row of a family shares, on average.
        total, computed: units of all rows, and those that are computed when each prefix is read once a step.
        reason: why little or nothing is saved; None where much is.
    """

    unit: str
    rows: int
    families: int
    alike: int
    prefix: int
    total: int
    computed: int
    step: int
    reason: Phrase | None = None

    @property
    def times(self) -> float:
        """How many times fewer units are computed."""
        return self.total / self.computed

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON, with the sentence in English."""
        return asdict(replace(self, reason=None)) | {"reason": str(self.reason or ""), "sentence": str(self.sentence())}

    def sentence(self) -> Phrase:
        why = phrase("why", reason=self.reason) if self.reason else ""
        if not self.families:
            return phrase("shared.none", rows=self.rows, why=why)
        unit = phrase(f"unit.{self.unit}")
        saved = (
            phrase("shared.times", times=self.times, unit=unit)
            if self.times >= LITTLE
            else phrase("shared.share", share=1 - 1 / self.times, unit=unit)
        )
        counts = {"prefix": self.prefix, "alike": self.alike, "unit": unit, "saved": saved, "why": why}
        if self.families == 1:
            return phrase("shared.all" if self.alike == self.rows else "shared.one", rows=self.rows, **counts)
        size, alone = self.alike / self.families, self.rows - self.alike
        counts |= {"families": self.families, "size": size}
        return phrase("shared.alone", alone=alone, **counts) if alone else phrase("shared.families", **counts)


def shared(rows: Sequence[TokenisedRow], encode: Encode, unit: str, step: int = STEP) -> Shared:
    """What rows share, a family standing together in steps of `step` rows.

    Args:
        encode: a text as ids, in the same units as the rows.
    """
    order = sorted(rows, key=lambda row: row.lead)
    shortest = SHORTEST * (1 if unit == "token" else LETTERS)
    found = cut_by_prefix([row.lead for row in order], shortest)
    several = [(n, prefix) for n, prefix in found if n > 1]
    alike = sum(n for n, _ in several)
    total = sum(row.length for row in rows)
    computed = total - sum((n - -(-n // step)) * prefix for n, prefix in several)
    little = total < LITTLE * computed
    return Shared(
        unit=unit,
        rows=len(rows),
        families=len(several),
        alike=alike,
        prefix=round(sum(n * prefix for n, prefix in several) / alike) if alike else 0,
        total=total,
        computed=computed,
        step=step,
        reason=reason(order, encode, unit, bool(several)) if little else None,
    )


def reason(rows: Sequence[TokenisedRow], encode: Encode, unit: str, shares: bool) -> Phrase:
    """Why sorted rows share little: what neighbours most often differ in first, and what to do about it."""
    if len(rows) < 2:
        return phrase("reason.single")
    places: dict[str, list[int]] = {"system": [], "tools": [], "turns": []}
    for one, other in pairwise(rows):
        part, place = _difference(one.record, other.record, encode)
        places[part].append(place)
    part = max(places, key=lambda name: len(places[name]))
    place = round(median(places[part]))
    if part == "system":
        tools = any(row.record.tools for row in rows)
        return phrase("reason.system_and_tools" if tools else "reason.system", unit=phrase(f"unit.{unit}"), place=place)
    if part == "tools":
        return phrase("reason.tools", place=place)
    if shares:
        length = sum(r.length for r in rows) // len(rows)
        return phrase("reason.long", length=length, unit=phrase(f"unit.{unit}"))
    if not any(row.record.tools or _system(row.record) for row in rows):
        return phrase("reason.request")
    return phrase("reason.short", shortest=SHORTEST)


def _difference(one: Record, other: Record, encode: Encode) -> tuple[str, int]:
    """In what two rows differ first, and from which id, or tool, on (from 1)."""
    if _system(one) != _system(other):
        return "system", common(encode(_system(one)), encode(_system(other))) + 1
    if one.tools != other.tools:
        pairs = takewhile(lambda pair: pair[0] == pair[1], zip(one.tools, other.tools, strict=False))
        return "tools", sum(1 for _ in pairs) + 1
    return "turns", 0


def _system(record: Record) -> str:
    first = record.messages[0] if record.messages else {}
    return str(first.get("content") or "") if first.get("role") == "system" else ""


class Characters:
    """Stands for a tokenizer where there is none: a character is an id, and the turns are ChatML's."""

    bos_token_id, bos_token, eos_token = None, None, "<|im_end|>"

    def get_vocab(self) -> dict[str, int]:
        """No token is known, so that the project's template takes ChatML's."""
        return {}

    def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
        return {"input_ids": [list(map(ord, text)) for text in texts]}

    def apply_chat_template(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None,
        chat_template: str,
        add_generation_prompt: bool,
        **_: Any,
    ) -> str:
        """The text of a conversation, as transformers' tokenizers write it."""
        from transformers.utils.chat_template_utils import render_jinja_template

        texts: list[list[str]] = render_jinja_template(
            [messages], tools=tools, chat_template=chat_template, add_generation_prompt=add_generation_prompt
        )
        return texts[0][0]


def shared_prefixes(
    records: Sequence[Record],
    lengths: Sequence[int],
    tokenizer: Any | None,
    looking: Callable[[Sequence[Record]], Iterable[Record]] = iter,
) -> Shared:
    """What records share in the project's template, with tools as signatures, as the presets have them.

    Args:
        lengths: of the whole rows, `row_lengths` with the same tokenizer.
        tokenizer: of a model; None: characters are counted, those of `Characters`.
        looking: shows how far it is.
    """
    encoder = tokenizer or Characters()
    template = project_template(encoder, "signature")

    def encode(texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = encoder(texts, add_special_tokens=False)["input_ids"]
        return ids

    rows: list[TokenisedRow] = []
    coming = iter(looking(records))
    while part := list(islice(coming, 256)):
        start = len(rows)
        befores = [list(takewhile(lambda turn: turn["role"] != "assistant", r.messages)) for r in part]
        leads = encode(
            [
                apply(template, encoder, turns, r.tools, generation_prompt=True) if turns else ""
                for turns, r in zip(befores, part, strict=True)
            ]
        )
        whole = lengths[start : start + 256]
        rows += [
            TokenisedRow(records, start + n, array("I", lead), length)
            for n, (lead, length) in enumerate(zip(leads, whole, strict=True))
        ]
    return shared(rows, lambda text: encode([text])[0], "token" if tokenizer else "character")
