"""Attention over a packed micro-batch: each suffix sees its prefix and itself; no mask of tokens × tokens is made.

Called by transformers' own modelling code for every layer, so it serves every family that takes an attention function:
shared key heads, sliding windows and per-head norms included. On a GPU Unsloth's own forward passes call it too, in the
place of their kernel for shared prefixes (docs/shared-prefix.md says why). Differentiable by autograd: gradients
flow back into the prefix's keys and values from all suffixes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from finetune.library_internals import attention_name, on_fast_path, replace_shared_prefix_attention
from finetune.shared_prefix import Layout, PrefixGroup

NAME = "tooltune_packed"
BATCH_COST = 50_000
"""Scores whose time a batch of suffixes costs by itself."""
Weigh = Callable[[Any, Any, Any, Any], Any]
"""Attention of [rows, heads, tokens, size] to keys and values [rows, key heads, keys, size], given a bias."""
PACKED_FAMILIES = ("gemma3_text", "llama", "mistral", "qwen2", "qwen3")
"""`model_type`s whose rows may be packed: those that the tests compare with separate rows. A family with a state beside
attention (Qwen3.5, LFM2) would carry it from one row to the next."""
UNSLOTH_FAMILIES = ("llama", "qwen2", "qwen3")
"""Of them, those whose forward pass is Unsloth's own on a GPU and takes `prefix_seg_info` (unsloth/models/*.py). Not
Mistral: that door has no window."""


def use_packed_attention(model: Any, *, compiled: bool = False) -> None:
    """Let a model (PEFT-wrapped or not) compute attention on the `layout` that its forward is given.

    Args:
        compiled: let Inductor fuse what stands between the products of the backward pass (on a CPU).
    """
    import torch
    from transformers import AttentionInterface

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if has_unsloth_forward(base):
        replace_shared_prefix_attention(attend_for_unsloth)
        return
    # A graph break: the layout differs from batch to batch, and a compiled layer must not depend on it.
    AttentionInterface.register(NAME, torch.compiler.disable(partial(attend, compiled=compiled)))
    base.set_attn_implementation(NAME)


def has_unsloth_forward(base: Any) -> bool:
    """Whether a causal LM is computed by Unsloth's own functions instead of transformers' (never on a CPU)."""
    return on_fast_path(base.model) and type(base.model).forward.__module__ == "unsloth.models.llama"


@contextmanager
def ordinary_attention(model: Any) -> Iterator[None]:
    """For a while, attention as transformers computes it: to generate with a model that trains packed."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    packed = attention_name(base) == NAME
    if packed:
        base.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        if packed:
            base.set_attn_implementation(NAME)


def attend_for_unsloth(query: Any, key: Any, value: Any, layout: Layout, scale: float | None = None) -> Any:
    """Attention as Unsloth's forward passes call their shared-prefix kernel: all [1, tokens, heads, size].

    `layout` is what the model's forward was given as `prefix_seg_info`. No layer has a sliding window there
    (unsloth/utils/attention_dispatch.py leaves it out too).
    """
    q, k, v = (x.transpose(1, 2) for x in (query, key, value))
    return attend(None, q, k, v, None, scaling=scale or query.shape[-1] ** -0.5, layout=layout)[0]


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
    on_gpu = _runs_on_gpu(query)
    weigh: Weigh = partial(_weigh_on_gpu, scaling) if on_gpu else partial(_weigh, scaling, compiled)
    heads = query.shape[1] // key.shape[1]
    groups = [_laid_out(layout, group, sliding_window, query, heads, on_gpu) for group in layout.groups]
    sizes = [size for group in groups for size in (group.prefix, *(batch.tokens for batch in group.batches))]
    # Cut once: the gradient of a cut is one concatenation, that of a slice is as large as the whole.
    cut = zip(*(x.split(sizes, 2) for x in (query, key, value)), strict=True)
    parts = []
    with _kernels(on_gpu):
        for group in groups:
            q, k, v = next(cut)
            parts.append(weigh(q, k, v, group.bias)[0])
            for batch in group.batches:
                own_q, own_k, own_v = next(cut)
                out = weigh(batch.padded(own_q), batch.behind(k, own_k), batch.behind(v, own_v), batch.bias)
                parts.append(batch.unpadded(out))
    return torch.cat(parts, 1).transpose(0, 1)[None], None


