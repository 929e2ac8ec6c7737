"""Greedy decoding on a processor: every answer has a slot, and a slot that falls free takes the next prompt.

Why not `model.generate`: it computes the rows of a batch that have ended until the last one ends, copies the whole
cache for every token, and its attention repeats each key for the heads that share it (docs/decisions.md has figures).
Here nothing is padded, no answer that has ended is computed on, and what a prompt has in common with the one before it
is not read again. A call of the model takes the next token of every answer together with new prompts: the weights, and
the LM head above all, are read once for both.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from eval.prefixes import Beginning, prefixes_hold, reading_order, shared_tokens
from eval.slots import PromptRead, Slots

TOGETHER = 2048
"""New tokens of prompts in one call, unless one alone has more: the weights are read once for so many."""

Restrict = Callable[[Any, Sequence[int], Sequence[list[int]]], None]
"""Rules out tokens: given logits [answers, vocabulary], the number of each answer's prompt, and the answers until now,
it sets those of tokens that may not come next to minus infinity."""

_NAME = "tooltune_slots"


def decodes(model: Any) -> bool:
    """Whether `decode` is for this model: on a CPU, without an adapter, and one whose `prefixes_hold`."""
    from transformers import PreTrainedModel

    return isinstance(model, PreTrainedModel) and model.device.type == "cpu" and prefixes_hold(model)


def slots_that_fit(model: Any, tokens: int) -> int:
    """How many slots of so many tokens fit in a quarter of the memory that is free now; at least 1.

    Layers with a window are counted as if they had none, which leaves room for the prompt being read.
    """
    import psutil

    features = sum(m.out_features for name, m in model.named_modules() if name.endswith((".k_proj", ".v_proj")))
    a_slot: int = tokens * features * model.dtype.itemsize  # bytes
    return max(1, psutil.virtual_memory().available // 4 // a_slot)


def decode(
    model: Any,
    prompts: Sequence[list[int]],
    *,
    end: int,
    max_new_tokens: int,
    slots: int,
    done: Callable[[int, list[int]], None],
    kept: Beginning | None = None,
    restrict: Restrict | None = None,
) -> None:
    """Write each prompt's greedy answer, up to the token `end` or `max_new_tokens`, in the order of `reading_order`.

    Args:
        model: in evaluation mode, one that `decodes` approves of.
        slots: answers that are written side by side.
        done: told a prompt's number and the tokens of its answer (with the end token) as soon as it has ended.
        restrict: asked before each token; None: every token may come.
    """
    kept = kept or Beginning()
    with _attending(model):
        cache = Slots(min(slots, len(prompts)), max(map(len, [kept.tokens, *prompts])), kept.layers)
        _decode(model, prompts, end, max_new_tokens, cache, done, kept.tokens, restrict)


def read_beginning(model: Any, tokens: list[int]) -> Beginning:
    """The keys and values of tokens that are not empty, for a model that `decodes` approves of."""
    cache = Slots(1, len(tokens), {})
    with _attending(model):
        _call(model, cache, [], [PromptRead(0, 0, len(tokens))], tokens)
    return Beginning(tokens, cache.prompt)


@contextmanager
def _attending(model: Any) -> Iterator[None]:
    """While the model takes slots, and no gradients are kept."""
    import torch
    from transformers import AttentionInterface

    AttentionInterface.register(_NAME, _attend)  # with no mask of that name, transformers makes none
    before = model.config._attn_implementation
    model.set_attn_implementation(_NAME)
    try:
        with torch.inference_mode():
            yield
    finally:
        model.set_attn_implementation(before)


def _call(model: Any, cache: Slots, steps: list[int], readings: Sequence[PromptRead], new: list[int]) -> Any:
    """Logits after each slot's last token, [slots in use, vocabulary]: `steps` has one a slot, `new` the readings'."""
    import torch

    positions, last = cache.prepare(len(steps), readings)
    ids = torch.tensor([steps + new])
    out = model(input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=last, slots=cache)
    return out.logits[0]


def _decode(
    model: Any,
    prompts: Sequence[list[int]],
    end: int,
    limit: int,
    cache: Slots,
    done: Callable[[int, list[int]], None],
    before: list[int],
    restrict: Restrict | None,
) -> None:
    waiting = reading_order(prompts)[::-1]  # taken from the end
    asked: list[int] = []  # the prompt of each slot in use; those are always the first ones
    answers: list[list[int]] = []

    def read(new: list[int]) -> list[PromptRead]:
        """Give prompts to slots that are free, their tokens to `new`."""
        nonlocal before
        readings: list[PromptRead] = []
        while waiting and len(asked) < cache.count:
            prompt = prompts[waiting[-1]]
            shared = shared_tokens(before, prompt)
            if readings and len(new) + len(prompt) - shared > TOGETHER:
                break
            readings.append(PromptRead(len(asked), shared, len(prompt)))
            new += prompt[shared:]
            asked.append(waiting.pop())
            answers.append([])
            before = prompt
        return readings

    def write(slot: int, token: int) -> None:
        """Append to a slot's answer. Where that ends it, the last slot in use moves into its place."""
        answers[slot].append(token)
        if token != end and len(answers[slot]) < limit:
            return
        done(asked[slot], answers[slot])
        cache.move(len(asked) - 1, slot)
        asked[slot], answers[slot] = asked[-1], answers[-1]
        asked.pop()
        answers.pop()

    while waiting or asked:
        steps, new = [answer[-1] for answer in answers], list[int]()
        logits = _call(model, cache, steps, read(new), new)
        if restrict:
            restrict(logits, asked, answers)
        for slot, token in reversed(list(enumerate(_greedy(logits).tolist()))):
            write(slot, token)  # a slot that moves down has been written already


def _greedy(logits: Any) -> Any:
    """The first greatest of each row, [rows, vocabulary]: what `argmax` gives, which on a CPU looks at one at a time.

    The greatest of each block is found with vector instructions: 5 ms instead of 55 for 64 rows of 262,144 in bfloat16.
    """
    import torch

    rows, vocabulary = logits.shape
    size = math.gcd(vocabulary, 512)
    blocks = logits.view(rows, -1, size)
    block = blocks.amax(-1).argmax(-1)
    return block * size + blocks[torch.arange(rows), block].argmax(-1)


def _attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    mask: None,
    *,
    scaling: float,
    slots: Slots,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Any, None]:
    """Attention as transformers calls it; `slots` comes through the keywords of the model's forward."""
    return slots.attend(module.layer_idx, query, key, value, scaling, sliding_window), None
