"""What the figures of a run depend on, and what a resumed run must share with the one it goes on from."""

from collections.abc import Mapping
from typing import Any

from finetune.device import Device
from finetune.length import Length
from finetune.memory.calibration import planned_memory
from finetune.rows import Prepared
from finetune.runs import environment
from tooltune.config import Config
from tooltune.cuda import GIB
from tooltune.errors import InputError
from tooltune.files import file_digest
from tooltune.pretrained import weights_digest
from tooltune.run import Manifest


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
        "device": {"kind": device.kind, "name": device.name, "memory_gib": round(device.memory_gib, 1)},
        "model": config.model.name,
        "model_folder": prepared.folder.name,
        "weights": weights_digest(prepared.folder),
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
        "planned_memory": planned if device.kind == "cuda" else None,  # the plan is of a card
    }


def refuse_mismatch(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """A resumed run must be the same run; its model and data may lie elsewhere.

    Raises:
        InputError: with the first field that differs.
    """
    # by what is in them: `model` and the keys of `data` only say where they were
    model = "weights" if before.get("weights") else "model"
    for field in (model, "precision", "data", "rows", "effective_batch", "steps", "seed", "lora", "packages"):
        was, is_now = before[field], now[field]
        if (list(was.values()) != list(is_now.values())) if field == "data" else was != is_now:
            raise InputError(
                f"{field} was {was} when the run began and is {is_now} now",
                where="resume",
                fix="put it back, or start a new run",
            )
