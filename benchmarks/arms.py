"""The arms: how one base config is trained by each way that is compared.

An arm is a function from the base config to an `ArmSetup`; a new arm is one function with an entry in `ARMS`. What must
be the same (rows, adapter, optimizer, precision, attention, checkpointing) is in the base, so no arm can differ in it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from tooltune.config import Config
from tooltune.errors import InputError


@dataclass(frozen=True)
class ArmSetup:
    """What one worker trains with.

    Attributes:
        trl: TRL's SFTTrainer; false: transformers' own Trainer, with the logits of every token.
        arguments: settings of the trainer beyond the config's.
        different_batches: it trains on other batches, so its losses stand beside no other arm's.
        reference: not plain, but what a later arm adds one thing to, so that one is measured against it as well.
    """

    config: Config
    trl: bool
    arguments: dict[str, Any] = field(default_factory=dict)
    different_batches: bool = False
    reference: bool = False

    @property
    def baseline(self) -> bool:
        """What later arms are measured against: stock Hugging Face, compiled or not, or a `reference`."""
        return self.reference or (self.config.model.backend == "hf" and not self.arguments)


class Unavailable(Exception):
    """The arm cannot run on this machine: the reason."""


Arm = Callable[[Config, str], ArmSetup]  # (base config, "cuda" or "cpu")


def hf(base: Config, device: str) -> ArmSetup:
    """transformers + peft + bitsandbytes + TRL's SFTTrainer, as the reference recipe has it."""
    _needs_gpu(device, "TRL computes the loss in a Triton kernel")
    return ArmSetup(base.changed({"model.backend": "hf"}), trl=True)


def hf_trainer(base: Config, device: str) -> ArmSetup:
    """The same with transformers' Trainer and full logits: what most tutorials run."""
    return ArmSetup(base.changed({"model.backend": "hf"}), trl=False)


def hf_trainer_compile(base: Config, device: str) -> ArmSetup:
    """`hf-trainer` with compiled decoder layers: what plain Hugging Face gains by that alone."""
    _needs_cpu(device)
    return ArmSetup(base.changed({"model.backend": "hf", "train.compile": True}), trl=False)


def hf_liger(base: Config, device: str) -> ArmSetup:
    """`hf` with Liger's Triton kernels for RoPE, RMSNorm and SwiGLU."""
    _needs_gpu(device, "Liger's kernels are Triton")
    if find_spec("liger_kernel") is None:
        raise Unavailable("liger-kernel is not installed (pip install liger-kernel)")
    return ArmSetup(base.changed({"model.backend": "hf"}), trl=True, arguments={"use_liger_kernel": True})


def unsloth(base: Config, device: str) -> ArmSetup:
    """Unsloth's FastLanguageModel and its SFTTrainer."""
    return ArmSetup(base.changed({"model.backend": "unsloth"}), trl=True, reference=True)


def unsloth_compile(base: Config, device: str) -> ArmSetup:
    """`unsloth` with compiled decoder layers."""
    _needs_cpu(device)
    return ArmSetup(base.changed({"model.backend": "unsloth", "train.compile": True}), trl=True, reference=True)


def unsloth_prefix(base: Config, device: str) -> ArmSetup:
    """Unsloth on another layout: the same rows and loss, a prefix that rows share computed once, no padding. So presets
    train; on a CPU layers are compiled as in `unsloth+compile`."""
    shared = {"model.backend": "unsloth", "train.compile": device == "cpu", "train.share_prefix": "auto"}
    return ArmSetup(base.changed(shared), trl=True)


ARMS: dict[str, Arm] = {
    "hf": hf,
    "hf-trainer": hf_trainer,
    "hf-trainer+compile": hf_trainer_compile,
    "hf+liger": hf_liger,
    "unsloth": unsloth,
    "unsloth+compile": unsloth_compile,
    "unsloth+prefix": unsloth_prefix,
}
DEFAULT = {
    "cuda": ["hf", "hf-trainer", "unsloth"],
    "cpu": ["hf-trainer", "hf-trainer+compile", "unsloth+compile", "unsloth+prefix"],
}


def choose(names: str | None, device: str) -> dict[str, Arm]:
    """The arms of a comma-separated list, in that order; None: the device's default.

    Raises:
        InputError: no such arm.
    """
    wanted = [name.strip() for name in names.split(",")] if names else DEFAULT[device]
    unknown = [name for name in wanted if name not in ARMS]
    if unknown:
        raise InputError(f"no such arm: {unknown[0]!r}", where="--arms", fix="arms: " + ", ".join(ARMS))
    return {name: ARMS[name] for name in wanted}


MOST_RATE = 2e-4
"""The reference recipe's (preset 6gb)."""


def base_config(config: Config) -> Config:
    """The user's config with everything off that would be timed with training, or that only one arm has.

    Compiling and sharing prefixes are off, for the arms that are about them; every step is logged, so each has a loss.
    The rate is low: speed does not depend on it, and a high one turns the rounding of bfloat16 into other losses within
    20 steps (at 1e-3 up to 0.048 where the first step differed by 0.003), which the parity gate could not tell from a
    fault.
    """
    return config.changed(
        {
            "train.learning_rate": min(config.train.learning_rate, MOST_RATE),
            "train.compile": False,
            "train.share_prefix": "off",
            "train.logging_steps": 1,
            "train.group_by_length": False,
            "train.epochs": 1,
            "eval.generate": 0,
            "eval.early_stopping_patience": None,
            "eval.select_by": "eval_loss",
            "memory.recoveries": 0,
            "loss.role_weights": {"name": 1, "arguments": 1, "format": 1, "text": 1},
            "report": {"tensorboard": False, "wandb": False, "trackio": False},
        }
    )


def _needs_cpu(device: str) -> None:
    if device != "cpu":
        raise Unavailable("is for a CPU: on a GPU Unsloth compiles what it will by itself, and rows are padded")


def _needs_gpu(device: str, why: str) -> None:
    if device != "cuda":
        raise Unavailable(f"needs a GPU: {why}")
