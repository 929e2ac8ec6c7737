"""What a plan says of shared prefixes: whether rows are packed behind them, and what the user's own rows share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.check.prefix import LITTLE, Shared, TokenisedRow, shared
from data.record import Record
from data.render import Example
from finetune.attention import PACKED_FAMILIES
from finetune.device import Device
from finetune.memory.shapes import cached_config
from finetune.memory.words import said
from finetune.packing import Packing, most_tokens, shares_prefixes
from finetune.shared_prefix import lead, prefix_families
from tooltune.config import Config
from tooltune.embedded import converted, embedded
from tooltune.embedded.table import GEMMA3, SMOLLM2
from tooltune.files import user_path
from tooltune.words import Language, Phrase


@dataclass(frozen=True)
class Rows:
    """The training rows of a config, in tokens.

    Attributes:
        shared: what they begin with alike; `computed` is that of the first epoch's passes.
        tokenizer: whose tokens: a folder.
        own: it is the model's own.
        longest: tokens of the longest row.
        labelled: share of the computed tokens that are trained on, packed or padded as the run does it.
    """

    shared: Shared
    tokenizer: Path
    own: bool
    longest: int
    labelled: float


def why_padded(config: Config, device: Device, dtype: str, family: str) -> Phrase | None:
    """Why rows are not packed; None where they are. Arguments as `packing.shares_prefixes`, whose rule this words."""
    if shares_prefixes(config, device, dtype, family):
        return None
    if config.train.share_prefix != "auto":
        return said("padded.off", value=config.train.share_prefix)
    if family not in PACKED_FAMILIES:
        return said("padded.family", known=", ".join(PACKED_FAMILIES), family=family)
    if dtype == "float16":
        return said("padded.float16")
    return said("padded.unsloth", family=family)


def find_tokenizer(name: str) -> tuple[Path, bool] | None:
    """A folder on this machine with a tokenizer, and whether it is the model's own; else an embedded model's, if one
    is there. Nothing is fetched."""
    if model := embedded(name):
        own = converted(model)
    else:
        folder, config = user_path(name), cached_config(name)
        own = folder if folder.is_dir() else config.parent if config else None
    if own and any(own.glob("tokenizer*.json")):
        return own, True
    other = converted(GEMMA3) or converted(SMOLLM2)
    return (other, False) if other else None


def look_at_rows(config: Config, device: Device, lang: Language = "en", *, packed: bool) -> Rows | None:
    """Read and render the training rows as a run would; None where no tokenizer is on this machine.

    Args:
        device: what a run would use; a pass is shorter on a GPU.

    Raises:
        InputError: a file or row is wrong.
    """
    from data.render import render_all
    from eval.roundtrip import choose_template
    from finetune.length import run_length
    from finetune.rows import read_rows
    from tooltune.pretrained import load_tokenizer

    records, _ = read_rows(config, lang)
    found = find_tokenizer(config.model.name)
    if not found:
        return None
    folder, own = found
    tokenizer = load_tokenizer(folder)
    template = choose_template(tokenizer, config.data.tools_style, preference=config.data.template)
    most, too_long = config.data.max_length, config.data.too_long
    examples = render_all(records, tokenizer, template, max_length=most, too_long=too_long).examples
    step = config.train.micro_batch * config.train.accumulation
    packing = Packing(prefix_families(examples), step, most_tokens(config, gpu=device.kind == "cuda"))
    length = run_length(config, examples, packing)

    def encode(text: str) -> Sequence[int]:
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    alike = shared(_rows(records, examples), encode, "token", step)
    alike = replace(alike, computed=length.computed, reason=alike.reason if alike.times < LITTLE else None)
    labelled = length.supervised / (length.computed if packed else length.tokens)
    return Rows(alike, folder, own, length.longest, labelled)


def _rows(records: Sequence[Record], examples: Sequence[Example]) -> list[TokenisedRow]:
    by_id = {record.id: record for record in records}
    return [TokenisedRow([by_id[e.id]], 0, e.input_ids[: lead(e.labels)], len(e.input_ids)) for e in examples]
