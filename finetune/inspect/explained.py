"""From a model and a rendered row to the loss of each token, by role, and the ten worst."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from data.render import Example, Role
from finetune.inspect.pieces import pieces
from finetune.losses import HEAD_ROWS, supervised_states

WORST = 10


@dataclass(frozen=True)
class Guess:
    """What the model made of one place.

    Attributes:
        p: probability of the right token, 0 to 1.
        loss: -ln p, nats.
        rank: place of the right token among all, by probability, from 1.
        choice: the token that it holds most likely, decoded; "" where that is no whole character.
        choice_p: its probability.
    """

    p: float
    loss: float
    rank: int
    choice: str
    choice_p: float


@dataclass(frozen=True)
class TokenPart:
    """The shortest run of tokens that makes whole characters; a Hangul syllable may take three.

    Attributes:
        guesses: one a token; empty where no loss is taken.
    """

    text: str
    role: Role
    guesses: tuple[Guess, ...] = ()

    @property
    def loss(self) -> float:
        """The sum over its tokens."""
        return sum(guess.loss for guess in self.guesses)

    @property
    def p(self) -> float:
        """The probability that all of its tokens are right."""
        return math.exp(-self.loss)


@dataclass(frozen=True)
class RoleSum:
    """What the tokens of one role add to the row's loss.

    Attributes:
        total: sum of their losses, nats.
        mean: over their own number.
        adds: their share of the row's loss: total / supervised tokens of the row.
    """

    role: Role
    tokens: int
    total: float
    mean: float
    adds: float


@dataclass(frozen=True)
class Worst:
    """One of the tokens with the highest loss.

    Attributes:
        number: which token of the part, from 1.
    """

    before: str
    part: TokenPart
    number: int

    @property
    def guess(self) -> Guess:
        return self.part.guesses[self.number - 1]


@dataclass(frozen=True)
class Explained:
    """A row with the model's guess at every token that carries loss.

    Attributes:
        parts: all of the row, the prompt's first.
        loss: mean over the supervised tokens, nats: `eval_loss`, were this row the whole split.
    """

    id: str
    parts: list[TokenPart]
    supervised: int
    total: float
    roles: list[RoleSum] = field(default_factory=list)
    worst: list[Worst] = field(default_factory=list)

    @property
    def loss(self) -> float:
        """Mean over the supervised tokens, nats: `eval_loss`, were this row the whole split."""
        return self.total / self.supervised


def explain(model: Any, tokenizer: Any, example: Example) -> Explained:
    """Ask the model for every supervised token of a row, each time with all the right ones before it given.

    Args:
        model: in evaluation mode; a PEFT model or a plain one.
    """
    guesses = iter(guess(model, tokenizer, example))
    parts, at = [], 0
    for piece in pieces(example, tokenizer):
        labels = example.labels[at : at + len(piece.tokens)]
        at += len(piece.tokens)
        parts.append(TokenPart(piece.text, piece.role, tuple(next(guesses) for label in labels if label >= 0)))
    total = sum(part.loss for part in parts)
    return Explained(example.id, parts, example.supervised, total, _by_role(parts, example.supervised), _worst(parts))


def guess(model: Any, tokenizer: Any, example: Example) -> list[Guess]:
    """A guess for each token of a row that carries loss, in order; at most `HEAD_ROWS` rows of logits at once."""
    import torch
    from peft import PeftModel

    from eval.load import compute_device

    base = model.get_base_model() if isinstance(model, PeftModel) else model
    head, device = base.get_output_embeddings(), compute_device(base)
    found = []
    with torch.no_grad():
        ids, labels = (torch.tensor([row], device=device) for row in (example.input_ids, example.labels))
        batch = {"input_ids": ids, "attention_mask": None, "labels": labels}
        states, answers = supervised_states(base, batch)
        for block, right in zip(states.split(HEAD_ROWS), answers.split(HEAD_ROWS), strict=True):
            logs = head(block).float().log_softmax(-1)
            mine = logs.gather(1, right[:, None])
            best, choice = logs.max(-1)
            rank = (logs > mine).sum(-1) + 1
            found += list(zip(mine[:, 0].tolist(), rank.tolist(), choice.tolist(), best.tolist(), strict=True))
    words = {token: _decoded(tokenizer, token) for _, _, token, _ in found}
    return [Guess(math.exp(log), -log, rank, words[token], math.exp(best)) for log, rank, token, best in found]


def _decoded(tokenizer: Any, token: int) -> str:
    text: str = tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return "" if "\ufffd" in text else text


def _by_role(parts: Sequence[TokenPart], supervised: int) -> list[RoleSum]:
    sums = []
    for role in (Role.NAME, Role.ARGUMENTS, Role.FORMAT, Role.TEXT):
        losses = [guess.loss for part in parts if part.role == role for guess in part.guesses]
        if losses:
            total = sum(losses)
            sums.append(RoleSum(role, len(losses), total, total / len(losses), total / supervised))
    return sums


def _worst(parts: Sequence[TokenPart]) -> list[Worst]:
    found = []
    for i, part in enumerate(parts):
        if part.guesses:
            before = "".join(p.text for p in parts[max(0, i - 24) : i])[-24:]
            found += [Worst(before, part, number + 1) for number in range(len(part.guesses))]
    return sorted(found, key=lambda worst: -worst.guess.loss)[:WORST]