def _runs_on_gpu(query: Any) -> bool:
    return bool(query.device.type != "cpu")


def _kernels(on_gpu: bool) -> AbstractContextManager[Any]:
    """On a GPU, not cuDNN's attention: it plans for 0.15 s at each new length, and lengths differ in every step."""
    if not on_gpu:
        return nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    backends = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    context: AbstractContextManager[Any] = sdpa_kernel(backends)
    return context


@dataclass(frozen=True)
class _Batch:
    """Neighbouring suffixes of a group, padded to the longest of them.

    Attributes:
        tokens, rows, longest: how many in all, and the shape of the batch.
        bias: [query heads per key head · longest, prefix + longest]: they see the prefix and their own tokens.
        places: int64 [tokens], where each lies in the padded batch; None where none is padded.
    """

    tokens: int
    rows: int
    longest: int
    bias: Any
    places: Any

    def padded(self, x: Any) -> Any:
        """[1, heads, tokens, size] → [rows, heads, longest, size]."""
        heads, size = x.shape[1], x.shape[3]
        if self.places is not None:
            x = x.new_zeros(heads, self.rows * self.longest, size).index_copy(1, self.places, x[0])
        return x.view(heads, self.rows, self.longest, size).transpose(0, 1)

    def behind(self, prefix: Any, x: Any) -> Any:
        """Keys or values of each row behind those of the prefix: [rows, key heads, prefix + longest, size]."""
        import torch

        return torch.cat((prefix.expand(self.rows, -1, -1, -1), self.padded(x)), 2)

    def unpadded(self, out: Any) -> Any:
        """[rows, heads, longest, size] → [heads, tokens, size]."""
        out = out.transpose(0, 1).flatten(1, 2)
        return out if self.places is None else out.index_select(1, self.places)


@dataclass(frozen=True)
class _Group:
    """A group as attention computes it; biases are 0 where a token is seen, else minus infinity.

    Attributes:
        prefix: its tokens.
        bias: [query heads per key head · prefix, prefix]; None where a kernel that is causal by itself does it.
    """

    prefix: int
    bias: Any
    batches: list[_Batch]


def _laid_out(layout: Layout, group: PrefixGroup, window: int | None, like: Any, heads: int, on_gpu: bool) -> _Group:
    found: _Group | None = layout.derived.get((group, window))
    if found is None:
        causal = on_gpu and not (window and window < group.prefix)
        bias = None if causal else _bias(0, group.prefix, window, like, heads)
        found = _Group(group.prefix, bias, list(_batches(group, window, like, heads)))
        layout.derived[group, window] = found
    return found


def _batches(group: PrefixGroup, window: int | None, like: Any, heads: int) -> Iterator[_Batch]:
    for lengths in cut_by_length(group.prefix, group.suffixes):
        tokens, longest = sum(lengths), max(lengths)
        bias = _bias(group.prefix, group.prefix + longest, window, like, heads)
        places = _places(lengths, like.device) if tokens < len(lengths) * longest else None
        yield _Batch(tokens, len(lengths), longest, bias, places)


def cut_by_length(prefix: int, lengths: Sequence[int]) -> list[Sequence[int]]:
    """Cut neighbouring suffixes into the batches that cost least, each padded to its longest: a batch costs its scores
    (queries × keys) and `BATCH_COST`. Short suffixes padded to a long one were 40 % of a step on a CPU."""
    best: list[tuple[int, list[Sequence[int]]]] = [(0, [])]
    for end in range(1, len(lengths) + 1):
        ways = []
        for start, (cost, cuts) in enumerate(best):
            part = lengths[start:end]
            scores = len(part) * max(part) * (prefix + max(part))
            ways.append((cost + scores + BATCH_COST, [*cuts, part]))
        best.append(min(ways, key=lambda way: way[0]))
    return best[-1][1]


