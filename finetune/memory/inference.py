"""Evaluation, generation, loading and merging. Estimates from the tensors these build; not counted, not measured.
Bytes."""

from dataclasses import dataclass

from eval import memory
from finetune.memory import terms
from finetune.memory.activations import dequantised, offloads
from finetune.memory.head import own_block
from finetune.memory.overheads import CONTEXT, Calibration, Verdict, expected
from finetune.memory.setup import Setup

HEAD_ROWS = 128
"""Labelled tokens that meet the LM head at once there: `finetune.losses.HEAD_ROWS`, which would cost a plan its
import."""


def forward(s: Setup, tokens: int) -> int:
    """A forward pass without gradients: one layer's tensors (`eval.memory.forward`), and a dequantised matrix.

    Unsloth's two buffers for layer inputs stay on the card between training steps.
    """
    return memory.forward(s.shape, tokens, s.element) + dequantised(s) + _buffers(s)


def _buffers(s: Setup) -> int:
    return 2 * s.element * s.tokens * s.shape.hidden if offloads(s) else 0


def evaluation(s: Setup) -> int:
    """The evaluation loss of one batch: a forward pass, then the head on blocks of labelled tokens. Packed rows are
    evaluated in passes as they are trained."""
    tokens = s.tokens if s.packed else s.eval_batch * s.length
    labels = max(1, int(tokens * s.labelled))
    head = s.element * (tokens + labels) * s.shape.hidden + own_block(s, min(HEAD_ROWS, labels))
    buffers = forward(s, 0)
    return max(forward(s, tokens), buffers + head)


def kv_cache(s: Setup) -> int:
    """Keys and values of every layer while training generates: 2·L·KV·e·batch·(length + new tokens)."""
    return memory.cache(s.shape, s.generate_batch * (s.length + s.new_tokens), s.element)


def generation(s: Setup) -> int:
    """Answers to prompts as long as the longest row, while training: `eval.memory.answering` and Unsloth's buffers."""
    if not s.new_tokens:
        return 0
    return _answering(s, s.generate_batch, s.new_tokens) + _buffers(s)


def _answering(s: Setup, rows: int, new: int) -> int:
    return memory.answering(s.shape, rows, s.length, new, element=s.element, four_bit=s.four_bit)


@dataclass(frozen=True)
class Answers:
    """`make eval` on a card: how many prompts at a time, the tensors at its peak (bytes), and whether that fits.

    Attributes:
        verdict: fits: the evaluation's own rule, which keeps a margin, finds room for one prompt at least. tight: one
            prompt is expected to run.
    """

    rows: int
    allocated: int
    verdict: Verdict


def later_answers(s: Setup, budget: float, calibration: Calibration) -> Answers:
    """Evaluating the finished run in `budget` bytes: its weights, loaded as `eval.trained.load_tuned` does, and as many
    prompts at a time as `eval.memory.rows_that_fit` allows.

    Without an optimizer, gradients and layer inputs there is room for more prompts than while training.
    """
    weights = terms.linear_weights(s) + terms.embeddings(s) + terms.small_weights(s) + terms.adapter(s)
    free = budget - CONTEXT - calibration.ratio * weights
    fitting = memory.rows_that_fit(s.shape, s.length, s.answer, free, element=s.element, four_bit=s.four_bit)
    allocated = weights + _answering(s, max(1, fitting), s.answer)
    if fitting:
        return Answers(fitting, allocated, "fits")
    return Answers(1, allocated, "tight" if expected(allocated, calibration) <= budget else "does not fit")


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
