"""The loss at the LM head, once: the logits of a block become its loss and its gradient, and are gone.

The head is frozen, so all that the backward pass needs of the logits is one vector a token, the gradient of the hidden
state, weight · (softmax - onehot) W, which is computed beside the loss (as Liger's and Unsloth's fused kernels do on a
GPU). Two products in all, and no [tokens × vocabulary] tensor of a whole batch.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

BLOCK = 256
"""Supervised tokens that meet the head at once in training: with a vocabulary of 262,144 their logits are 128 MiB in
bfloat16."""
GPU_BLOCK = 64
"""The same on a GPU, where memory is short: with a vocabulary of 151,936 all that is made of them takes 150 MiB."""


def token_losses(states: Any, head: Any, answers: Any, *, block: int = BLOCK) -> Any:
    """Negative log-likelihood (nats) of each answer, without gradients: float32 [tokens].

    Args:
        states: [tokens, hidden]. head: the LM head, a linear layer. answers: int64 [tokens].
    """
    import torch

    blocks = zip(states.split(block), answers.split(block), strict=True)
    return torch.cat([_losses(_logits(x, head), y)[0] for x, y in blocks])


def summed_loss(states: Any, head: Any, answers: Any, weights: Any = None, *, compiled: bool = False) -> Any:
    """Σ w·nll (nats) over the tokens, differentiable in `states`; arguments as above, weights float32 [tokens].

    Args:
        compiled: let Inductor fuse the softmax with its gradient (a third of the time on a CPU).
    """
    weights = states.new_ones(len(answers)).float() if weights is None else weights
    return _function().apply(states, head, answers, weights, _fused(compiled))


def _logits(states: Any, head: Any) -> Any:
    import torch

    return torch.nn.functional.linear(states.to(head.weight.dtype), head.weight, head.bias)


def _losses(logits: Any, answers: Any) -> tuple[Any, Any]:
    """Losses and log-sum-exp, float32 [tokens]."""
    normalizer = logits.float().logsumexp(-1)
    return normalizer - logits.gather(1, answers[:, None]).squeeze(1).float(), normalizer


def _losses_and_slopes(logits: Any, answers: Any, weights: Any) -> tuple[Any, Any]:
    """Losses, float32 [tokens], and their weighted slopes at the logits, in the logits' dtype."""
    import torch

    losses, normalizer = _losses(logits, answers)
    right = torch.arange(logits.shape[1], device=logits.device) == answers[:, None]
    slopes = ((logits.float() - normalizer[:, None]).exp() - right.float()) * weights[:, None]
    return losses, slopes.to(logits.dtype)


@cache
def _fused(compiled: bool) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    import torch

    return torch.compile(_losses_and_slopes, dynamic=True) if compiled else _losses_and_slopes


@cache
def _function() -> Any:
    """The autograd function; made here because torch is imported late."""
    import torch

    class Summed(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, states: Any, head: Any, answers: Any, weights: Any, fused: Any) -> Any:
            total = states.new_zeros((), dtype=torch.float32)
            gradients = []
            block = GPU_BLOCK if states.is_cuda else BLOCK
            for x, y, w in zip(*(tensor.split(block) for tensor in (states, answers, weights)), strict=True):
                losses, slopes = fused(_logits(x, head), y, w)
                total = total + (losses * w).sum()
                gradients.append((slopes @ head.weight).to(states.dtype))
            ctx.save_for_backward(torch.cat(gradients))
            return total

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            return ctx.saved_tensors[0] * upstream, None, None, None, None

    return Summed
