"""Attention over a packed micro-batch: each suffix sees its prefix and itself; no mask of tokens × tokens is made.

Called by transformers' own modelling code for every layer, so it serves every family that takes an attention function:
shared key heads, sliding windows and per-head norms included. Differentiable by autograd, gradients flow back into the
prefix's keys and values from all suffixes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from finetune.shared_prefix import Group, Layout

NAME = "tooltune_packed"


def use_packed_attention(model: Any, *, compiled: bool = False) -> None:
    """Let a model (PEFT-wrapped or not) compute attention on the `layout` that its forward is given.

    Args:
        compiled: let Inductor fuse what stands between the products of the backward pass.
    """
    import torch
    from transformers import AttentionInterface

    # A graph break: the layout differs from batch to batch, and a compiled layer must not depend on it.
    AttentionInterface.register(NAME, torch.compiler.disable(partial(attend, compiled=compiled)))
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    base.set_attn_implementation(NAME)


def attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    mask: None,
    *,
    scaling: float,
    layout: Layout,
    sliding_window: int | None = None,
    compiled: bool = False,
    **_: Any,
) -> tuple[Any, None]:
    """Attention as transformers calls it.

    Args:
        query: [1, heads, tokens, size]. key, value: [1, key heads, tokens, size].
        layout: how the tokens are laid out.
        sliding_window: a token sees itself and the `sliding_window - 1` tokens before it; None: all before it.

    Returns:
        [1, tokens, heads, size], and None for the weights.
    """
    import torch

    if torch.is_autocast_enabled(query.device.type):
        query, key, value = (x.to(torch.get_autocast_dtype(query.device.type)) for x in (query, key, value))
    parts, start = [], 0
    for group in layout.groups:
        end = start + group.tokens
        q, k, v = (x[:, :, start:end] for x in (query, key, value))
        seen = _seen(layout, group, sliding_window, query, query.shape[1] // key.shape[1])
        p = group.prefix
        parts.append(_weigh(q[:, :, :p], k[:, :, :p], v[:, :, :p], scaling, seen.prefix, compiled)[0])
        if group.suffixes:
            parts.append(_suffixes(q, k, v, group, scaling, seen.suffix, compiled))
        start = end
    return torch.cat(parts, 1).transpose(0, 1)[None], None


@dataclass
class _Seen:
    """What may be seen in a group, as biases of 0 and minus infinity.

    Attributes:
        prefix: [heads a key · prefix, prefix].
        suffix: [heads a key · longest suffix, prefix + longest suffix]: the prefix and the suffix's own tokens.
    """

    prefix: Any
    suffix: Any


def _seen(layout: Layout, group: Group, window: int | None, like: Any, heads: int) -> _Seen:
    found = layout.derived.get((group, window))
    if found is None:
        prefix = group.prefix
        whole = prefix + max(group.suffixes, default=0)
        bias = _bias(prefix, whole, window, like).repeat(heads, 1) if group.suffixes else None
        found = _Seen(_bias(0, prefix, window, like).repeat(heads, 1), bias)
        layout.derived[group, window] = found
    return found  # type: ignore[no-any-return]


def _bias(start: int, end: int, window: int | None, like: Any) -> Any:
    """What the tokens at positions `start` to `end` see of those from 0 to `end`."""
    import torch

    columns = torch.arange(end, device=like.device)
    rows = columns[start:, None]
    hidden = columns > rows
    if window:
        hidden = hidden | (rows - columns >= window)
    return torch.zeros(hidden.shape, device=like.device, dtype=like.dtype).masked_fill_(hidden, float("-inf"))


def _weigh(q: Any, k: Any, v: Any, scaling: float, bias: Any, compiled: bool) -> Any:
    """Attention of [rows, heads, tokens, size] to [rows, key heads, keys, size]; bias: [heads a key · tokens, keys]."""
    rows, heads, tokens, size = q.shape
    # The heads that share a key are the rows of one product.
    q = q.reshape(rows, k.shape[1], -1, size)
    out = _function().apply(q, k, v, bias, scaling, _fused(compiled))
    return out.view(rows, heads, tokens, size)


@cache
def _function() -> Any:
    """softmax(q kᵀ · scaling + bias) v. The forward pass is torch's fused kernel; its backward pass for CPUs takes
    longer than the five products that it consists of (docs/shared-prefix.md), so those are written out. Nothing of size
    tokens × keys is kept between the two."""
    import torch

    class Attention(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, q: Any, k: Any, v: Any, bias: Any, scaling: float, slopes: Any) -> Any:
            ctx.save_for_backward(q, k, v, bias)
            ctx.scaling, ctx.slopes = scaling, slopes
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scaling)

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            q, k, v, bias = ctx.saved_tensors
            weights, slopes = ctx.slopes(q @ k.transpose(-1, -2), upstream @ v.transpose(-1, -2), bias, ctx.scaling)
            return slopes @ k, slopes.transpose(-1, -2) @ q, weights.transpose(-1, -2) @ upstream, None, None, None

    return Attention


@cache
def _fused(compiled: bool) -> Callable[[Any, Any, Any, float], tuple[Any, Any]]:
    import torch

    return torch.compile(_slopes, dynamic=True) if compiled else _slopes


def _slopes(products: Any, upstream: Any, bias: Any, scaling: float) -> tuple[Any, Any]:
    """The weights and the slopes of the products, from the products q kᵀ and the slopes of the weights."""
    weights = (products.float() * scaling + bias).softmax(-1)
    upstream = upstream.float()
    slopes = weights * (upstream - (weights * upstream).sum(-1, keepdim=True)) * scaling
    return weights.to(products.dtype), slopes.to(products.dtype)


def _suffixes(q: Any, k: Any, v: Any, group: Group, scaling: float, bias: Any, compiled: bool) -> Any:
    """Attention of a group's suffixes, padded to one batch behind views of the prefix: [heads, suffix tokens, size]."""
    import torch
    from torch.nn.functional import pad

    lengths = group.suffixes

    def padded(x: Any) -> Any:  # [1, heads, prefix + suffix tokens, size] → [suffixes, heads, longest, size]
        parts = x[0, :, group.prefix :].split(lengths, 1)
        return torch.stack([pad(part, (0, 0, 0, max(lengths) - part.shape[1])) for part in parts])

    def behind_prefix(x: Any) -> Any:
        return torch.cat((x[:, :, : group.prefix].expand(len(lengths), -1, -1, -1), padded(x)), 2)

    out = _weigh(padded(q), behind_prefix(k), behind_prefix(v), scaling, bias, compiled)
    return torch.cat([part[:, :n] for part, n in zip(out.unbind(0), lengths, strict=True)], 1)
