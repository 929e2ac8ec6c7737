"""What one layer's forward and backward hold on the card: the hump of the backward pass. Every function returns bytes.

Each coefficient is the number of live tensors of that width when the hump is highest, found by listing what the
layer saves and confirmed by counting: tests/finetune/memory counts the real code on the meta device with H, I, Q
and KV varied one at a time. N = micro_batch·length tokens; widths H, I, Q, KV as in `shapes.Shape`; e = bytes of an
element.
"""

from finetune.memory.setup import Setup

SUFFIX = 64
"""Tokens of a row behind its prefix, a request and its call, on average (in the bundled data the median is 76)."""
MIN_OFFLOAD = 2 * 2**20
"""Bytes. Unsloth leaves a layer's input on the card up to this size (unsloth_zoo/gradient_checkpointing.py:
MINIMUM_SIZE)."""


def dequantised(s: Setup) -> int:
    """One MLP matrix unpacked to 16 bit, the largest of a layer: e·H·I. Nothing when the weights are not quantised."""
    return s.element * s.shape.hidden * max(s.shape.intermediate, s.shape.q) if s.four_bit else 0


def offloads(s: Setup) -> bool:
    """Whether layer inputs go to host memory: Unsloth's checkpointing, from 2 MiB a layer input on."""
    return s.mode == "unsloth" and s.element * s.tokens * s.shape.hidden > MIN_OFFLOAD


def checkpoints(s: Setup) -> int:
    """What recomputation keeps on the card: every layer's input, L·N·H·e; offloaded, four of them.

    The four: the embedding's output (a leaf, so autograd holds it), the last layer's input, which is never
    offloaded, and two buffers through which the others come back. Source: unsloth_zoo/gradient_checkpointing.py,
    UnslothCheckpointFunction.
    """
    if s.mode == "off":
        return 0
    return s.stream * s.tokens * s.shape.hidden * (4 if offloads(s) else s.shape.layers)


def host_checkpoints(s: Setup) -> int:
    """Host memory (pinned) for the offloaded layer inputs: N·H·e·(L - 1)."""
    return s.element * s.tokens * s.shape.hidden * (s.shape.layers - 1) if offloads(s) else 0


def score_matrices(s: Setup) -> int:
    """Eager attention's [heads, length, length] matrices in one layer's backward, bytes.

    The softmax's output and its copy for the product, the gradients of both, and one that the softmax's backward
    keeps to itself: about 18 bytes a score with a float32 stream and 16 with a 16-bit one. These two are not
    derived but fitted to the public T4 rows with eager attention. Source of the operations: transformers'
    `eager_attention_forward`.
    """
    if not s.eager:
        return 0
    one = s.micro_batch * s.shape.heads * s.length**2
    return one * (18 if s.stream == 4 else 16)


def fused(s: Setup) -> bool:
    """Whether Unsloth's own layers run: for Llama's layout. Gemma 3 goes through transformers' modules."""
    return s.engine == "unsloth" and s.shape.norms == 2


def masks(s: Setup) -> int:
    """Two masks [rows, 1, length, length] that Unsloth's Gemma 3 holds through a step: 2·e·rows·length².

    One of causal and one of sliding attention, in the activations' dtype: without FlexAttention it calls its attention
    eager, for which transformers leaves out no mask, and hands them to torch's SDPA. Source: unsloth/models/_utils.py,
    DISABLE_SDPA_MODEL_NAMES; transformers/masking_utils.py, eager_mask.
    """
    gemma = s.engine == "unsloth" and s.shape.family.startswith("gemma3")
    return 2 * s.element * s.micro_batch * s.length**2 if gemma else 0


def kept(s: Setup) -> int:
    """What the forward pass leaves for the backward: layer inputs, or without checkpointing all layers' activations;
    and the masks of its attention."""
    if s.mode != "off":
        return checkpoints(s) + masks(s)
    return masks(s) + (_unsloth_kept(s) if fused(s) else _transformers_kept(s))


def layer_hump(s: Setup) -> int:
    """The most that one layer's backward holds besides `kept`.

    Without checkpointing a layer's activations are in `kept` already. What is added is a gradient beside two
    dequantised matrices (Unsloth: e·N·(I + H)), or the higher of two gradients and the last norm's float32 temporaries
    (transformers: e·N·max(2I + 2H, 13H)).
    """
    if s.mode != "off":
        return _unsloth_layer(s) if fused(s) else _transformers_layer(s)
    h, i, width = s.shape.hidden, s.shape.intermediate, s.stream * s.tokens
    if fused(s):
        return width * (i + h) + 2 * dequantised(s)
    return width * (max(2 * i + 2 * h, 13 * h) + 2 * s.shape.head_dim)


