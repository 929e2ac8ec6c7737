"""What the tensors of a GGUF are kept as, and the rounding to it."""

import ctypes
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quantize

from finetune.export.llama_cpp import library
from tooltune.errors import InputError

TYPES = {"f16": "F16", "bf16": "BF16", "q8_0": "Q8_0", "q4_k_m": "Q4_K_M"}
"""What the matrices of a GGUF may be kept as; vectors stay float32. Q4_K_M is a mixture of types."""

WIDER = {
    GGMLQuantizationType.Q4_K: GGMLQuantizationType.Q5_0,
    GGMLQuantizationType.Q6_K: GGMLQuantizationType.Q8_0,
    GGMLQuantizationType.Q5_0: GGMLQuantizationType.F16,
    GGMLQuantizationType.Q8_0: GGMLQuantizationType.F16,
}
"""What llama.cpp takes in place of a type whose blocks do not fill a row (`tensor_type_fallback`, src/llama-quant.cpp).
Blocks of 256 do not fill the 640 columns of Gemma 3 270M, for one."""

_SENSITIVE = re.compile(r"blk\.(\d+)\.(?:attn_v|ffn_down)\.weight")


def kept_as(name: str, shape: tuple[int, ...], kind: str, *, layers: int, tied: bool) -> GGMLQuantizationType:
    """The type of a tensor.

    Args:
        name: llama.cpp's.
        kind: a key of `TYPES`.
        layers: how many the model has.
        tied: whether its embedding is its LM head too.
    """
    if len(shape) < 2:
        return GGMLQuantizationType.F32
    wanted = _q4_k_m(name, layers, tied) if kind == "q4_k_m" else GGMLQuantizationType[TYPES[kind]]
    while shape[-1] % GGML_QUANT_SIZES[wanted][0]:
        wanted = WIDER[wanted]
    return wanted


def _q4_k_m(name: str, layers: int, tied: bool) -> GGMLQuantizationType:
    """The type that llama.cpp's quantiser gives a matrix in the mixture Q4_K_M (`llama_tensor_get_type_impl`).

    The LM head has six bits, and in the layers whose rounding costs most so have values and down projections.
    """
    if name == ("token_embd.weight" if tied else "output.weight"):
        return GGMLQuantizationType.Q6_K
    eighth = layers // 8
    if found := _SENSITIVE.fullmatch(name):
        layer = int(found[1])
        if layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2:
            return GGMLQuantizationType.Q6_K
    return GGMLQuantizationType.Q4_K


def rounded(values: Any, wanted: GGMLQuantizationType) -> Any:
    """A tensor's bytes (numpy) in its type.

    Args:
        values: float32, contiguous, (rows, columns) or a vector.

    Raises:
        InputError: the type is llama.cpp's alone, and its quantiser is not there.
    """
    return _by_llama_cpp(values, wanted) if wanted.name.endswith("_K") else quantize(values, wanted)


@cache
def llama_cpp_quantiser() -> Callable[..., int]:
    """llama.cpp's `ggml_quantize_chunk`; the `gguf` library reads K-quants but does not write them.

    Raises:
        InputError: llama.cpp is not installed, or its package does not hand the function out.
    """
    extension = library(" (or another --type)").xllamacpp.__file__
    try:
        function = ctypes.CDLL(extension).ggml_quantize_chunk
    except (OSError, AttributeError):
        raise InputError(
            "this build of xllamacpp does not hand out llama.cpp's quantiser",
            where="--type q4_k_m",
            fix="--type q8_0; or export bf16 and run llama.cpp's own llama-quantize on it",
        ) from None
    floats = ctypes.POINTER(ctypes.c_float)
    function.restype = ctypes.c_size_t
    function.argtypes = [ctypes.c_int, floats, ctypes.c_void_p, *[ctypes.c_int64] * 3, floats]
    chunk: Callable[..., int] = function
    return chunk


def _by_llama_cpp(values: Any, wanted: GGMLQuantizationType) -> Any:
    import numpy as np

    rows, columns = values.shape
    block, size = GGML_QUANT_SIZES[wanted]
    out = np.empty((rows, columns // block * size), dtype=np.uint8)
    source = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    written = llama_cpp_quantiser()(wanted, source, out.ctypes.data, 0, rows, columns, None)
    assert written == out.nbytes, (written, out.nbytes)
    return out
