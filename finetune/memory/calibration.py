"""What finished runs on this machine say about the ratio between planned tensors and reserved memory."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import median

from data.errors import InputError
from finetune.config import load_config
from finetune.memory.overheads import GIB, UNCALIBRATED, Calibration
from finetune.memory.plan import make_plan
from finetune.memory.setup import Engine, setup_from
from finetune.memory.shapes import shape_of


def calibrate(runs: Path, device: str) -> Calibration:
    """The median of reserved / planned over the finished GPU runs on a card of this name.

    A run counts when its manifest has the peak of reserved memory and its longest row, and its model's shape is known.
    """
    ratios = []
    for path in sorted(runs.glob("*/manifest.json")):
        if path.parent.is_symlink():
            continue
        manifest = json.loads(path.read_text(encoding="utf-8"))
        reserved = (manifest.get("peak_memory") or {}).get("gpu_reserved_gib")
        if not reserved or manifest["device"]["name"] != device:
            continue
        try:
            config = load_config(str(path.parent / "config.yaml"))
            shape, _ = shape_of(config.model.name)
        except InputError:
            continue
        engine: Engine = "unsloth" if config.model.backend == "unsloth" else "trl"
        setup = replace(setup_from(config, shape, engine), length=manifest["longest_row"])
        ratios.append(reserved * GIB / make_plan(setup).allocated)
    return Calibration(median(ratios), len(ratios)) if ratios else UNCALIBRATED
