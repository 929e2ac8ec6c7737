"""What the figures of a run depend on, and what a resumed run must share with the one it goes on from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data.cache import code_digest
from finetune.device import Device
from finetune.length import Length
from finetune.memory.calibration import planned_memory
from finetune.rows import Prepared
from finetune.runs import environment
from tooltune.config import Config
from tooltune.cuda import GIB
from tooltune.errors import InputError
from tooltune.files import file_digest, files_digest
from tooltune.pretrained import weights_digest
from tooltune.run import Manifest

DECIDING = (
    *("weights", "model_files_sha256", "precision", "data", "rows", "effective_batch", "steps"),
    *("python", "packages", "code_sha256"),
)
"""Fields of the manifest that decide what is learnt, besides the settings."""
FREE = {
    *("train.micro_batch", "train.accumulation", "train.pass_tokens", "train.gradient_checkpointing", "train.on_nan"),
    *("eval.micro_batch", "eval.generate_batch", "data.test", "data.domain"),
    *("model.name", "data.train", "data.validation"),  # known by what is in them
}
"""Settings that may change while a run goes on; rows per step stay (`effective_batch`)."""
MODEL_FILES = (".json", ".jinja", ".model", ".txt")
PAGES = ("report", "page")
"""Folders of code that shows a run and does not decide what is learnt."""


def make_manifest(config: Config, device: Device, dtype: str, prepared: Prepared, length: Length) -> Manifest:
    """Everything but the config that decides a run's figures: versions, machine, data, precision, batch, length."""
    files = [config.data.train, config.data.validation]
    planned = planned_memory(
        config,
        longest=length.longest,
        labelled=length.supervised / length.computed,
        turing=device.capability < (8, 0),
        total=device.memory_gib * GIB,
    )
    software = environment()
    return {
        "python": software["python"],
        "platform": software["platform"],
        "packages": software["packages"],
        "cuda": software["cuda"],
        "driver": software["driver"],
        "git_commit": software["git_commit"],
        "code_sha256": code_digest("tooltune", "data", "eval", "finetune", without=PAGES),
        "device": {"kind": device.kind, "name": device.name, "memory_gib": round(device.memory_gib, 1)},
        "model": config.model.name,
        "model_folder": prepared.folder.name,
        "weights": weights_digest(prepared.folder),
        "model_files_sha256": model_files_digest(prepared.folder),
        "precision": dtype,
        "template": {"origin": prepared.template.origin, "family": prepared.template.family},
        "data": {str(path): file_digest(path) for path in files if path},
        "rows": {"train": len(prepared.train.examples), "validation": len(prepared.validation.examples)},
        "dropped": {"train": prepared.train.dropped, "validation": prepared.validation.dropped},
        "effective_batch": config.train.micro_batch * config.train.accumulation,
        "steps": length.steps,
        "longest_row": length.longest,
        "tokens": {"epoch": length.tokens, "computed": length.computed, "supervised": length.supervised},
        "seed": config.train.seed,
        "lora": config.lora.model_dump(),
        "settings": deciding(config),
        "planned_memory": planned if device.kind == "cuda" else None,  # the plan is of a card
    }


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What two manifests differ in that alters a run: `field`, `was` and `now` of each; settings that save memory do
    not count, nor does where model and rows lie. The settings are the manifest's, since config.yaml may be edited."""
    new = now["settings"]
    old = before.get("settings", new)  # an older version has none: its code is named
    pairs = [(key, old.get(key), new[key]) for key in new]
    pairs += [(field, before[field], now[field]) for field in DECIDING if field != "data"]
    pairs.append(("data", _placed(before["data"], now["data"]), now["data"]))
    return [{"field": field, "was": a, "now": b} for field, a, b in pairs if a != b]


def refuse(changed: dict[str, Any]) -> InputError:
    """A resumed run must be the same run."""
    field, was, now = changed["field"], changed["was"], changed["now"]
    if isinstance(was, dict) and isinstance(now, dict):  # the first entry that differs says it
        key = next(key for key in sorted({*was, *now}) if was.get(key) != now.get(key))
        field, was, now = f"{field}: {key}", was.get(key), now.get(key)
    return InputError(
        f"{field} was {was} when the run began and is {now} now",
        where="resume",
        fix="put it back, start a new run, or go on all the same with --force, which the manifest records",
    )


def _placed(was: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """The digests of files under the names that these have now."""
    return dict(zip(now, was.values(), strict=True)) if len(was) == len(now) else dict(was)


def deciding(config: Config) -> dict[str, Any]:
    """The settings that decide what is learnt, by dotted key."""
    whole = config.model_dump(mode="json")
    kept: dict[str, Any] = {}
    for section, values in whole.items():
        if section not in ("name", "memory", "report"):
            kept |= {f"{section}.{key}": value for key, value in values.items() if f"{section}.{key}" not in FREE}
    kept["train.optimizer"] = kept["train.optimizer"].removeprefix("paged_")
    return kept


def model_files_digest(folder: Path) -> str:
    """SHA-256 over a model's files besides its weights: config, tokenizer, template."""
    return files_digest((path for path in folder.glob("*") if path.is_file() and path.suffix in MODEL_FILES), folder)
