"""`make eval` after a preset, by the plan: it fits the card that the preset is for, and takes what the card has."""

from dataclasses import replace

import pytest

from eval import memory
from finetune.memory import inference, terms
from finetune.memory.inference import later_answers
from finetune.memory.overheads import GIB, UNCALIBRATED, expected
from finetune.memory.plan import make_plan
from finetune.memory.setup import Setup, setup_from
from finetune.memory.shapes import KNOWN, shape_of
from tooltune.config import load_config, preset_names

FOR_A_CARD = [name for name in preset_names() if load_config(name).memory.card_gb]


def setup(preset: str, *overrides: str, turing: bool = False) -> Setup:
    config = load_config(preset, list(overrides))
    return setup_from(config, shape_of(config.model.name)[0], "unsloth", turing=turing)


@pytest.mark.parametrize("preset", FOR_A_CARD)
def test_evaluating_fits_the_card_that_the_preset_is_for(preset: str) -> None:
    budget = (load_config(preset).memory.card_gb or 0) * GIB
    for turing in (False, True):
        found = later_answers(setup(preset, turing=turing), budget, UNCALIBRATED)
        assert found.verdict == "fits" and expected(found.allocated) <= budget
    assert make_plan(setup(preset)).phases["generation"] <= make_plan(setup(preset)).allocated


def test_7b_is_evaluated_with_the_weights_where_training_had_them() -> None:
    six = later_answers(setup("6gb-7b"), 6 * GIB, UNCALIBRATED)
    all_of_it = ["memory.offload_embedding=false", "memory.offload_layers=0"]
    assert six.rows > 1
    assert later_answers(setup("6gb-7b", *all_of_it), 6 * GIB, UNCALIBRATED).verdict == "does not fit"


def test_a_larger_card_answers_more_at_a_time_and_a_smaller_one_says_that_it_is_tight() -> None:
    s = setup("6gb")
    cards = [later_answers(s, size * GIB, UNCALIBRATED) for size in (1, 2.1, 3, 6, 80)]
    assert [card.verdict for card in cards] == ["does not fit", "tight", "fits", "fits", "fits"]
    assert [card.rows for card in cards[:2]] == [1, 1] and cards[2].rows < cards[3].rows < cards[4].rows
    assert cards[4].rows == memory.MOST
    assert cards[3].allocated < 6 * GIB < cards[4].allocated


def test_the_plan_and_the_evaluation_have_one_formula() -> None:
    s = Setup(KNOWN["Qwen2.5-1.5B"], length=1024, generate_batch=6, new_tokens=100, answer=300, checkpointing="off")
    alike = {"element": 2, "four_bit": True}
    assert inference.generation(s) == memory.answering(s.shape, 6, 1024, 100, **alike)
    weights = terms.linear_weights(s) + terms.embeddings(s) + terms.small_weights(s) + terms.adapter(s)
    found = later_answers(s, 6 * GIB, UNCALIBRATED)
    assert found.allocated - weights == memory.answering(s.shape, found.rows, 1024, 300, **alike)


def test_answers_are_planned_though_training_generates_none() -> None:
    s = setup("6gb", "eval.generate=0")
    assert inference.generation(s) == 0 and s.answer == load_config("6gb").eval.max_new_tokens
    assert later_answers(s, 6 * GIB, UNCALIBRATED) == later_answers(replace(s, new_tokens=9), 6 * GIB, UNCALIBRATED)
