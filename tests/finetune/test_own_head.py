"""The loss at the LM head, in parts of the vocabulary: torch's cross-entropy and its gradient, at the extremes too."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from finetune import head
from finetune.head import summed_loss, token_losses


@pytest.fixture
def lm_head() -> torch.nn.Linear:
    torch.manual_seed(0)
    made = torch.nn.Linear(16, 2 * head.PART + 5)
    return made.requires_grad_(False)


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_loss_and_gradient_are_those_of_all_logits(lm_head: torch.nn.Linear, scale: float, compiled: bool) -> None:
    states = (torch.randn(5, 16) * scale).requires_grad_()
    answers = torch.tensor([0, head.PART - 1, head.PART, 2 * head.PART, 2 * head.PART + 4])  # at the edges of the parts
    weights = torch.tensor([1.0, 0.5, 2.0, 0.0, 3.0])
    wanted = cross_entropy(lm_head(states), answers, reduction="none")
    (gradient,) = torch.autograd.grad((wanted * weights).sum(), states)
    loss = summed_loss(states, lm_head, answers, weights, compiled=compiled)
    loss.backward()
    torch.testing.assert_close(loss, (wanted * weights).sum(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(states.grad, gradient, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        found = token_losses(states, lm_head, answers, block=2, compiled=compiled)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)


def test_what_is_certain_costs_nothing_and_what_is_impossible_stays_finite(lm_head: torch.nn.Linear) -> None:
    lm_head.weight[7] = 0
    lm_head.weight[7, 0] = 1
    sure, wrong = torch.zeros(1, 16), torch.zeros(1, 16)
    sure[0, 0], wrong[0, 0] = 4e3, -4e3
    for state, expected in ((sure, 0.0), (wrong, None)):
        state.requires_grad_()
        loss = summed_loss(state, lm_head, torch.tensor([7]))
        loss.backward()
        assert loss.item() >= 0 and loss.isfinite() and state.grad is not None and state.grad.isfinite().all()
        assert expected is None or loss.item() == expected


def test_a_state_that_is_not_a_number_is_seen(lm_head: torch.nn.Linear) -> None:
    state = torch.full((1, 16), float("nan"))
    assert summed_loss(state, lm_head, torch.tensor([7])).isnan()