def _bias(start: int, end: int, window: int | None, like: Any, heads: int) -> Any:
    """What the tokens at positions `start` to `end` see of those from 0 to `end`, once for each head of a key."""
    import torch

    columns = torch.arange(end, device=like.device)
    rows = columns[start:, None]
    hidden = columns > rows
    if window:
        hidden = hidden | (rows - columns >= window)
    bias = torch.zeros(heads * len(hidden), end, device=like.device, dtype=like.dtype)
    bias.masked_fill_(hidden.repeat(heads, 1), float("-inf"))
    if not _runs_on_gpu(bias):
        return bias  # no view, whose strides `_slopes` would be compiled for, one by one until torch gives up
    # Rows begin at multiples of 16 numbers: CUDA's kernel would copy the bias in each layer else.
    return torch.nn.functional.pad(bias, (0, -end % 16))[:, :end]


def _places(lengths: Sequence[int], device: Any) -> Any:
    import torch

    longest = max(lengths)
    places = [number * longest + t for number, length in enumerate(lengths) for t in range(length)]
    return torch.tensor(places).to(device, non_blocking=True)


def _weigh_on_gpu(scaling: float, q: Any, k: Any, v: Any, bias: Any) -> Any:
    """As `_weigh`, by torch's kernels and their own backward passes; without a bias causal, queries and keys alike."""
    from torch.nn.functional import scaled_dot_product_attention

    rows, heads, tokens, size = q.shape
    if bias is None:
        # Written out for all heads: before Ampere no kernel but the one that keeps all scores knows shared key heads.
        k, v = (x.repeat_interleave(heads // x.shape[1], 1) for x in (k, v))
        return scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling)
    q = q.reshape(rows, k.shape[1], -1, size)
    return scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scaling).reshape(rows, heads, tokens, size)


def _weigh(scaling: float, compiled: bool, q: Any, k: Any, v: Any, bias: Any) -> Any:
    """Attention of [rows, heads, tokens, size] to [rows, key heads, keys, size].

    Args:
        bias: [query heads per key head · tokens, keys].
    """
    size, keys = k.shape[3], k.shape[2]
    # The heads that share a key are the rows of one product.
    flat = q.reshape(len(q) * k.shape[1], -1, size), k.reshape(-1, keys, size), v.reshape(-1, keys, size)
    return _function().apply(*flat, bias, scaling, _fused(compiled)).view(q.shape)


@cache
def _function() -> Any:
    """softmax(q kᵀ · scaling + bias) v, of [batch, tokens, size] and [batch, keys, size].

    The forward pass is torch's fused kernel; its backward pass for CPUs takes longer than the five products of which
    it consists (docs/decisions.md), so those are written out. Nothing of size tokens × keys is kept between the two.
    """
    import torch

    class Attention(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, q: Any, k: Any, v: Any, bias: Any, scaling: float, slopes: Any) -> Any:
            ctx.save_for_backward(q, k, v, bias)
            ctx.scaling, ctx.slopes = scaling, slopes
            one_head = (x[:, None] for x in (q, k, v))
            return torch.nn.functional.scaled_dot_product_attention(*one_head, attn_mask=bias, scale=scaling)[:, 0]

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            q, k, v, bias = ctx.saved_tensors
            weights, slopes = ctx.slopes(q @ k.mT, upstream @ v.mT, bias, ctx.scaling)
            # bmm: the operator for any number of dimensions would copy what is transposed.
            return slopes @ k, torch.bmm(slopes.mT, q), torch.bmm(weights.mT, upstream), None, None, None

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
