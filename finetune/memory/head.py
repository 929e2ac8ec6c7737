"""The LM head and the loss: where full logits cost more than all else. Every function returns bytes.

N tokens in the micro-batch, n of them labelled, vocabulary V, width H.
"""

import os

from finetune.memory.activations import kept
from finetune.memory.setup import Setup

TILE = 16_384
"""Words of the vocabulary in a tile of Unsloth's (fused_linear.py: _SPLIT_COLS)."""
TRL_TILE = 32_768
"""Words in a tile of TRL's (trl/trainer/utils.py: _CHUNKED_LOGPROB_CHUNK_SIZE)."""
ROWS = 4096
"""Labelled tokens in a tile (fused_linear.py: _BWD_ROWS; trl/kernels/chunked_logprob.py: TOKEN_CHUNK_SIZE)."""
SMALL_CARD = int(24.5 * 2**30)
"""Bytes. On a larger card Unsloth takes whole logits for fewer than 4,096 labelled tokens, because that is faster there
(fused_linear.py: _SMALL_CARD_BYTES), unless `finetune.device.act_small` has set its variable."""
MIN_LOGITS, MOST_LOGITS = 512 * 151_936, 2**31
"""Logits of a block at least, and bytes of one at most (fused_linear.py: _MIN_LOGITS, _CHUNK_GB)."""
OWN_ROWS, OWN_PART = 1024, 4096
"""`finetune.head.BLOCK` and `PART`: labelled tokens, and words of the vocabulary, that meet this project's head at
once."""
LOSS_COPIES = {2: 14, 4: 16}
"""Bytes a logit of transformers' own loss, by the bytes of the head's output: logits, their float32 copy where they are
16-bit, log-softmax, and the gradients of both. Source: transformers/loss/loss_utils.py; the public T4 rows fit 3.5
and 4 float32 copies. A loop that lets go of the model's outputs before the backward saves the first of them."""


def held(s: Setup) -> int:
    """What waits on the card while the head works: `kept`, the last layer's output and its norm's.

    e·N·H each; transformers' norm keeps a float32 copy besides, unless the stream is float32 already.
    """
    outputs = 2 if s.engine == "unsloth" or s.mode == "off" or s.stream == 4 else 4
    return kept(s) + outputs * s.stream * s.tokens * s.shape.hidden


def acts_large(total: float) -> bool:
    """Whether Unsloth takes a card of `total` bytes for a large one in this process."""
    return total > SMALL_CARD and "UNSLOTH_FUSED_LINEAR_FLASH_MIN_ROWS" not in os.environ


def tiled(s: Setup) -> bool:
    """Whether Unsloth's head goes over the vocabulary in tiles, or else takes blocks of whole logits.

    Tiles from compute capability 8.0 on, in 16 bit, for more than 32,768 words, on small cards or from 4,096 labelled
    tokens on. Source: unsloth_zoo/fused_losses/fused_linear.py, _ce_impl.
    """
    able = not s.turing and s.element == 2 and s.shape.vocab > 2 * TILE
    return able and (not s.large_card or s.labels >= ROWS)


def block_rows(s: Setup) -> int:
    """Labelled tokens in a block of whole logits: n·H/V, but at least 77.8 million logits or 512 tokens, at most 4,096
    tokens or 2 GiB; the first two rounded down to a power of two. Source: fused_linear.py, fused_linear_rows."""
    least = min(max(_power_of_two(MIN_LOGITS // s.shape.vocab), 512), ROWS)
    wanted = max(_power_of_two(s.labels * s.shape.hidden // s.shape.vocab), least)
    return min(wanted, ROWS, MOST_LOGITS // (4 * s.shape.vocab), s.labels)


def _power_of_two(number: int) -> int:
    return 1 << number.bit_length() - 1 if number else 0


def loss(s: Setup) -> int:
    """Buffers of the head, the loss and its gradient. Only labelled tokens meet the head but in `full`.

    Unsloth, in tiles: min(4096, n) rows of 4·16,384, else `block_rows` of 4V (512 for Qwen). Both: 4H for a row's
    gradient, 8 floats for each 16,384 words, the labelled rows gathered where not all are, and the gradient of all
    hidden states e·N·H. Source: unsloth_zoo/fused_losses/fused_linear.py.
    TRL: min(4096, n)·32,768·e and n·H·(4 + 2e), the labelled rows, their gradient and its float32 sum.
    Source: trl/kernels/chunked_logprob.py.
    Where rows are packed or roles have weights, this project's head, whatever trains: `own_block`, and of the rows
    before it 4H for the last 1,024 and e·H for each. Source: finetune/head.py.
    Full logits: 14·N·V, or 16·N·V from a float32 head, whatever is labelled (see LOSS_COPIES).
    """
    h, v, n, e = s.shape.hidden, s.shape.vocab, s.labels, s.element
    if s.own_head:
        before = max(0, n - OWN_ROWS)
        return own_block(s, n) + 4 * min(OWN_ROWS, before) * h + e * before * h
    if s.engine == "full":
        return LOSS_COPIES[s.stream] * s.tokens * v
    if s.engine == "trl":
        return min(ROWS, n) * TRL_TILE * e + n * h * (4 + 2 * e)
    rows, columns = (min(ROWS, n), TILE) if tiled(s) else (block_rows(s), v)
    gathered = e * rows * h if n < s.tokens else 0
    return rows * (4 * columns + 4 * h + 32 * -(-v // TILE)) + e * s.tokens * h + gathered


def own_block(s: Setup, rows: int) -> int:
    """What this project's head makes of `rows` labelled tokens, at most 1,024 at once: 4H for a row's gradient, and
    17 + 2e for each of 4,096 words: the logits and their exponentials, in float32 and before and after."""
    return min(OWN_ROWS, rows) * ((17 + 2 * s.element) * min(OWN_PART, s.shape.vocab) + 4 * s.shape.hidden)
