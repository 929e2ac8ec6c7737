"""What a plan depends on: one frozen record, made from a run's config or by hand."""

from dataclasses import dataclass
from typing import Literal

from finetune.config import Config
from finetune.device import FLOAT16_OVERFLOWS
from finetune.memory.host import xformers_loads
from finetune.memory.shapes import LINEARS, Shape

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
    """One training set-up. N, the tokens of a micro-batch, is micro_batch·length; n = labelled·N of them have a label.

    Attributes:
        engine: `unsloth`; `trl`, plain transformers with TRL's fused LM head; `full`, transformers' own loss, which
            builds all logits.
        labelled: share of the tokens that are trained on. 1 is the worst case.
        double_quant: NF4 scales are quantised again (this project always does).
        element: bytes of an activation, 2 for bf16 and fp16, 4 for float32.
        turing: compute capability below 8.0: other attention kernels, other cross-entropy.
        large_card: over 24.5 GiB and no budget: Unsloth's head takes blocks of whole logits (`head.SMALL_CARD`).
        xformers: Unsloth trains through it, as the locked packages let it; else through torch's attention.
        weighted: roles have weights, so the loss is this project's own (finetune/losses.py).
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
    weighted: bool = False
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
        """N."""
        return self.micro_batch * self.length

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
        if self.checkpointing == "unsloth" and (self.engine != "unsloth" or self.length < MIN_OFFLOAD_LENGTH):
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
    host memory.

    Args:
        xformers: None: as it is on this machine.
    """
    unsloth = engine == "unsloth"
    dtype = config.model.dtype
    if dtype == "auto" and turing and shape.family.startswith(FLOAT16_OVERFLOWS):
        dtype = "float32"  # as `finetune.device.precision` says
    return Setup(
        shape=shape,
        engine=engine,
        r=config.lora.r,
        targets=tuple(config.lora.target_modules),
        micro_batch=config.train.micro_batch,
        length=config.data.max_length,
        accumulation=config.train.accumulation,
        labelled=labelled,
        four_bit=config.model.load_in_4bit,
        element=4 if dtype == "float32" else 2,
        optimizer=config.train.optimizer,
        checkpointing=config.train.gradient_checkpointing,
        eager=config.model.attention == "eager",
        turing=turing,
        large_card=large_card,
        xformers=xformers_loads() if xformers is None else xformers,
        weighted=any(weight != 1 for _, weight in config.loss.role_weights),
        offload_embedding=config.memory.offload_embedding and unsloth,
        swapped=min(config.memory.offload_layers, shape.layers) if unsloth else 0,
        adapter_bytes=4,
        eval_batch=config.eval.micro_batch,
        generate_batch=config.eval.generate_batch,
        new_tokens=config.eval.max_new_tokens if config.eval.generate else 0,
        answer=config.eval.max_new_tokens,
    )
