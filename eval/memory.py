"""What answering prompts takes on a card, and how many prompts fit at a time. Sizes in bytes.

The plan (`finetune plan`) and the evaluation use the same formula. It is derived from the tensors that the libraries
hold, neither counted nor measured.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from tooltune.errors import InputError

MOST = 64
"""Prompts at a time, whatever fits: the longest answer of a batch keeps the others waiting."""
KEPT = 2**28
"""Of the keys and values that prompts share, so much is kept at most: in bfloat16 14,000 tokens of Gemma 3 270M, 9,000
of Qwen2.5-1.5B."""
GROWTH = 513
"""Columns that Unsloth's decoding adds to a cache before it needs them (unsloth/models/llama.py: KV_CACHE_INCREMENT +
1)."""
ROOM = 3 * 2**28
"""Kept free: workspace of cuBLAS, modules of kernels that are loaded when first called, and the desktop."""
WASTE = 1.15
"""Reserved over allocated bytes: a cache that grows by a token a step leaves gaps. The mean of public measurements with
the stock allocator is 1.128 (finetune/memory/overheads.py)."""


class DecoderShape(Protocol):
    """Widths of a decoder with a gated MLP: hidden H, intermediate I, all queries Q, all keys KV; layers L, words V."""

    @property
    def hidden(self) -> int: ...
    @property
    def intermediate(self) -> int: ...
    @property
    def layers(self) -> int: ...
    @property
    def q(self) -> int: ...
    @property
    def kv(self) -> int: ...
    @property
    def vocab(self) -> int: ...


@dataclass(frozen=True)
class Decoder:
    """The shape of a model that is loaded."""

    hidden: int
    intermediate: int
    layers: int
    q: int
    kv: int
    vocab: int


def cache(shape: DecoderShape, tokens: int, element: int) -> int:
    """Keys and values of every layer, 2·L·KV·e a token; a layer with a window is counted as if it had none."""
    return 2 * shape.layers * shape.kv * element * tokens


def forward(shape: DecoderShape, tokens: int, element: int) -> int:
    """One layer's tensors in a forward pass without gradients: e·tokens·(3I + 6H + 2Q)."""
    return element * tokens * (3 * shape.intermediate + 6 * shape.hidden + 2 * shape.q)


def answering(
    shape: DecoderShape, rows: int, prompt: int, new: int, *, element: int, four_bit: bool, shared: int = 0
) -> int:
    """The peak of answering `rows` prompts side by side, on top of the weights: the higher of reading and writing.

    Reading: the cache of the prompts, one layer's tensors, and where rows are padded a mask, rows·prompt²·(1 + e).
    Writing: the cache, and one layer's keys and values repeated for all heads, 2·e·Q a token, because an attention
    kernel with a mask takes no grouped ones (transformers/integrations/sdpa_attention.py: use_gqa_in_sdpa). The cache
    is counted as Unsloth's: its first step copies that of the prompts into buffers of prompt + 513 columns while the
    old one is still held (unsloth/models/_decode_graphs.py: alloc_decode_buffers). transformers' own cache holds one
    layer's keys twice while it grows (cache_utils.py: DynamicLayer.update), which is less.
    What the prompts share is computed once, as a row of its own whose cache is held besides (eval/prefixes.py:
    Beginning).
    Both: a matrix written out from 4 bits, e·H·max(I, Q), and the logits of each row's last token with their float32
    copy, V·(e + 4) (generation/utils.py passes logits_to_keep=1, so those of a prompt are never built).

    Args:
        prompt: tokens of the longest.
        new: tokens of an answer at most.
        shared: tokens that all prompts begin with and that are read once.
        element: e, bytes of an activation.
    """
    matrix = element * shape.hidden * max(shape.intermediate, shape.q) if four_bit else 0
    own = rows * (prompt - shared)
    mask = own * prompt * (1 + element) if rows > 1 or shared else 0
    kept = cache(shape, shared, element)
    reading = cache(shape, rows * prompt, element) + forward(shape, own, element) + mask
    columns = prompt + max(prompt, new) + GROWTH
    writing = cache(shape, rows * columns, element) + 2 * element * shape.q * rows * (prompt + new)
    once = kept + forward(shape, shared, element) + shared**2 * (1 + element)
    return matrix + max(kept + max(reading, writing), once) + rows * shape.vocab * (element + 4)


def rows_that_fit(
    shape: DecoderShape, prompt: int, new: int, free: float, *, element: int, four_bit: bool, shared: int = 0
) -> int:
    """How many prompts to answer at a time in `free` bytes, at most `MOST`; 0 where not one fits for certain.

    `ROOM` is kept, and the peak is taken `WASTE` times.
    """
    usable = (free - ROOM) / WASTE
    alike: dict[str, Any] = {"element": element, "four_bit": four_bit, "shared": shared}
    return sum(answering(shape, rows, prompt, new, **alike) <= usable for rows in range(1, MOST + 1))


def rows_for(model: Any, prompt: int, new: int, shared: int) -> int:
    """How many prompts to answer at a time with a model that is loaded on a card, at least 1; `shared` of the tokens of
    each are read once."""
    from eval.load import compute_device, is_4bit

    head, shape = model.get_output_embeddings().weight, decoder_of(model)
    alike: dict[str, Any] = {"element": head.element_size(), "four_bit": is_4bit(model)}
    shared = min(shared, tokens_kept(model))
    return max(1, rows_that_fit(shape, prompt, new, free_on_card(compute_device(model)), shared=shared, **alike))


def tokens_kept(model: Any) -> int:
    """How many tokens of a prompt's beginning may be kept: their keys and values take `KEPT` bytes at most."""
    return KEPT // cache(decoder_of(model), 1, model.get_output_embeddings().weight.element_size())


def decoder_of(model: Any) -> Decoder:
    """The shape of a loaded model, from its config.

    Raises:
        InputError: the config does not say it in the words of a decoder with a gated MLP.
    """
    config = model.config.get_text_config().to_dict()
    named = ("num_attention_heads", "hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size")
    missing = [name for name in named if not isinstance(config.get(name), int)]
    if missing:
        raise InputError(
            f"how many prompts fit is unknown: the config of this {config.get('model_type')} model has no usable "
            + ", ".join(missing),
            fix="say how many to answer at a time, starting small: --batch 2 (python -m eval run)",
        )
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    head_dim = config.get("head_dim") or hidden // heads
    return Decoder(
        hidden=hidden,
        intermediate=config["intermediate_size"],
        layers=config["num_hidden_layers"],
        q=heads * head_dim,
        kv=(config.get("num_key_value_heads") or heads) * head_dim,
        vocab=config["vocab_size"],
    )


def free_on_card(device: Any) -> int:
    """Bytes that this process may still allocate on a CUDA device: what is free there with what torch holds unused, and
    no more than the process's share (`torch.cuda.set_per_process_memory_fraction`) leaves."""
    import torch

    free, total = torch.cuda.mem_get_info(device)
    allocated: int = torch.cuda.memory_allocated(device)
    unused: int = torch.cuda.memory_reserved(device) - allocated
    share = int(torch.cuda.get_per_process_memory_fraction(device) * total)
    return min(int(free) + unused, share - allocated)
