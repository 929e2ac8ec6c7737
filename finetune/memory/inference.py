"""Evaluation, generation, loading and merging. Estimates from the tensors these build; not counted, not measured.
Bytes."""

from finetune.memory import terms
from finetune.memory.activations import dequantised, offloads
from finetune.memory.setup import Setup

LOGIT_BYTES = 10
"""Of a logit in the evaluation loss: 16 bit, its float32 copy, log-softmax (finetune/losses.py)."""
HEAD_ROWS = 128
"""Labelled tokens that meet the LM head at once there: `finetune.losses.HEAD_ROWS`, which would cost a plan its
import."""


def forward(s: Setup, tokens: int) -> int:
    """A forward pass without gradients: one layer's tensors, e·tokens·(3I + 6H + 2Q), and a dequantised matrix.

    Unsloth's two buffers for layer inputs stay on the card between training steps.
    """
    shape = s.shape
    buffers = 2 * s.element * s.tokens * shape.hidden if offloads(s) else 0
    layer = s.element * tokens * (3 * shape.intermediate + 6 * shape.hidden + 2 * shape.q)
    return layer + dequantised(s) + buffers


def evaluation(s: Setup) -> int:
    """The evaluation loss of one batch: a forward pass, then the head on blocks of labelled tokens."""
    tokens = s.eval_batch * s.length
    labels = max(1, int(tokens * s.labelled))
    head = s.element * (tokens + labels) * s.shape.hidden + LOGIT_BYTES * min(HEAD_ROWS, labels) * s.shape.vocab
    buffers = forward(s, 0)
    return max(forward(s, tokens), buffers + head)


def kv_cache(s: Setup) -> int:
    """Keys and values of every layer: 2·L·KV·e·batch·(length + new tokens)."""
    return 2 * s.shape.layers * s.shape.kv * s.element * s.generate_batch * (s.length + s.new_tokens)


def generation(s: Setup) -> int:
    """Answers to prompts as long as the longest row: the cache, the prefill, one row of logits a prompt."""
    if not s.new_tokens:
        return 0
    return kv_cache(s) + forward(s, s.generate_batch * s.length) + 6 * s.generate_batch * s.shape.vocab


def loading(s: Setup) -> int:
    """While weights arrive: those that stay, an embedding that is moved out only later, and the matrix being
    quantised."""
    late = s.shape.embedding * s.element if s.offload_embedding and not s.shape.tied else 0
    raw = s.element * s.shape.hidden * s.shape.intermediate if s.four_bit else 0
    return terms.linear_weights(s) + terms.embeddings(s) + terms.small_weights(s) + late + raw


def merge_on_host(s: Setup) -> int:
    """Host memory to merge the adapter into 16-bit weights, on the CPU in a process of its own.

    Two bytes a parameter, and the largest matrix twice in float32. The same again on disk.
    """
    return 2 * s.shape.parameters + 8 * max(s.shape.embedding, s.shape.hidden * s.shape.intermediate)
