"""Keys and values of the answers that are being written, one slot each, and the attention of a call to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_BLOCK = 64  # columns by which the slots widen and narrow: copied seldom, little read in vain
_QUERIES = 512  # of a prompt at a time where a mask is needed: it stays small, and a window's past is not computed


@dataclass(frozen=True)
class PromptRead:
    """A prompt that the next call of the model reads into a slot.

    Attributes:
        shared: so many of its first tokens are those of the prompt read before it, and not read again.
        length: all its tokens.
    """

    slot: int
    shared: int
    length: int


class Slots:
    """Keys and values of each layer, [slots, key heads, width, head size]; the tokens of a slot begin at column 0.

    The tensors are no wider than the longest slot needs: a batched product on the CPU copies what is not dense. A
    layer with a sliding window has no more columns than that: a token takes the place of the one that it cannot see.

    A call of the model reads one row, [1, tokens]: a token for each slot in use, then what is new of some prompts.
    """

    def __init__(self, count: int, longest: int, before: Mapping[int, tuple[Any, Any]]) -> None:
        """`count` slots, for prompts of at most `longest` tokens.

        Args:
            before: each layer's keys and values of a prompt read earlier, [1, key heads, up to `longest`, head size].
        """
        from torch.nn.functional import pad

        self.count, self.longest = count, longest
        self.width = 0
        self.lengths = [0] * count
        self.layers: dict[int, tuple[Any, Any, int | None]] = {}  # keys, values, window
        # of the prompt read last, [1, key heads, longest, head size]
        self.prompt: dict[int, tuple[Any, Any]] = {}
        for layer, (keys, values) in before.items():
            padding = (0, 0, 0, longest - keys.shape[2])
            self.prompt[layer] = pad(keys, padding), pad(values, padding)
        self.readings: Sequence[PromptRead] = ()
        self.positions: Any = None  # [slots in use]: where the step's token goes
        self.attention_mask: Any = None  # [slots in use, 1, width]: 0, or minus infinity after the step's token
        self.masks: dict[tuple[int, int, int, int | None], Any] = {}  # of this call, the same in many layers

    def prepare(self, used: int, readings: Sequence[PromptRead]) -> tuple[Any, Any]:
        """The next call reads a token for each of the first `used` slots, then `readings`, into the slots after those.

        Returns:
            The tokens' positions in their sequences, [1, tokens], and the last token of each slot, as indices of it.
        """
        import torch

        self.readings = readings
        self.masks.clear()
        self.positions = torch.tensor(self.lengths[:used], dtype=torch.long)
        self.lengths[:used] = [n + 1 for n in self.lengths[:used]]
        for reading in readings:
            self.lengths[reading.slot] = reading.length
        self._fit(max(self.lengths[: used + len(readings)]))
        after = torch.arange(self.width) > self.positions[:, None]
        self.attention_mask = torch.zeros(used, 1, self.width).masked_fill_(after[:, None], float("-inf"))
        positions = torch.cat([self.positions, *(torch.arange(r.shared, r.length) for r in readings)])
        sizes = [1] * used + [r.length - r.shared for r in readings]
        return positions[None], torch.tensor(sizes).cumsum(0) - 1

    def move(self, source: int, target: int) -> None:
        """Put the tokens of one slot into another."""
        if source != target:
            self.lengths[target] = self.lengths[source]
            for keys, values, _ in self.layers.values():
                keys[target], values[target] = keys[source], values[source]

    def attend(self, layer: int, query: Any, key: Any, value: Any, scale: float, window: int | None) -> Any:
        """Attention of a call's tokens, [1, heads, tokens, head size], each to its own: [1, tokens, heads, size].

        Args:
            window: a token sees itself and the `window` - 1 before it; None: all before it.
        """
        import torch

        if layer not in self.layers:
            heads, size = key.shape[1], key.shape[3]
            slots, prompt = (self.count, heads, _columns(self.width, window), size), (1, heads, self.longest, size)
            self.layers[layer] = key.new_zeros(slots), value.new_zeros(slots), window
            if layer not in self.prompt:
                self.prompt[layer] = key.new_zeros(prompt), value.new_zeros(prompt)
        used = len(self.positions)
        sizes = [used, *(r.length - r.shared for r in self.readings)]
        queries, keys, values = (tensor.split(sizes, 2) for tensor in (query, key, value))
        out = [self._step(layer, queries[0], keys[0], values[0], scale)] if used else []
        for reading, *new in zip(self.readings, queries[1:], keys[1:], values[1:], strict=True):
            out.append(self._read(layer, reading, new, scale))
        return torch.cat(out, 1)

    def _step(self, layer: int, query: Any, key: Any, value: Any, scale: float) -> Any:
        import torch

        keys, values, window = self.layers[layer]
        _, heads, used, size = query.shape
        each, columns = torch.arange(used), self.positions % window if window else self.positions
        keys[each, :, columns], values[each, :, columns] = key[0].transpose(0, 1), value[0].transpose(0, 1)
        # The heads that share a key are the rows of one product: the key is read once, not once a head.
        shared = (used * keys.shape[1], heads // keys.shape[1], -1)
        queries = query[0].transpose(0, 1).reshape(*shared[:2], size)
        scores = torch.bmm(queries, keys[:used].flatten(0, 1).transpose(1, 2)).view(used, heads, -1).float()
        # Columns after the position are hidden; where a window has come round, none is: the order does not matter.
        weights = torch.softmax(scores.mul_(scale).add_(self.attention_mask[..., : keys.shape[2]]), -1)
        out = torch.bmm(weights.to(value.dtype).view(shared), values[:used].flatten(0, 1))
        return out.view(1, used, heads, size)

    def _read(self, layer: int, reading: PromptRead, new: Sequence[Any], scale: float) -> Any:
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        query, *pair = new
        shared, length, window = reading.shared, reading.length, self.layers[layer][2]
        past = max(0, length - window) if window else 0  # so many of its tokens have no column any more
        for rows, prompt, tokens in zip(self.layers[layer][:2], self.prompt[layer], pair, strict=True):
            prompt[:, :, shared:length] = tokens
            kept = prompt[0, :, past:length]
            rows[reading.slot, :, : length - past] = kept.roll(past % window, 1) if window and past else kept
        if not shared and not past:
            out = scaled_dot_product_attention(query, *pair, is_causal=True, scale=scale, enable_gqa=True)
            return out.transpose(1, 2)
        keys, values = self.prompt[layer]
        parts = []
        for start in range(shared, length, _QUERIES):
            end = min(start + _QUERIES, length)
            first = max(0, start - window + 1) if window else 0
            mask = self._mask(first, start, end, window).to(query.dtype)
            part = query[:, :, start - shared : end - shared], keys[:, :, first:end], values[:, :, first:end]
            parts.append(scaled_dot_product_attention(*part, attn_mask=mask, scale=scale, enable_gqa=True))
        return torch.cat(parts, 2).transpose(1, 2)

    def _mask(self, first: int, start: int, end: int, window: int | None) -> Any:
        """What the tokens from `start` to `end` see of those from `first`: 0, or minus infinity where nothing."""
        import torch

        kind = first, start, end, window
        if kind not in self.masks:
            back = torch.arange(start, end)[:, None] - torch.arange(first, end)
            seen = (back >= 0) & (back < (window or end))
            self.masks[kind] = torch.zeros(back.shape).masked_fill_(~seen, float("-inf"))
        return self.masks[kind]

    def _fit(self, columns: int) -> None:
        from torch.nn.functional import pad

        self.width = -(-columns // _BLOCK) * _BLOCK
        for layer, (keys, values, window) in self.layers.items():
            if change := _columns(self.width, window) - keys.shape[2]:
                padding = (0, 0, 0, change)
                self.layers[layer] = pad(keys, padding), pad(values, padding), window


def _columns(width: int, window: int | None) -> int:
    return min(width, window) if window else width
