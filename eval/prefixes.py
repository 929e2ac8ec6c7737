"""Prompts with a common beginning (a system turn, a tool list) are read one after another, the beginning once.

In `reading_order` the longest beginning that a prompt shares with any before it is the one that it shares with the
prompt just before it. So the keys and values of one prompt are all that has to be kept, at every level of sharing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from data.families import common
from eval.load import compute_device

BLOCK = 64
"""Tokens. A common beginning decides on the order in whole blocks: below that, by length is worth more. Nor does
transformers' generation share a shorter one: it would cost a call of the model."""

FAMILIES = ("llama", "qwen2", "qwen3", "gemma3_text")
"""Attention that is rotary positions, shared keys, a scaled softmax, perhaps a window, and nothing besides.

Gemma 3 norms queries and keys before its attention is called, and caps no score (Gemma 2 does)."""

_FIXED = {"default", "linear", "llama3", "yarn"}  # rotary positions that do not depend on how long the sequence is


def prefixes_hold(model: Any) -> bool:
    """Whether keys and values of a prompt's beginning are the same whatever follows, and kept as transformers does.

    That is: a model of transformers, of a family that is known here, every layer causal, with a window or not. Not one
    that Unsloth has loaded: its decoding has a cache of its own.
    """
    from peft import PeftModel
    from transformers import PreTrainedModel

    model = model.get_base_model() if isinstance(model, PeftModel) else model
    if not isinstance(model, PreTrainedModel) or hasattr(model, "for_inference"):
        return False
    config = model.config.to_dict()
    layers = config.get("layer_types") or ["full_attention"]
    known = model.config.model_type in FAMILIES and model.config._attn_implementation == "sdpa"
    causal = set(layers) <= {"full_attention", "sliding_attention"} and not config.get("use_bidirectional_attention")
    rotary = config.get("rope_parameters") or {}
    kinds = {kind["rope_type"] for kind in ([rotary] if "rope_type" in rotary else rotary.values())}
    return known and causal and kinds <= _FIXED


def reading_order(prompts: Sequence[list[int]]) -> list[int]:
    """The numbers of `prompts`, those that begin alike side by side; among those, the longest first.

    The order is depth first through the tree of the prompts' blocks, the branch with the longest prompt first.
    """
    beginnings = [_beginnings(prompt) for prompt in prompts]
    longest: Counter[int] = Counter()
    for prompt, chain in zip(prompts, beginnings, strict=True):
        for beginning in chain:
            longest[beginning] = max(longest[beginning], len(prompt))

    def key(i: int) -> list[tuple[int, int]]:
        return [(-longest[beginning], beginning) for beginning in beginnings[i]] + [(-len(prompts[i]), 0)]

    return sorted(range(len(prompts)), key=key)


def shared_tokens(before: list[int], prompt: list[int]) -> int:
    """How many tokens of `prompt` need not be read after `before`; its last token always is, for its logits."""
    return min(common(before, prompt), len(prompt) - 1)


def common_tokens(prompts: Sequence[list[int]]) -> int:
    """How many tokens all prompts begin with; less than the shortest has, and 0 where they are fewer than `BLOCK`."""
    first = min(prompts, key=len)
    least = min(shared_tokens(prompt, first) for prompt in prompts)
    return least if least >= BLOCK else 0


def batches(prompts: Sequence[list[int]], size: int, *, shared: bool) -> list[list[int]]:
    """The numbers of `prompts` in batches, the longest prompt in the first, padded to the longest of each.

    By length; or, where that leaves fewer tokens to compute, those that begin alike together.

    Args:
        shared: whether what a batch has in common is computed once.
    """
    by_length = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    orders = [by_length, reading_order(prompts)] if shared else [by_length]
    cut = [[order[start : start + size] for start in range(0, len(order), size)] for order in orders]
    return min(cut, key=lambda parts: sum(_computed([prompts[i] for i in part]) for part in parts))


def _computed(batch: Sequence[list[int]]) -> int:
    once = common_tokens(batch)
    return once + len(batch) * (max(map(len, batch)) - once)


@dataclass(frozen=True)
class Beginning:
    """Keys and values of tokens that prompts begin with, for one model, as long as its weights stay.

    A prompt goes on from them as far as its tokens are the same. Nothing is added to them: what a prompt is answered
    with does not depend on those asked before it.

    Attributes:
        layers: by layer its keys and values, each [1, key heads, tokens, head size], those beyond a window included.
    """

    tokens: list[int] = field(default_factory=list)
    layers: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def cache(self, model: Any, prompts: Sequence[list[int]]) -> Any:
        """transformers' cache for a batch, padded on the left, of prompts that all begin with `BLOCK` of the tokens or
        more; None where they do not.

        It has as many columns as tokens are shared. The first of a row are its padding, so that positions and windows
        are counted as in a prompt read whole; as many of the last tokens have no column, and the row reads them again.
        """
        import torch
        from torch.nn.functional import pad

        columns = min(shared_tokens(self.tokens, prompt) for prompt in prompts)
        if columns < BLOCK:
            return None
        longest = max(map(len, prompts))
        pads = [longest - len(prompt) for prompt in prompts]
        cache = _empty_cache(model)
        for i, pair in self.layers.items():
            cache.update(*(torch.cat([pad(t, (0, 0, n, 0))[:, :, :columns] for n in pads]) for t in pair), i)
        return cache


def read_by_transformers(model: Any, tokens: list[int]) -> Beginning:
    """The keys and values of tokens that are not empty, for a model whose `prefixes_hold`."""
    import torch

    cache = _empty_cache(model)
    cache.activate_past_recording()  # else a layer with a window forgets the tokens before it
    ids = torch.tensor([tokens], device=compute_device(model))
    with torch.no_grad():
        model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return Beginning(tokens, {i: (layer.keys, layer.values) for i, layer in enumerate(cache.layers)})


def _empty_cache(model: Any) -> Any:
    from transformers import DynamicCache

    return DynamicCache(config=model.config.get_text_config(decoder=True))


def _beginnings(prompt: list[int]) -> list[int]:
    """A hash for each whole block of a prompt and all before it, as paged caches name their blocks."""
    blocks = (tuple(prompt[start : start + BLOCK]) for start in range(0, len(prompt) - BLOCK + 1, BLOCK))
    return list(accumulate(blocks, lambda before, block: hash((before, block)), initial=0))[1:]
