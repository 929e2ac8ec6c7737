"""What is on the card all the time: weights, adapter, gradients, optimizer. Every function returns bytes."""

from finetune.memory.setup import Setup
from finetune.memory.shapes import LINEARS, Shape

BLOCK = 512
"""The CUDA caching allocator hands out multiples of this (kMinBlockSize, c10/cuda/CUDACachingAllocator)."""


def rounded(size: float) -> int:
    """The bytes that an allocation of `size` really takes."""
    return -(-int(size) // BLOCK) * BLOCK


def nf4(parameters: int, double: bool) -> int:
    """A weight matrix in NF4: n/2 of codes, and a scale for each 64 weights.

    The scales are float32 (4n/64), or with double quantisation uint8 with a float32 for each 256 of them
    (n/64 + 4n/16384) and their own codebook. Source: bitsandbytes.functional.quantize_4bit; QLoRA (arXiv
    2305.14314), §3.
    """
    codes, codebook = rounded(parameters / 2), rounded(16 * 4)
    blocks = -(-parameters // 64)
    if not double:
        return codes + codebook + rounded(4 * blocks)
    offset, codebook_of_scales = rounded(4), rounded(256 * 4)
    return codes + codebook + rounded(blocks) + rounded(4 * -(-blocks // 256)) + offset + codebook_of_scales


def _layer_linears(shape: Shape, layer: int) -> list[tuple[int, bool]]:
    """(parameters, quantised) of each linear of a layer; a pre-quantised checkpoint may keep some in 16 bit."""
    pairs = []
    for name in LINEARS:
        part = "mlp" if name in ("gate_proj", "up_proj", "down_proj") else "self_attn"
        names = {f"model.layers.{layer}.{part}.{name}", f"model.layers.{layer}.{part}", f"model.layers.{layer}", name}
        inputs, outputs = shape.linear(name)
        pairs.append((inputs * outputs, not names & shape.unquantised))
    return pairs


def layer_weights(s: Setup, layer: int = 0) -> int:
    """The linear weights of one layer, as they lie on the card."""
    pairs = _layer_linears(s.shape, layer)
    return sum(nf4(n, s.double_quant) if quantised and s.four_bit else rounded(n * s.element) for n, quantised in pairs)


def linear_weights(s: Setup) -> int:
    """All linear weights of the decoder layers; swapped layers leave three slots behind.

    Source of the slots: unsloth_zoo/block_swap.py `_pool_bytes`, prefetch depth 2.
    """
    whole = sum(layer_weights(s, layer) for layer in range(s.shape.layers))
    swapped = max(0, min(s.swapped, s.shape.layers - 1))
    return whole - (swapped - min(3, swapped)) * layer_weights(s)


def embeddings(s: Setup) -> int:
    """Embedding and LM head, never quantised: V·H once when tied, else twice; float32 after PEFT's k-bit preparation.

    Source: transformers' `llm_int8_skip_modules` default keeps the LM head, and bitsandbytes has no 4-bit embedding.
    """
    one = rounded(s.shape.embedding * (4 if s.kbit else s.element))
    copies = 1 if s.shape.tied or s.offload_embedding else 2
    return one * copies


def small_weights(s: Setup) -> int:
    """Norms and biases, in 16 bit; float32 after PEFT's k-bit preparation."""
    shape, width = s.shape, 4 if s.kbit and s.four_bit else s.element
    layer = shape.norms * rounded(shape.hidden * width)
    layer += shape.qkv_bias * (rounded(shape.q * width) + 2 * rounded(shape.kv * width))
    layer += shape.qk_norm * 2 * rounded(shape.head_dim * width)
    return shape.layers * layer + rounded(shape.hidden * width)


def adapter_tensors(s: Setup) -> list[int]:
    """Elements of each LoRA matrix: A is [r, in] and B is [out, r], for each target of each layer (arXiv
    2106.09685)."""
    pairs = [s.shape.linear(name) for name in LINEARS if name in s.targets]
    return [s.r * width for pair in pairs for width in pair] * s.shape.layers


def adapter_parameters(s: Setup) -> int:
    """r·L·Σ(in + out)."""
    return sum(adapter_tensors(s))


def adapter(s: Setup) -> int:
    """The LoRA weights."""
    return sum(rounded(n * s.adapter_element) for n in adapter_tensors(s))


def gradients(s: Setup) -> int:
    """A gradient for each LoRA weight, in its dtype; there from the first backward of a step to its end."""
    return adapter(s)


def optimizer(s: Setup) -> int:
    """Adam's two moments of each LoRA weight.

    8 bit: two bytes and a float32 scale for each 256 per moment; tensors under 4,096 elements keep float32 moments.
    Paged: tensors of 100,000 elements and more lie in memory that the driver may evict to the host, and are not
    counted; at small ranks no LoRA matrix is that large. Source: bitsandbytes/optim/optimizer.py (min_8bit_size,
    get_state_buffer). torch: two copies in the weight's dtype.
    """
    total = 0
    for n in adapter_tensors(s):
        if s.optimizer == "adamw_torch":
            total += 2 * rounded(n * s.adapter_element)
        elif n < 4096:
            total += 2 * rounded(4 * n)
        else:
            moment = 0 if s.optimizer == "paged_adamw_8bit" and n >= 100_000 else rounded(n)
            total += 2 * (moment + rounded(4 * -(-n // 256)))
    return total
