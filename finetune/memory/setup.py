"""What a plan depends on: one frozen record, made from a run's config or by hand."""

from dataclasses import dataclass, replace
from typing import Literal

from finetune.device import FLOAT16_OVERFLOWS, Device
from finetune.memory.host import xformers_loads
from finetune.memory.shapes import LINEARS, Shape
from finetune.packing import shares_prefixes
from tooltune.config import Config

Engine = Literal["unsloth", "trl", "full"]
ENGINES: dict[Engine, str] = {
    "unsloth": "Unsloth",
    "trl": "TRL",
    "full": "full logits",
}
"""Their names in tables. TRL: transformers + PEFT + bitsandbytes with TRL's fused LM head; full logits: the same with
transformers' own loss, as most tutorials have it."""
MIN_OFFLOAD_LENGTH = 512
"""Tokens. Below this max_length Unsloth's "unsloth" checkpointing is the plain one (unsloth/models/_utils.py)."""


@dataclass(frozen=True)
class Setup:
    """One training set-up. N, the tokens that are computed together, is micro_batch·length, or of a pass where rows are
    packed behind shared prefixes; n = labelled·N of them have a label.

    Attributes:
        length: tokens of the longest row.
        max_length: `data.max_length`, where rows are known to be shorter; 0: it is `length`.
        pass_tokens: rows are packed, at most so many tokens in a pass (`train.pass_tokens`); 0: rows are padded.
        engine: `unsloth`; `trl`, plain transformers with TRL's fused LM head; `full`, transformers' own loss, which
            builds all logits.
        labelled: share of the computed tokens that are trained on. 1 is the worst case.
        double_quant: NF4 scales are quantised again (this project always does).
        element: bytes of an activation, 2 for bf16 and fp16, 4 for float32.
        turing: compute capability below 8.0: other attention kernels, other cross-entropy.
        large_card: over 24.5 GiB and no budget: Unsloth's head takes blocks of whole logits (`head.SMALL_CARD`).
        xformers: Unsloth trains through it, as the locked packages let it; else through torch's attention.
        own_head: the loss is this project's own (finetune/losses.py): rows are packed, or roles have weights.
        kbit: PEFT's `prepare_model_for_kbit_training`: norms, embeddings and the residual stream in float32.
        offload_embedding: the untied input embedding in host memory (Unsloth).
        swapped: layers whose frozen weights wait in host memory (Unsloth's `offload_layers`).
        adapter_bytes: of a LoRA weight, where it is not what the engine does by itself.
        eval_batch: rows of an evaluation batch.
        generate_batch, new_tokens: prompts of a generation batch and tokens of an answer; 0: none is generated.
        answer: tokens of an answer in `make eval`, whether training generates or not.
    """

    shape: Shape
    engine: Engine = "unsloth"
    r: int = 8
    targets: tuple[str, ...] = LINEARS
    micro_batch: int = 1
    length: int = 2048
    max_length: int = 0
    pass_tokens: int = 0
    accumulation: int = 8
    labelled: float = 1.0
    four_bit: bool = True
    double_quant: bool = True
    element: int = 2
    optimizer: Literal["adamw_8bit", "paged_adamw_8bit", "adamw_torch"] = "adamw_8bit"
    checkpointing: Literal["unsloth", "on", "off"] = "unsloth"
    eager: bool = False
    turing: bool = False
    large_card: bool = False
    xformers: bool = True
    own_head: bool = False
    kbit: bool = False
    offload_embedding: bool = False
    swapped: int = 0
    adapter_bytes: int | None = None
    eval_batch: int = 1
    generate_batch: int = 1
    new_tokens: int = 192
    answer: int = 192

    @property
    def tokens(self) -> int:
        """N. A pass is no longer than a micro-batch of the longest rows that are let in (`packing.most_tokens`), but
        holds the longest row whole."""
        if not self.packed:
            return self.micro_batch * self.length
        return max(min(self.pass_tokens, self.micro_batch * (self.max_length or self.length)), self.length)

    @property
    def packed(self) -> bool:
        """Whether rows are packed behind the prefixes that they share."""
        return self.pass_tokens > 0

    @property
    def step_rows(self) -> int:
        """Rows of an optimizer step, which are one batch where they are packed."""
        return self.micro_batch * self.accumulation

    @property
    def several(self) -> bool:
        """Whether a step may have several backward passes: the gradients of the earlier ones wait on the card."""
        return self.step_rows * self.length > self.tokens

    @property
    def labels(self) -> int:
        """n, at least one."""
        return max(1, int(self.tokens * self.labelled))

    @property
    def stream(self) -> int:
        """Bytes of an element of the residual stream."""
        return 4 if self.kbit else self.element

    @property
    def adapter_element(self) -> int:
        """Bytes of a LoRA weight.

        Unsloth (prepare_model_for_training) and PEFT (autocast_adapter_dtype) keep it in float32; TRL
        casts it to bf16 on a quantised base (trl/trainer/sft_trainer.py).
        """
        if self.adapter_bytes:
            return self.adapter_bytes
        return 2 if self.engine == "trl" and self.four_bit and not self.kbit else 4

    @property
    def mode(self) -> Literal["unsloth", "on", "off"]:
        """The checkpointing that really happens."""
        short = (self.max_length or self.length) < MIN_OFFLOAD_LENGTH
        if self.checkpointing == "unsloth" and (self.engine != "unsloth" or short):
            return "on"
        return self.checkpointing


