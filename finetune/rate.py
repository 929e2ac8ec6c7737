"""How fast the machine multiplies matrices, and what share of that a training run uses: its MFU.

MFU (model FLOPs utilisation) is the FLOP of the products that training needs, over what the machine could have done in
that time; recomputed activations do not count. HFU (hardware FLOPs utilisation) counts them too. Both are defined in
Chowdhery et al. 2022, PaLM, appendix B. Here the ceiling is measured, not taken from a data sheet: it is what this
machine's own matmul reaches, in the dtype that training multiplies in.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.render import IGNORED
from finetune.device import Device
from finetune.processor import fast
from finetune.shared_prefix import PrefixGroup
from tooltune.config import Config
from tooltune.errors import InputError

TOKENS = 2048
"""Rows of the measured products, and the side of the square one: as many tokens as a micro-batch has."""
STRETCH = 0.02
"""Seconds of products between two readings of the clock: on a GPU many, so that launching them is not what is timed."""


@dataclass(frozen=True)
class Flops:
    """What the products of a QLoRA step cost, in weights that a token meets; a multiply-add is two FLOP.

    Attributes:
        frozen: weights of the layers' frozen matrices.
        trained: weights of the adapter's matrices.
        attention: for each window (None: all earlier tokens), the width of all heads summed over its layers.
        head: weights of the LM head.
        checkpointing: whether the layers' activations are recomputed in the backward pass.
    """

    frozen: int
    trained: int
    attention: Mapping[int | None, int]
    head: int
    checkpointing: bool

    def needed(self, tally: "Tally") -> float:
        """FLOP of the forward and the backward pass.

        A matrix takes 2 FLOP a weight and token forward, 2 for the gradient of its input and 2 for its own (Kaplan et
        al. 2020, section 2.1: 6N); a frozen one has no gradient of its own (Hu et al. 2021, LoRA: 4). Attention takes
        two products of the heads' width for each pair of a query and a key that it sees, and twice that backward (PaLM,
        appendix B: 12·L·H·Q·T, there for every pair of a row; here for those that the causal mask and the window
        leave). The frozen LM head is needed only at supervised tokens (`finetune.head`).
        """
        linear = (4 * self.frozen + 6 * self.trained) * int(tally.computed)
        return linear + 12 * self._pairs(tally) + 4 * self.head * int(tally.supervised)

    def recomputed(self, tally: "Tally") -> float:
        """FLOP of computing the layers a second time (Chen et al. 2016, sublinear memory: one more forward pass)."""
        if not self.checkpointing:
            return 0
        return 2 * (self.frozen + self.trained) * int(tally.computed) + 4 * self._pairs(tally)

    def _pairs(self, tally: "Tally") -> int:
        return sum(width * int(tally.pairs[window]) for window, width in self.attention.items())


@dataclass
class Tally:
    """What was computed, batch by batch. A GPU's counts are its own tensors until they are read, so nothing waits.

    Attributes:
        pairs: of a query and a key that it sees, for each window of the model's layers (see `Flops.attention`).
        rows: of the dataset.
        computed: tokens that went through the layers; a shared prefix counts once, padding never.
        supervised: tokens that the LM head was needed for.
    """

    pairs: dict[int | None, Any]
    rows: int = 0
    computed: Any = 0
    supervised: Any = 0

    def add(self, batch: Mapping[str, Any]) -> None:
        """Count what `shared_prefix.pack` or `batching.collate` returns."""
        if "passes" in batch:
            for part in batch["passes"]:
                self.supervised += len(part["labels"])
            for group in (group for part in batch["passes"] for group in part["layout"].groups):
                self.rows += len(group.suffixes) or 1
                self.computed += group.tokens
                for window in self.pairs:
                    self.pairs[window] += _pairs_of(group, window)
            return
        lengths = batch["attention_mask"].sum(1)
        self.rows += len(lengths)
        self.computed = self.computed + lengths.sum()
        self.supervised = self.supervised + (batch["labels"][:, 1:] != IGNORED).sum()
        for window in self.pairs:
            self.pairs[window] = self.pairs[window] + _seen(lengths, window).sum()

    def reset(self) -> None:
        self.rows = self.computed = self.supervised = 0
        self.pairs = dict.fromkeys(self.pairs, 0)


@dataclass(frozen=True)
class Ceiling:
    """What the machine's own matmul reaches: FLOP/s, in the dtype that training multiplies in."""

    rate: float
    dtype: str


@dataclass
class Meter:
    """A run's pace against the machine's: the trainer adds to `tally`, the recorder reads.

    Attributes:
        flops: of the run's model.
    """

    flops: Flops
    ceiling: Ceiling
    tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        self.tally = new_tally(self.flops)

    @property
    def facts(self) -> dict[str, Any]:
        return {"matmul_gflops": round(self.ceiling.rate / 1e9, 1), "matmul_dtype": self.ceiling.dtype}

    def read(self, seconds: float) -> dict[str, float]:
        """The rates since the last reading, over the seconds spent in training steps; empty where nothing was counted.

        Returns:
            tokens_per_second, supervised_per_second, mfu and, with gradient checkpointing, hfu; shares from 0 to 1.
        """
        tally, flops = self.tally, self.flops
        found: dict[str, float] = {}
        if seconds and int(tally.computed):
            needed = flops.needed(tally)
            found = {
                "tokens_per_second": round(int(tally.computed) / seconds, 1),
                "supervised_per_second": round(int(tally.supervised) / seconds, 1),
                "mfu": round(needed / seconds / self.ceiling.rate, 4),
            }
            if flops.checkpointing:
                found["hfu"] = round((needed + flops.recomputed(tally)) / seconds / self.ceiling.rate, 4)
        tally.reset()
        return found


