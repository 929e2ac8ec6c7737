"""Greedy decoding on a processor: every answer has a slot, and a slot that falls free takes the next prompt.

Why not `model.generate`: it computes the rows of a batch that have ended until the last one ends, copies the whole
cache for every token, and its attention repeats each key for the heads that share it (docs/decisions.md has figures).
Here a prompt is read alone, so that nothing is padded on the left, and no answer that has ended is computed on.
"""

from collections.abc import Callable, Sequence
from typing import Any

FAMILIES = ("llama", "qwen2", "qwen3")
"""Attention that is rotary positions, shared keys, a scaled softmax, and nothing besides: what `_Cache.attend` does."""

_NAME = "tooltune_slots"
_BLOCK = 64  # columns by which the slots widen and narrow: copied seldom, little read in vain


def decodes(model: Any) -> bool:
    """Whether `decode` is for this model: on a CPU, of a family it knows, every layer seeing every token."""
    from transformers import PreTrainedModel

    if not isinstance(model, PreTrainedModel) or model.device.type != "cpu":
        return False
    layers = model.config.to_dict().get("layer_types") or ["full_attention"]
    known = model.config.model_type in FAMILIES and model.config._attn_implementation == "sdpa"
    return known and set(layers) == {"full_attention"}


def slots_that_fit(model: Any, tokens: int) -> int:
    """How many slots of so many tokens fit in a quarter of the memory that is free now; at least 1."""
    import psutil

    features = sum(m.out_features for name, m in model.named_modules() if name.endswith((".k_proj", ".v_proj")))
    a_slot = tokens * features * model.dtype.itemsize  # bytes
    return max(1, psutil.virtual_memory().available // 4 // a_slot)


def decode(
    model: Any,
    prompts: Sequence[list[int]],
    *,
    end: int,
    max_new_tokens: int,
    slots: int,
    done: Callable[[int, list[int]], None],
) -> None:
    """Write each prompt's greedy answer, up to the token `end` or `max_new_tokens`; the longest prompts come first.

    Args:
        model: in evaluation mode, one that `decodes` approves of.
        slots: answers that are written side by side.
        done: told a prompt's number and the tokens of its answer (with the end token) as soon as it has ended.
    """
    import torch
    from transformers import AttentionInterface

    AttentionInterface.register(_NAME, _attend)
    before = model.config._attn_implementation
    model.set_attn_implementation(_NAME)
    try:
        with torch.inference_mode():
            _decode(model, prompts, end, max_new_tokens, _Cache(slots), done)
    finally:
        model.set_attn_implementation(before)


def _decode(
    model: Any,
    prompts: Sequence[list[int]],
    end: int,
    limit: int,
    cache: "_Cache",
    done: Callable[[int, list[int]], None],
) -> None:
    import torch

    waiting = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # taken from the end
    asked: list[int] = []  # the prompt of each slot in use; those are always the first ones
    answers: list[list[int]] = []

    def next_tokens(ids: Any, positions: Any) -> list[int]:
        out = model(input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=1, slots=cache)
        return out.logits[:, -1].argmax(-1).tolist()  # type: ignore[no-any-return]

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
        while waiting and len(asked) < cache.slots:
            i = waiting.pop()
            cache.prepare_prompt(len(asked), len(prompts[i]))
            asked.append(i)
            answers.append([])
            (token,) = next_tokens(torch.tensor([prompts[i]]), torch.arange(len(prompts[i]))[None])
            write(len(asked) - 1, token)
        if asked:
            positions = cache.prepare_step(len(asked))
            tokens = next_tokens(torch.tensor([answer[-1:] for answer in answers]), positions[:, None])
            for slot in reversed(range(len(asked))):  # a slot that moves down has been written already
                write(slot, tokens[slot])


class _Cache:
    """Keys and values of each layer, [slots, key heads, width, head size]; the tokens of a slot begin at column 0.

    The tensors are no wider than the longest slot needs: a batched product on the CPU copies what is not dense.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.width = 0
        self.lengths = [0] * slots
        self.layers: dict[int, tuple[Any, Any]] = {}
        self.prompt: int | None = None  # the slot that a prompt is being read into
        self.positions: Any = None  # [slots in use]: where the step's token goes
        self.hidden: Any = None  # [slots in use, 1, width]: 0, or minus infinity after the step's token

    def prepare_prompt(self, slot: int, length: int) -> None:
        """The next call of the model reads a prompt of so many tokens into `slot`."""
        self.prompt, self.lengths[slot] = slot, length
        self._fit(max(self.lengths[: slot + 1]))

    def prepare_step(self, used: int) -> Any:
        """The next call of the model reads one token for each of the first `used` slots, at the positions returned."""
        import torch

        self.prompt = None
        self.positions = torch.tensor(self.lengths[:used])
        self.lengths[:used] = [n + 1 for n in self.lengths[:used]]
        self._fit(max(self.lengths[:used]))
        after = torch.arange(self.width) > self.positions[:, None]
        self.hidden = torch.zeros(used, 1, self.width).masked_fill_(after[:, None], float("-inf"))
        return self.positions

    def move(self, source: int, target: int) -> None:
        """Put the tokens of one slot into another."""
        if source != target:
            self.lengths[target] = self.lengths[source]
            for pair in self.layers.values():
                for rows in pair:
                    rows[target] = rows[source]

    def _fit(self, columns: int) -> None:
        from torch.nn.functional import pad

        change = -(-columns // _BLOCK) * _BLOCK - self.width
        if change:
            self.width += change
            for layer, (keys, values) in self.layers.items():
                self.layers[layer] = pad(keys, (0, 0, 0, change)), pad(values, (0, 0, 0, change))

    def attend(self, layer: int, query: Any, key: Any, value: Any, scale: float) -> Any:
        """Attention of [rows, heads, tokens, head size] to the slots' tokens and these: [rows, tokens, heads, size]."""
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        if layer not in self.layers:
            shape = (self.slots, key.shape[1], self.width, key.shape[3])
            self.layers[layer] = key.new_zeros(shape), value.new_zeros(shape)
        keys, values = self.layers[layer]
        if self.prompt is not None:
            keys[self.prompt, :, : key.shape[2]], values[self.prompt, :, : key.shape[2]] = key[0], value[0]
            out = scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=True)
            return out.transpose(1, 2)
        rows, heads, _, size = query.shape
        each = torch.arange(rows)
        keys[each, :, self.positions], values[each, :, self.positions] = key[:, :, 0], value[:, :, 0]
        # The heads that share a key are the rows of one product: the key is read once, not once a head.
        shared = (rows * keys.shape[1], heads // keys.shape[1], -1)
        scores = torch.bmm(query.reshape(*shared[:2], size), keys[:rows].flatten(0, 1).transpose(1, 2))
        weights = torch.softmax(scores.view(rows, heads, -1).float().mul_(scale).add_(self.hidden), -1)
        out = torch.bmm(weights.to(value.dtype).view(shared), values[:rows].flatten(0, 1))
        return out.view(rows, 1, heads, size)


def _attend(
    module: Any, query: Any, key: Any, value: Any, mask: None, *, scaling: float, slots: _Cache, **_: Any
) -> tuple[Any, None]:
    """Attention as transformers calls it; `slots` comes through the keywords of the model's forward."""
    return slots.attend(module.layer_idx, query, key, value, scaling), None