def setup_from(
    config: Config,
    shape: Shape,
    engine: Engine,
    *,
    labelled: float = 1.0,
    turing: bool = False,
    large_card: bool = False,
    xformers: bool | None = None,
) -> Setup:
    """The set-up of a config, for one of the three engines. Rows are taken to be as long as `data.max_length`.

    This project keeps the adapter in float32 with every engine (finetune/trainer.py). Only Unsloth moves weights to
    host memory. `full` stands for training as it is elsewhere, where rows are never packed.

    Args:
        xformers: None: as it is on this machine.
    """
    unsloth = engine == "unsloth"
    dtype = planned_dtype(config, shape.family, turing=turing)
    arm = config.changed({"model.backend": "unsloth" if unsloth else "hf"})
    packed = engine != "full" and shares_prefixes(arm, planned_card(turing=turing), dtype, shape.family)
    return Setup(
        shape=shape,
        engine=engine,
        r=config.lora.r,
        targets=LINEARS if config.lora.target_modules == "all-linear" else tuple(config.lora.target_modules),
        micro_batch=config.train.micro_batch,
        length=config.data.max_length,
        pass_tokens=config.train.pass_tokens if packed else 0,
        accumulation=config.train.accumulation,
        labelled=labelled,
        four_bit=config.model.load_in_4bit,
        element=4 if dtype == "float32" else 2,
        optimizer=config.train.optimizer,
        checkpointing=config.train.gradient_checkpointing,
        eager=config.model.attention == "eager" and not packed,
        turing=turing,
        large_card=large_card,
        xformers=xformers_loads() if xformers is None else xformers,
        own_head=packed or any(weight != 1 for _, weight in config.loss.role_weights),
        offload_embedding=config.memory.offload_embedding and unsloth,
        swapped=min(config.memory.offload_layers, shape.layers) if unsloth else 0,
        adapter_bytes=4,
        eval_batch=config.eval.micro_batch,
        generate_batch=config.eval.generate_batch,
        new_tokens=config.eval.max_new_tokens if config.eval.generate else 0,
        answer=config.eval.max_new_tokens,
    )


def for_rows(s: Setup, *, longest: int, labelled: float) -> Setup:
    """The set-up with rows that are known.

    Args:
        longest: tokens of the longest.
        labelled: share of the computed tokens that are trained on.
    """
    return replace(s, length=longest, max_length=s.max_length or s.length, labelled=labelled)


def planned_dtype(config: Config, family: str, *, turing: bool) -> str:
    """The dtype of the activations on a GPU, as `finetune.device.precision` chooses it; a wish is taken as it is."""
    if config.model.dtype != "auto":
        return config.model.dtype
    if not turing:
        return "bfloat16"
    return "float32" if family.startswith(FLOAT16_OVERFLOWS) else "float16"


def planned_card(*, turing: bool) -> Device:
    """A card of the generation that a plan is for."""
    return Device("cuda", "", (7, 5) if turing else (8, 6), 0, bf16=not turing)
