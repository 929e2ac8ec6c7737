"""The shape of a model: what its `config.json` says, or a built-in table for models that small cards are used with.

No weights and no torch: a plan needs a dozen integers.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tooltune.embedded import embedded
from tooltune.errors import InputError
from tooltune.files import user_path

MOST = 2**31
"""Below which every size of a model is."""
WHOLE = "give the folder that save_pretrained wrote, or only its config.json"
LINEAR_ATTENTION = ("linear_num_key_heads", "linear_num_value_heads", "linear_key_head_dim", "linear_value_head_dim")
"""What a config says of layers with linear attention, besides where they stand."""
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Shape:
    """A decoder-only transformer with a gated MLP (Llama's layout).

    Attributes:
        hidden: H, the width of the residual stream.
        intermediate: I, the width of the MLP.
        layers: L.
        heads, kv_heads, head_dim: of the attention; Q = heads·head_dim and KV = kv_heads·head_dim need not equal H.
        vocab: V, rows of the embedding.
        tied: the LM head is the embedding.
        qkv_bias: biases on q, k, v (Qwen2, Qwen2.5).
        qk_norm: a norm on each head's query and key (Qwen3, Gemma 3).
        norms: norms of width H in a layer.
        family: transformers' `model_type`.
        unquantised: names of linear layers that a pre-quantised checkpoint keeps in 16 bit, such as
            `model.layers.3.mlp.down_proj` (Unsloth's dynamic quants: `quantization_config.llm_int8_skip_modules`).
    """

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool
    family: str
    qkv_bias: bool = False
    qk_norm: bool = False
    norms: int = 2
    unquantised: frozenset[str] = frozenset()

    @property
    def q(self) -> int:
        """Q, the width of all queries."""
        return self.heads * self.head_dim

    @property
    def kv(self) -> int:
        """KV, the width of all keys, and of all values."""
        return self.kv_heads * self.head_dim

    def linear(self, name: str) -> tuple[int, int]:
        """(in, out) of one of a layer's linears."""
        h, i = self.hidden, self.intermediate
        return {
            "q_proj": (h, self.q),
            "k_proj": (h, self.kv),
            "v_proj": (h, self.kv),
            "o_proj": (self.q, h),
            "gate_proj": (h, i),
            "up_proj": (h, i),
            "down_proj": (i, h),
        }[name]

    @property
    def small(self) -> int:
        """Parameters that are never quantised besides the embeddings: norms and biases."""
        layer = self.norms * self.hidden + (self.q + 2 * self.kv) * self.qkv_bias + 2 * self.head_dim * self.qk_norm
        return self.layers * layer + self.hidden

    @property
    def embedding(self) -> int:
        """Parameters of the input embedding, V·H."""
        return self.vocab * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters, the embedding counted once when tied."""
        linears = self.layers * sum(i * o for i, o in map(self.linear, LINEARS))
        return linears + self.small + self.embedding * (1 if self.tied else 2)


@dataclass(frozen=True)
class Hybrid(Shape):
    """A decoder in which most layers have linear attention (Qwen3.5's gated delta net), planned by its mean layer.

    Weights and LoRA are those of all layers, spread evenly: `q_proj` stands for all that reads the residual stream
    besides k and v, `o_proj` for what writes it back. Tensors in flight are a linear layer's, the wider kind. An
    estimate: its kernels' own buffers are not counted, and neither is a vision tower, which text does not need.
    Source: transformers' Qwen3_5GatedDeltaNet and Qwen3_5Attention (models/qwen3_5/modeling_qwen3_5.py).

    Attributes:
        full: layers with softmax attention. Their query projection writes an output gate besides.
        key_heads, value_heads, key_dim, value_dim: of the linear layers, whose queries are as wide as their keys.
    """

    full: int = 0
    key_heads: int = 1
    value_heads: int = 1
    key_dim: int = 1
    value_dim: int = 1

    @property
    def values(self) -> int:
        """Width of a linear layer's values, of its output gate, and of what it writes back."""
        return self.value_heads * self.value_dim

    @property
    def q(self) -> int:
        """Width of a linear layer's queries, keys and values together, which its convolution works on."""
        return 2 * self.key_heads * self.key_dim + self.values

    @property
    def kv(self) -> int:
        """Cached width of the mean layer. A linear layer keeps a float32 state instead, which counts as the 16-bit keys
        and values of 2,048 tokens."""
        state = 4 * self.values * self.key_dim // (2 * 2 * 2048)
        return (self.full * super().kv + (self.layers - self.full) * state) // self.layers

    def linear(self, name: str) -> tuple[int, int]:
        """(in, out) of one of the mean layer's linears."""
        if name == "q_proj":
            softmax = 2 * super().q + 2 * super().kv
            delta = self.q + self.values + 2 * self.value_heads
            total = self.full * softmax + (self.layers - self.full) * delta
            return self.hidden, total // self.layers - 2 * self.kv
        return (self.values, self.hidden) if name == "o_proj" else super().linear(name)


def _qwen2(h: int, i: int, layers: int, heads: int, kv: int, vocab: int = 151_936, tied: bool = True) -> Shape:
    return Shape(h, i, layers, heads, kv, h // heads, vocab, tied, "qwen2", qkv_bias=True)


def _qwen3(h: int, i: int, layers: int, heads: int, tied: bool = True) -> Shape:
    return Shape(h, i, layers, heads, 8, 128, 151_936, tied, "qwen3", qk_norm=True)


def _llama(h: int, i: int, layers: int, heads: int, kv: int, vocab: int, tied: bool = True) -> Shape:
    return Shape(h, i, layers, heads, kv, h // heads, vocab, tied, "llama")


def _hybrid(shape: Shape, text: dict[str, Any]) -> Hybrid:
    """With what a config says of its linear layers. The third norm is their mixer's, over its values."""
    return Hybrid(
        **vars(replace(shape, norms=3)),
        full=text["layer_types"].count("full_attention"),
        key_heads=text["linear_num_key_heads"],
        value_heads=text["linear_num_value_heads"],
        key_dim=text["linear_key_head_dim"],
        value_dim=text["linear_value_head_dim"],
    )


def _gemma3(
    h: int, i: int, layers: int, heads: int, kv: int, vocab: int = 262_144, family: str = "gemma3_text"
) -> Shape:
    return Shape(h, i, layers, heads, kv, 256, vocab, True, family, qk_norm=True, norms=4)


_QWEN3_5 = {
    "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 6,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 16,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
}

KNOWN: dict[str, Shape] = {
    "Qwen2.5-0.5B": _qwen2(896, 4864, 24, 14, 2),
    "Qwen2.5-1.5B": _qwen2(1536, 8960, 28, 12, 2),
    "Qwen2.5-3B": _qwen2(2048, 11008, 36, 16, 2),
    "Qwen2.5-7B": _qwen2(3584, 18944, 28, 28, 4, vocab=152_064, tied=False),
    "Qwen2.5-14B": _qwen2(5120, 13824, 48, 40, 8, vocab=152_064, tied=False),
    "Qwen3-0.6B": _qwen3(1024, 3072, 28, 16),
    "Qwen3-1.7B": _qwen3(2048, 6144, 28, 16),
    "Qwen3-4B": _qwen3(2560, 9728, 36, 32),
    "Qwen3-8B": _qwen3(4096, 12288, 36, 32, tied=False),
    "Qwen3.5-0.8B": _hybrid(Shape(1024, 3584, 24, 8, 2, 256, 248_320, True, "qwen3_5_text", qk_norm=True), _QWEN3_5),
    "Llama-3.2-1B": _llama(2048, 8192, 16, 32, 8, 128_256),
    "Llama-3.2-3B": _llama(3072, 8192, 28, 24, 8, 128_256),
    "Llama-3.1-8B": _llama(4096, 14336, 32, 32, 8, 128_256, tied=False),
    "SmolLM2-135M": _llama(576, 1536, 30, 9, 3, 49_152),
    "SmolLM2-360M": _llama(960, 2560, 32, 15, 5, 49_152),
    "SmolLM2-1.7B": _llama(2048, 8192, 24, 32, 32, 49_152),
    "gemma-3-270m": _gemma3(640, 2048, 18, 4, 1),
    "gemma-3-1b": _gemma3(1152, 6912, 26, 4, 1),
    "gemma-3-4b": _gemma3(2560, 10240, 34, 8, 4, vocab=262_208, family="gemma3"),
}
"""The models' own config.json, as published on the hub."""


def shape_of(name: str) -> tuple[Shape, str]:
    """The shape of a model and where it was read: a local folder, the hub's cache, or the built-in table.

    Raises:
        InputError: none of the three knows the model.
    """
    if model := embedded(name):
        name = model.folder  # as the table knows it
    folder = user_path(name)
    if folder.is_dir():
        return read_config(folder / "config.json"), str(folder / "config.json")
    cached = cached_config(name)
    if cached:
        return read_config(cached), "config.json in the hub's cache"
    known = lookup(name)
    if known:
        return known, "built-in table"
    raise InputError(
        f"the shape of {name!r} is not known here",
        where="model.name",
        fix="give a folder with its config.json, or one of: " + ", ".join(KNOWN),
    )


def lookup(name: str) -> Shape | None:
    """The table's shape for a hub name: the last part, with endings such as -Instruct left out, in any case."""
    last = name.rsplit("/", 1)[-1].lower().replace("meta-", "").replace("-coder", "").replace("smollm2-", "smollm2-")
    found = [key for key in KNOWN if last == key.lower() or last.startswith(key.lower() + "-")]
    return KNOWN[max(found, key=len)] if found else None


def read_config(path: Path) -> Shape:
    """The shape in a `config.json`, a multimodal model's text part included.

    Raises:
        InputError: not readable, or not a gated decoder whose memory this project knows.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("the folder has no config.json", where=str(path.parent), fix=WHOLE) from None
    except (OSError, ValueError, RecursionError) as e:
        raise InputError(f"not a model's config: {e}", where=str(path), fix=WHOLE) from None
    if not isinstance(values, dict) or not isinstance(values.get("text_config") or {}, dict):
        raise InputError("not a model's config", where=str(path), fix=WHOLE)
    text = {**values, **(values.get("text_config") or {})}

    def number(key: str, otherwise: int | None = None) -> int:
        value = text.get(key) or otherwise
        if type(value) is int and 0 < value < MOST:
            return value
        wrong = f"is {text[key]!r}, not a whole number from 1 to {MOST:,}" if key in text else "is missing"
        raise InputError(f"{key} {wrong}", where=str(path), fix="give the config.json of a decoder with a gated MLP")

    heads, hidden = number("num_attention_heads"), number("hidden_size")
    family = str(text.get("model_type") or "")
    shape = Shape(
        hidden=hidden,
        intermediate=number("intermediate_size"),
        layers=number("num_hidden_layers"),
        heads=heads,
        kv_heads=number("num_key_value_heads", heads),
        head_dim=number("head_dim", hidden // heads),
        vocab=number("vocab_size"),
        tied=bool(text.get("tie_word_embeddings", True)),
        family=family,
    )
    if "num_experts" in text or "num_local_experts" in text:
        raise InputError("mixtures of experts are not planned", where=str(path), fix="choose a dense model")
    quantised = values.get("quantization_config")
    skipped = quantised.get("llm_int8_skip_modules") or [] if isinstance(quantised, dict) else []
    shape = replace(
        shape,
        qkv_bias=bool(text.get("attention_bias", family == "qwen2")) or family == "qwen2",
        qk_norm=family.startswith(("qwen3", "gemma3")),
        norms=4 if family.startswith("gemma3") else 2,
        unquantised=frozenset(skipped),
    )
    if not family.startswith("qwen3_5"):
        return shape
    kinds = text.get("layer_types")
    if not isinstance(kinds, list) or len(kinds) != shape.layers:
        raise InputError("layer_types does not name the kind of every layer", where=str(path), fix=WHOLE)
    return _hybrid(shape, text | {key: number(key) for key in LINEAR_ATTENTION})


def cached_config(name: str) -> Path | None:
    """`config.json` of a hub model in the local cache, found without the hub's library (a second to import)."""
    import os

    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    found = sorted(cache.glob(f"models--{name.replace('/', '--')}/snapshots/*/config.json"))
    return found[-1] if found else None
