"""The loss at the LM head, once: part by part of the vocabulary becomes its share of loss and gradient, and is gone.

The head is frozen, so all that the backward pass needs is one vector a token, the gradient of the hidden state, which
is computed beside the loss (as Liger's and Unsloth's fused kernels do on a GPU). With r the logit of the right token
and Z the logarithm of the other tokens' Σ exp(logit),

    loss = log(1 + exp(Z - r)),    gradient = sigmoid(Z - r) · (Σ softmax_v(others) W_v - W_right).

Both sums go over parts of the vocabulary with a running maximum, as FlashAttention's go over keys (Dao et al. 2022). No
[tokens × vocabulary] tensor is ever built.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

PART = 4096
"""Tokens of the vocabulary at a time: what is made of them stays in a processor's cache."""
BLOCK = 1024
"""Supervised tokens that meet the head at once."""


def token_losses(states: Any, head: Any, answers: Any, *, block: int = BLOCK, compiled: bool = False) -> Any:
    """Negative log-likelihood (nats) of each answer, without gradients: float32 [tokens].

    Args:
        states: [tokens, hidden]. head: the LM head, a linear layer. answers: int64 [tokens].
        compiled: let Inductor fuse what is done with a part's logits.
    """
    blocks = zip(states.split(block), answers.split(block), strict=True)
    return torch.cat([_losses(x, head, y, _fused(compiled), gradient=False)[0] for x, y in blocks])


def summed_loss(states: Any, head: Any, answers: Any, weights: Any = None, *, compiled: bool = False) -> Any:
    """Σ w·nll (nats) over the tokens, differentiable in `states`; arguments as above, weights float32 [tokens]."""
    weights = states.new_ones(len(answers)).float() if weights is None else weights
    return _SummedLoss.apply(states, head, answers, weights, _fused(compiled))


def _losses(states: Any, head: Any, answers: Any, part: Callable[..., Any], *, gradient: bool) -> tuple[Any, Any]:
    """Losses, float32 [tokens], and their gradients at the states, float32 [tokens, hidden], where they are wanted."""
    weight, bias = head.weight, head.bias
    x = states.to(weight.dtype)
    right = torch.zeros(len(x), device=x.device)
    most = torch.full_like(right, float("-inf"))
    total = torch.zeros_like(right)
    pull = torch.zeros(x.shape, device=x.device)
    for start in range(0, len(weight), PART):
        rows = weight[start : start + PART]
        logits = torch.nn.functional.linear(x, rows, None if bias is None else bias[start : start + PART])
        odds, most, shrink, total, right = part(logits, answers - start, most, total, right)
        if gradient:
            pull = torch.addcmul(odds @ rows, pull, shrink[:, None])
    margin = most + total.log() - right
    slopes = margin.sigmoid()[:, None] * (pull / total[:, None] - weight[answers]) if gradient else None
    return torch.nn.functional.softplus(margin), slopes


def _part(logits: Any, answers: Any, most: Any, total: Any, right: Any) -> tuple[Any, Any, Any, Any, Any]:
    """One part of the vocabulary.

    Args:
        logits: [tokens, part]. answers: int64 [tokens], from the part's first token on; others lie outside it.
        most, total, right: float32 [tokens], of the parts before: the greatest logit of another token, Σ exp(logit -
            most) over the other tokens, and the answer's logit (0 before its part).

    Returns:
        exp(logit - most), 0 for the answer, in the logits' dtype; and the new most, what shrinks the sums made before,
        total and right.
    """
    kind, logits = logits.dtype, logits.float()
    is_right = torch.arange(logits.shape[1], device=logits.device) == answers[:, None]
    others = logits.masked_fill(is_right, float("-inf"))
    new = torch.maximum(most, others.amax(-1))
    odds = (others - new[:, None]).exp()
    shrink = (most - new).exp()
    right = right + (logits * is_right).sum(-1)
    return odds.to(kind), new, shrink, total * shrink + odds.sum(-1), right


@cache
def _fused(compiled: bool) -> Callable[..., Any]:
    return torch.compile(_part, dynamic=True) if compiled else _part


class _SummedLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Any, head: Any, answers: Any, weights: Any, part: Any) -> Any:
        total = states.new_zeros((), dtype=torch.float32)
        gradients = []
        for x, y, w in zip(*(tensor.split(BLOCK) for tensor in (states, answers, weights)), strict=True):
            losses, slopes = _losses(x, head, y, part, gradient=True)
            total = total + (losses * w).sum()
            gradients.append((slopes * w[:, None]).to(states.dtype))
        ctx.save_for_backward(torch.cat(gradients))
        return total

    @staticmethod
    def backward(ctx: Any, upstream: Any) -> Any:
        return ctx.saved_tensors[0] * upstream, None, None, None, None
