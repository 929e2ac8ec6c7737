"""Prompts with a common beginning (a system turn, a tool list) are read one after another, the beginning once.

In this order the longest beginning that a prompt shares with any before it is the one that it shares with the prompt
just before it. So the keys and values of one prompt are all that has to be kept, at every level of sharing.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

BLOCK = 64
"""Tokens. A common beginning decides on the order in whole blocks: below that, by length is worth more."""


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
    most = min(len(before), len(prompt) - 1)
    return next((n for n in range(most) if before[n] != prompt[n]), most)


def _beginnings(prompt: list[int]) -> list[int]:
    """A hash for each whole block of a prompt and all before it, as paged caches name their blocks."""
    blocks = (tuple(prompt[start : start + BLOCK]) for start in range(0, len(prompt) - BLOCK + 1, BLOCK))
    return list(accumulate(blocks, lambda before, block: hash((before, block)), initial=0))[1:]
