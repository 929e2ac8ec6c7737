"""The LM head and the loss: where full logits cost more than all else. Every function returns bytes.

N tokens in the micro-batch, n of them labelled, vocabulary V, width H.
"""

from finetune.memory.activations import dequantised, kept
from finetune.memory.setup import Setup

TILE = 16_384
"""Words of the vocabulary in a tile, in Unsloth (fused_linear.py: _SPLIT_COLS) and in TRL (its caller's chunk_size)."""
ROWS = 4096
"""Labelled tokens in a tile (fused_linear.py: _BWD_ROWS; trl/kernels/chunked_logprob.py: TOKEN_CHUNK_SIZE)."""
TURING_ROWS = 512
"""Labelled tokens in a block of whole logits on cards before Ampere (fused_linear.py: _MIN_LOGITS = 512·151,936)."""
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


def loss(s: Setup) -> int:
    """Buffers of the head, the loss and its gradient.

    Unsloth, compute capability 8.0 and up on cards of at most 24 GB: tiles, min(4096, n)·(4·16,384 + 4H).
    Unsloth, earlier cards: min(512, n)·(4V + 4H). Both: the gradient of the hidden states e·N·H, and the labelled
    rows gathered when there are fewer. Source: unsloth_zoo/fused_losses/fused_linear.py.
    TRL: min(4096, n)·16,384·e and n·H·(4 + 2e), the labelled rows, their gradient and its float32 sum.
    Source: trl/kernels/chunked_logprob.py.
    Full logits: 14·N·V, or 16·N·V from a float32 head, whatever is labelled (see LOSS_COPIES).
    """
    h, v, n, e = s.shape.hidden, s.shape.vocab, s.labels, s.element
    if s.engine == "full":
        return LOSS_COPIES[s.stream] * s.tokens * v
    if s.engine == "trl":
        return min(ROWS, n) * TILE * e + n * h * (4 + 2 * e)
    rows = min(TURING_ROWS if s.turing else ROWS, n)
    columns = v if s.turing else TILE
    gathered = e * rows * h if n < s.tokens else 0
    return rows * (4 * columns + 4 * h) + e * s.tokens * h + gathered


def head_hump(s: Setup) -> int:
    """Everything dynamic at the moment of the loss. Unsloth's scratch matrix, once there, stays."""
    scratch = dequantised(s) if s.engine == "unsloth" else 0
    return held(s) + loss(s) + scratch
