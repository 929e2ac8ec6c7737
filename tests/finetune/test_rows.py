"""Answers that generation would cut off are told before training."""

from data.render import IGNORED, Example
from finetune.rows import cut_answers


def row(*labels: int) -> Example:
    return Example("a", input_ids=[1] * len(labels), labels=list(labels), roles=[0] * len(labels))


def test_only_the_last_answer_is_generated() -> None:
    """An earlier turn of the assistant is trained too, but is part of the prompt when answers are generated."""
    rows = [row(5, 5, 5, IGNORED, 5, 5), row(IGNORED, 5)]
    assert cut_answers(rows, 2) is None


def test_longer_answers_are_counted_and_the_limit_that_holds_them_named() -> None:
    said = str(cut_answers([row(IGNORED, 5, 5, 5), row(IGNORED, 5, 5), row(IGNORED, 5)], 1))
    assert said.startswith("2 of 3 right answers") and "eval.max_new_tokens=3 holds" in said
