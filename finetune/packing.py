"""Whether a run's rows are packed behind the prefixes that they share, and how many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from data.render import Example
from finetune.attention import PACKED_FAMILIES, UNSLOTH_FAMILIES
from finetune.device import Device
from finetune.shared_prefix import prefix_families
from tooltune.config import Config
from tooltune.console import Tick


@dataclass(frozen=True)
class Packing:
    """How rows are packed.

    Attributes:
        families: a number for each row, equal for those that share a prefix (`shared_prefix.prefix_families`).
        rows: how many are packed at once: the whole optimizer step. What is in memory at a time is a pass, and the
            more rows stand together, the more they share.
        tokens: the most that a pass holds, unless one row is longer.
    """

    families: list[int]
    rows: int
    tokens: int


def shares_prefixes(config: Config, device: Device, dtype: str, model_type: str) -> bool:
    """Whether rows are packed. On a GPU not in float16 (all passes but a step's last would be differentiated before the
    loss is scaled), nor where Unsloth computes a family by code that does not hand the layout on.

    Args:
        dtype: of the activations.
        model_type: transformers'.
    """
    if config.train.share_prefix != "auto" or model_type not in PACKED_FAMILIES:
        return False
    if device.kind == "cpu":
        return True
    return dtype != "float16" and (config.model.backend == "hf" or model_type in UNSLOTH_FAMILIES)


def make_packing(
    config: Config,
    device: Device,
    dtype: str,
    model_type: str,
    rows: Sequence[Example],
    tick: Tick = lambda tokens: None,
) -> Packing | None:
    """The packing of training rows; None where they are padded. Arguments: see `shares_prefixes`, `prefix_families`."""
    if not shares_prefixes(config, device, dtype, model_type):
        return None
    step = config.train.micro_batch * config.train.accumulation
    return Packing(prefix_families(rows, tick), step, most_tokens(config, gpu=device.kind == "cuda"))


def most_tokens(config: Config, *, gpu: bool) -> int:
    """Tokens of a pass: `train.pass_tokens`, on a GPU no more than the micro-batch that the plan is of."""
    train = config.train
    return min(train.pass_tokens, train.micro_batch * config.data.max_length) if gpu else train.pass_tokens
