"""The only place where text becomes tokens, for training, evaluation and benchmarks alike.

An assistant turn is found by prefix difference: the conversation up to the turn, rendered with the generation prompt,
is cut from the conversation with the turn. What is left is exactly what the model must write. The pieces are tokenised
one by one and joined, so the prompt that a model sees when it is asked is, token for token, the one it was trained on.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import lru_cache, partial
from typing import Any

from data.record import Record, calls_of
from data.template import Template, apply, way_out, whose
from tooltune.errors import InputError
from tooltune.files import dump_json

IGNORED = -100  # the label that the cross-entropy of PyTorch and transformers leaves out


class Role(IntEnum):
    """What a token is to the loss. A higher value wins where a token spans two of them."""

    MASKED = 0
    FORMAT = 1
    TEXT = 2
    ARGUMENTS = 3
    NAME = 4


@dataclass
class Example:
    """One rendered row: three lists of equal length, one entry a token; arrays of a row that is on disk.

    Attributes:
        input_ids: token ids of the whole conversation.
        labels: the same ids in assistant turns that train (end token included), `IGNORED` elsewhere.
        roles: a `Role` a token; MASKED where the label is ignored.
    """

    id: str
    input_ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    roles: list[int] = field(default_factory=list)

    @property
    def supervised(self) -> int:
        """How many tokens carry loss."""
        import numpy as np

        return int(np.count_nonzero(np.asarray(self.labels) != IGNORED))


@dataclass(frozen=True)
class TrainedTurn:
    """An assistant turn that carries loss, as a template writes it.

    Attributes:
        index: which of the record's messages it is.
        start: where it starts in the rendered conversation, in characters.
        text: what the model must write, end token included; spaces after it are the template's.
    """

    index: int
    start: int
    text: str


@dataclass
class Rendered:
    """All rows of a split, and those that were too long to take."""

    examples: Sequence[Example]
    dropped: list[tuple[str, int]]  # (row id, tokens)


def render(
    record: Record,
    tokenizer: Any,
    template: Template,
    check: Callable[[TrainedTurn], None] = lambda turn: None,
    marks: "Marks | None" = None,
) -> Example:
    """Render one record with every assistant turn supervised, but those that say `"trained": false`.

    Args:
        check: told each turn that is trained before it is tokenised; what it raises ends the row.
        marks: the tokenizer's, where many rows are rendered: to see whether it has new ones takes a tenth of a row.

    Raises:
        InputError: the template raises, or does not keep what it wrote before; an answer holds a special token or the
            end token; or no token of the row carries loss.
    """
    example = Example(record.id)
    end = 0
    marks = marks or _marks(tokenizer, len(tokenizer))
    record = _as_written(record, template)
    turns = list(_answers(record, tokenizer, template))
    for turn, _ in turns:
        check(turn)
    if turns and turns[-1][0].index == len(record.messages) - 1:
        full = turns[-1][1]
    else:
        full = apply(template, tokenizer, record.messages, record.tools, generation_prompt=False, where=record.id)
    for turn, _ in turns:
        if not full.startswith(turn.text, turn.start):
            raise InputError(
                f"the chat template rewrites turn {turn.index} when later turns follow",
                where=record.id,
                fix=_TEMPLATE_FIX,
            )
        _extend(example, tokenizer, full[end : turn.start])
        begins = len(example.input_ids)
        _extend(example, tokenizer, turn.text, answer_roles(turn.text, record.messages[turn.index]))
        _check_answer(record, tokenizer, template, turn.index, example.input_ids[begins:], marks)
        end = turn.start + len(turn.text)
    if not turns:
        raise InputError("no token of this row carries loss", where=record.id, fix="give the row an assistant turn")
    return example


def render_prompt(record: Record, tokenizer: Any, template: Template) -> list[int]:
    """The token ids before the last assistant turn, generation prompt included: what the model is asked with."""
    example = Example(record.id)
    end = 0
    record = _as_written(record, template)
    text = apply(template, tokenizer, record.prompt, record.tools, generation_prompt=True, where=record.id)
    for turn in answers(replace(record, messages=record.prompt), tokenizer, template):
        _extend(example, tokenizer, text[end : turn.start])
        _extend(example, tokenizer, turn.text)
        end = turn.start + len(turn.text)
    _extend(example, tokenizer, text[end:])
    return example.input_ids


def answers(record: Record, tokenizer: Any, template: Template) -> Iterator[TrainedTurn]:
    """Each assistant turn that is trained: what stands between the prompt before it and the conversation with it.

    Raises:
        InputError: the template raises, or writes the prompt differently once the answer is there.
    """
    for turn, _ in _answers(_as_written(record, template), tokenizer, template):
        yield turn


def _answers(record: Record, tokenizer: Any, template: Template) -> Iterator[tuple[TrainedTurn, str]]:
    """`answers` of a record `_as_written`, each with the whole text of the conversation up to it."""
    for index, message in enumerate(record.messages):
        if message["role"] != "assistant" or message.get("trained", True) is False:
            continue
        before, upto = record.messages[:index], record.messages[: index + 1]
        prefix = apply(template, tokenizer, before, record.tools, generation_prompt=True, where=record.id)
        whole = apply(template, tokenizer, upto, record.tools, generation_prompt=False, where=record.id)
        if not whole.startswith(prefix):
            raise InputError(
                f"the chat template writes the prompt of turn {index} differently once the answer is there",
                where=record.id,
                fix=_TEMPLATE_FIX,
            )
        yield TrainedTurn(index, len(prefix), whole[len(prefix) :].rstrip()), whole


def render_all(
    records: Iterable[Record],
    tokenizer: Any,
    template: Template,
    *,
    max_length: int,
    too_long: str = "drop",
    check: Callable[[Record, Template, TrainedTurn], None] = lambda record, template, turn: None,
) -> Rendered:
    """Render a split; see `stream_examples`."""
    examples: list[Example] = []
    limits: dict[str, Any] = {"max_length": max_length, "too_long": too_long}
    dropped = stream_examples(records, tokenizer, template, examples.append, check=check, **limits)
    return Rendered(examples, dropped)


def stream_examples(
    records: Iterable[Record],
    tokenizer: Any,
    template: Template,
    put: Callable[[Example], None],
    *,
    max_length: int,
    too_long: str = "drop",
    check: Callable[[Record, Template, TrainedTurn], None] = lambda record, template, turn: None,
) -> list[tuple[str, int]]:
    """Render a split and hand on each row; one that is longer than `max_length` tokens is dropped, never cut.

    Args:
        check: told each turn that is trained, with its record.

    Returns:
        Ids and tokens of the dropped rows.

    Raises:
        InputError: a row is too long and `too_long` is "fail", or no row is left; or what `check` raises.
    """
    dropped: list[tuple[str, int]] = []
    taken, marks = 0, _marks(tokenizer, len(tokenizer))
    for record in records:
        example = render(record, tokenizer, template, partial(check, record, template), marks)
        if len(example.input_ids) <= max_length:
            put(example)
            taken += 1
        elif too_long == "drop":
            dropped.append((record.id, len(example.input_ids)))
        else:
            raise InputError(
                f"the row has {len(example.input_ids)} tokens, the limit is {max_length}",
                where=record.id,
                fix="raise data.max_length, shorten the row, or set data.too_long=drop",
            )
    if not taken:
        longest = max((n for _, n in dropped), default=0)
        raise InputError(
            f"no row is left: all {len(dropped)} are longer than data.max_length={max_length}",
            fix=f"raise data.max_length (the longest row has {longest} tokens) or offer fewer tools (data.max_tools)",
        )
    return dropped


def align_end_token(tokenizer: Any, examples: Iterable[Example]) -> None:
    """Make the tokenizer's end token the one that the template ends an assistant turn with, whatever its file says.

    Raises:
        InputError: answers end with different tokens, or with the padding token, which is masked and never learnt.
    """
    last = {next(label for label in reversed(e.labels) if label != IGNORED) for e in examples}
    names = tokenizer.convert_ids_to_tokens(sorted(last))
    if len(last) != 1:
        raise InputError(f"the chat template ends answers with different tokens: {names[:4]}", fix=_TEMPLATE_FIX)
    tokenizer.eos_token = names[0]
    if tokenizer.eos_token_id == tokenizer.pad_token_id:
        raise InputError(
            f"the end token {names[0]} is the padding token: the model would never learn to stop",
            where="model.name",
            fix='name another token in the model\'s tokenizer_config.json ("pad_token")',
        )


def answer_roles(answer: str, message: dict[str, Any]) -> list[Role]:
    """The role of each character of an assistant turn as rendered: name, arguments, text, and format for the rest."""
    roles = [Role.FORMAT] * len(answer)
    cursor = 0

    def mark(start: int, end: int, role: Role) -> None:
        roles[start:end] = [role] * (end - start)

    content = message.get("content") or ""
    if content and (at := answer.find(content.strip())) >= 0:
        cursor = at + len(content.strip())
        mark(at, cursor, Role.TEXT)
    calls = calls_of(message)
    for i, call in enumerate(calls):
        at = answer.find(call["name"], cursor)
        if at < 0:
            break
        mark(at, at + len(call["name"]), Role.NAME)
        span = _json_span(answer, at + len(call["name"]), call["arguments"])
        if span is None:  # not a JSON family: all up to the next call's name
            following = answer.find(calls[i + 1]["name"], at + len(call["name"])) if i + 1 < len(calls) else -1
            span = (at + len(call["name"]), following if following >= 0 else len(answer))
        mark(*span, Role.ARGUMENTS)
        cursor = span[1]
    return roles


_TEMPLATE_FIX = "set data.template=project to use this project's template"


def _as_written(record: Record, template: Template) -> Record:
    """The record as the template gets it: whole numbers as integers, no reasoning where the template has no place for
    it or a switch (thinking is off)."""
    thinks = "reasoning_content" in template.source and "enable_thinking" not in template.source
    messages = [{k: v for k, v in m.items() if thinks or k != "reasoning_content"} for m in record.messages]
    return replace(record, messages=whole_numbers(messages), tools=whole_numbers(record.tools))


def whole_numbers(value: Any) -> Any:
    """A JSON value whose whole numbers are integers, at any depth: 1.0 becomes 1, which is the same number.

    Python writes 1.0 where JavaScript, Go and llama.cpp write 1. A model that was trained on the one is asked with the
    other as soon as it is served, so it is trained on what all but Python write.
    """
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, dict):
        return {key: whole_numbers(inner) for key, inner in value.items()}
    return [whole_numbers(inner) for inner in value] if isinstance(value, list) else value


Marks = tuple[frozenset[int], frozenset[int]]
"""Of a tokenizer; see `_marks`."""


def _check_answer(record: Record, tokenizer: Any, template: Template, turn: int, ids: list[int], marks: Marks) -> None:
    """Refuse an answer that a model could not write whole, or after which it could not stop; compared as tokens.

    Args:
        ids: of the answer, its end token the last.
    """
    added, special = marks
    message = record.messages[turn]
    calls = [[call["name"], call["arguments"]] for call in calls_of(message)]
    text = f"{message.get('content') or ''}\n{dump_json(calls)}"
    held = [i for i in tokenizer(text, add_special_tokens=False)["input_ids"] if i in special]
    if tokenizer.unk_token_id in held and tokenizer.unk_token not in text:  # a character that the vocabulary lacks
        held = [i for i in held if i != tokenizer.unk_token_id]
    if held:
        raise InputError(
            f"the answer of turn {turn} holds the text {tokenizer.convert_ids_to_tokens(held[0])}, which this model "
            "reads as a special token: the answer could never be generated whole",
            where=record.id,
            fix="write that text in another way, or leave the row out",
        )
    if not ids:
        raise InputError(f"the {whose(template)} chat template writes nothing for turn {turn}", where=record.id)
    end = ids[-1]
    name = tokenizer.convert_ids_to_tokens(end)
    if end not in added or end in ids[:-1]:
        fault = "stands inside it too" if end in added else "is an ordinary one"
        raise InputError(
            f"the {whose(template)} chat template ends turn {turn} with the token {name!r}, which {fault}: "
            "a model could not stop there",
            where=record.id,
            fix=way_out(template),
        )


@lru_cache(maxsize=2)
def _marks(tokenizer: Any, size: int) -> Marks:
    """The ids that stand for a fixed text beside the vocabulary, and the special ones among them but for thinking.

    Args:
        size: of the vocabulary: another one after tokens were added.
    """
    named = set(tokenizer.all_special_ids)
    added = tokenizer.added_tokens_decoder
    special = named | {i for i, token in added.items() if token.special}
    thinking = {i for i, token in added.items() if "think" in token.content}
    return frozenset(named | added.keys()), frozenset(special - thinking)


def _json_span(answer: str, start: int, arguments: dict[str, Any]) -> tuple[int, int] | None:
    """Where the arguments stand as one JSON object after `start`, or None when the family does not write JSON."""
    brace = answer.find("{", start)
    if brace < 0:
        return None
    try:
        value, end = json.JSONDecoder().raw_decode(answer, brace)
    except json.JSONDecodeError:
        return None
    return (brace, end) if value == arguments else None


def _extend(example: Example, tokenizer: Any, text: str, char_roles: list[Role] | None = None) -> None:
    """Append the tokens of one piece; without roles it is context and carries no loss."""
    if not text:
        return
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=char_roles is not None)
    ids = encoded["input_ids"]
    example.input_ids += ids
    if char_roles is None:
        example.labels += [IGNORED] * len(ids)
        example.roles += [Role.MASKED] * len(ids)
    else:
        example.labels += ids
        example.roles += [max(char_roles[a : max(b, a + 1)]) for a, b in encoded["offset_mapping"]]