def measure_ceiling(config: Config, folder: Path, dtype: str, device: Device) -> Ceiling:
    """Measure the machine for the model of a folder, which takes a second; before it is loaded, while there is room.

    Raises:
        InputError: transformers does not know the model.
    """
    from transformers import AutoConfig

    try:
        whole = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        hidden = whole.get_text_config().hidden_size
    except ValueError as e:
        reason = str(e).splitlines()[0]
        raise InputError(f"the model cannot be loaded: {reason}", where=str(folder), fix="choose another model") from e
    dtype = "bfloat16" if fast(config, device) else dtype
    return Ceiling(matmul_rate(device.kind, dtype, hidden), dtype)


def make_meter(config: Config, model: Any, ceiling: Ceiling) -> Meter:
    """The meter of a loaded PEFT model's run."""
    return Meter(count_flops(model, checkpointing=config.train.gradient_checkpointing != "off"), ceiling)


def new_tally(flops: Flops) -> Tally:
    """A tally at zero, with the windows that the model's layers have."""
    return Tally(dict.fromkeys(flops.attention, 0))


def count_flops(model: Any, *, checkpointing: bool) -> Flops:
    """Count the matrices of a loaded PEFT model; 4-bit ones hide their shape, but know their features."""
    import torch

    base = model.get_base_model()
    head = base.get_output_embeddings()
    weights = {True: 0, False: 0}
    for module in base.modules():
        if isinstance(module, torch.nn.Linear) and module is not head:
            weights[module.weight.requires_grad] += module.in_features * module.out_features
    config = base.config.get_text_config().to_dict()
    heads = config["num_attention_heads"]
    width = heads * (config.get("head_dim") or config["hidden_size"] // heads)
    window = config.get("sliding_window")
    kinds = config.get("layer_types") or ["sliding_attention"] * config["num_hidden_layers"]  # Mistral names none
    layers = Counter(window if kind == "sliding_attention" else None for kind in kinds)
    attention = {window: count * width for window, count in layers.items()}
    return Flops(weights[False], weights[True], attention, head.in_features * head.out_features, checkpointing)


def matmul_rate(device: str, dtype: str, hidden: int, *, seconds: float = 1.0) -> float:
    """FLOP/s of dense products, the best of many over about a second.

    Two shapes are tried, that of an MLP of the model's width and a square one; the first products of each are thrown
    away. The global random state is left alone.

    Args:
        device: "cuda" or "cpu". dtype: torch's name. hidden: the model's width.
        seconds: to measure for; each shape is timed three times at least, however slow the machine is.
    """
    import torch

    generator = torch.Generator(device).manual_seed(0)

    def draw(*shape: int) -> Any:  # zeros would cost a GPU less power, and so less time
        return torch.rand(shape, generator=generator, device=device, dtype=getattr(torch, dtype)) - 0.5

    def took(calls: int, states: Any, weight: Any) -> float:
        _wait(device)
        started = time.perf_counter()
        for _ in range(calls):
            torch.nn.functional.linear(states, weight)
        _wait(device)
        return time.perf_counter() - started

    best = 0.0
    with torch.no_grad():
        for inner, outer in ((hidden, 4 * hidden), (TOKENS, TOKENS)):
            operands = draw(TOKENS, inner), draw(outer, inner)
            took(1, *operands)
            calls = max(1, round(STRETCH / took(1, *operands)))
            until, timed = time.perf_counter() + seconds / 2, 0
            while timed < 3 or time.perf_counter() < until:
                best = max(best, calls * 2 * TOKENS * inner * outer / took(calls, *operands))
                timed += 1
    if device == "cuda":
        torch.cuda.empty_cache()
    return best


def flops_text(gflops: float) -> str:
    """A rate in GFLOP/s as it is read: 405 GFLOP/s, 71.3 TFLOP/s."""
    return f"{gflops:.3g} GFLOP/s" if gflops < 999.5 else f"{gflops / 1000:.3g} TFLOP/s"


def _wait(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def _seen(tokens: Any, window: int | None) -> Any:
    """Pairs of a query and a key of the first `tokens` (an int or an int64 tensor) of a row: Σ min(t, window)."""
    if window is None:
        return tokens * (tokens + 1) // 2
    below = min(tokens, window) if isinstance(tokens, int) else tokens.clamp(max=window)
    return below * (below + 1) // 2 + (tokens - below) * window


def _pairs_of(group: PrefixGroup, window: int | None) -> int:
    before = int(_seen(group.prefix, window))
    return before + sum(int(_seen(group.prefix + suffix, window)) - before for suffix in group.suffixes)