def packed_attention(s: Setup) -> tuple[int, int]:
    """Widths (in e·N bytes) that attention over packed rows keeps for its backward, 5Q + 2KV + 2KV·copies, and that
    it holds at most in it: the higher of 7Q more (the prefix) and 4Q + 2KV·copies more (the suffixes).

    Copies: each suffix stands behind keys and values of its prefix of its own, and the prefix behind some that are
    written out for all heads. A suffix of t tokens and a prefix of N - rows·t make the most of them, N²/4t: with
    suffixes of 64 tokens on average N/256 of N tokens, and no more than a step has rows. Suffixes are padded only to
    neighbours of like length. Source: finetune/attention.py.
    """
    q, kv = s.shape.q, s.shape.kv
    copies = 2 * kv * max(1, min(s.step_rows, s.tokens // (4 * SUFFIX)))
    kept = 5 * q + 2 * kv + copies
    return kept, kept + max(7 * q, 4 * q + copies)


def _grouped(s: Setup) -> int:
    """Width of the keys as Unsloth's attention keeps them: KV with torch's kernels, or Q where they are expanded to all
    heads: before Ampere, and in training through xformers (unsloth/utils/attention_dispatch.py, XFORMERS)."""
    return s.shape.q if s.turing or s.xformers else s.shape.kv


def _unsloth_layer(s: Setup) -> int:
    """Unsloth's fused layer, recomputed: the higher of its MLP's and its attention's backward.

    MLP: e·N·(3I + 5H + 2Q + 2KV) + 4·heads·N + two dequantised matrices. I: gate, up and the gradient of their
    product, which later gradients overwrite. H: the incoming gradient, the layer's output, the middle of the
    residual stream, both norms' outputs. Q, KV: query, attention output, key, value; a float a head for the
    softmax. Matrices: the scratch buffer that all products share, and a new one in LoRA_MLP.backward.
    Attention: e·N·(4H + 6Q + 4KV): the gradients of q, k, v beside their values, dQ summed in float32.
    Packed rows: `packed_attention` in the place of 2Q + 2KV and 6Q + 4KV.
    Source: unsloth/kernels/fast_lora.py, unsloth/kernels/rms_layernorm.py.
    """
    shape, kv = s.shape, _grouped(s)
    saved, held = packed_attention(s) if s.packed else (2 * shape.q + 2 * kv, 6 * shape.q + 4 * kv)
    norms = (shape.q + shape.kv) * shape.qk_norm  # queries and keys as they were before their norm
    fixed = 4 * shape.heads * s.tokens
    mlp = 3 * shape.intermediate + 5 * shape.hidden + saved + norms
    attention = 4 * shape.hidden + held + norms
    width = s.element * s.tokens
    return fixed + max(width * mlp + 2 * dequantised(s), width * attention + dequantised(s) + score_matrices(s))


def _unsloth_kept(s: Setup) -> int:
    """No checkpointing: e·N·L·(2I + 4H + 2Q + 2KV) + 4·heads·L·N.

    Each layer keeps gate, up, its two norms' inputs and outputs, and what its attention saves.
    """
    shape = s.shape
    saved = packed_attention(s)[0] if s.packed else 2 * shape.q + 2 * _grouped(s)
    layer = 2 * shape.intermediate + 4 * shape.hidden + saved + (shape.q + shape.kv) * shape.qk_norm
    per_token = s.element * layer + 4 * shape.heads
    return s.tokens * shape.layers * per_token + score_matrices(s) * 3 * shape.layers // 8


def _norm_copies(s: Setup) -> int:
    """Widths (in e·N bytes) that transformers' norms keep: a float32 copy of each input, unless the stream is float32.

    Two norms of width H a layer, or about three and a half in Gemma 3, and Qwen3's and Gemma's on queries and keys.
    """
    shape = s.shape
    heads = 2 * (shape.q + shape.kv) * shape.qk_norm
    return (4 * shape.hidden + 2 * shape.hidden * (shape.norms == 4) + heads) if s.stream == 2 else heads // 2


def _transformers_layer(s: Setup) -> int:
    """transformers + PEFT, recomputed: e·N·(6I + 3H + 4Q + 2·head_dim) + norm copies + 4·heads·N, or 5I and a matrix.

    I: gate, its SiLU, up, their product, and two gradients; a moment later one fewer beside a dequantised matrix.
    H: incoming gradient, residual, norm output. Q: query, output, and key and value expanded to all heads. Rotary
    cosine and sine. Packed rows: `packed_attention` in the place of 4Q.
    Source: transformers' modeling_llama/qwen2/qwen3, peft/tuners/lora/bnb.py, bitsandbytes MatMul4Bit.
    """
    shape, width = s.shape, s.stream * s.tokens
    saved, held = packed_attention(s) if s.packed else (4 * shape.q, 8 * shape.q)
    common = 3 * shape.hidden + saved + 2 * shape.head_dim + len(s.targets) * s.r + _norm_copies(s)
    fixed = 4 * shape.heads * s.tokens
    product = width * 6 * shape.intermediate
    matrix = width * 5 * shape.intermediate + dequantised(s)
    mlp = width * common + max(product, matrix) + score_matrices(s) * 2 // 5
    attention = width * (4 * shape.hidden + held) + score_matrices(s)
    return fixed + max(mlp, attention)


def _transformers_kept(s: Setup) -> int:
    """No checkpointing: e·N·L·(4I + 2H + 4Q + norm copies) + 4·heads·L·N."""
    shape = s.shape
    saved = packed_attention(s)[0] if s.packed else 4 * shape.q
    layer = 4 * shape.intermediate + 2 * shape.hidden + saved + len(s.targets) * s.r + _norm_copies(s)
    layer += 3 * shape.hidden // 2 * (shape.norms == 4)
    per_token = s.stream * layer + 4 * shape.heads
    return s.tokens * shape.layers * per_token + score_matrices(s) * 3 * shape.layers // 8
