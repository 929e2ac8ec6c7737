"""One arm, one shape, one repeat, one process: `python -m benchmarks.worker SPEC.json`.

The model, the adapter and the trainer are the product's own. What was measured is written to a file that the spec
names, so no library's noise can break it; a line a step goes to another, for the progress bar.
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TypedDict

from finetune.device import act_small
from tooltune.config import Config
from tooltune.errors import InputError, JobFailed
from tooltune.files import dump_json, write_json


class Spec(TypedDict):
    """What a worker is told; paths are absolute."""

    arm: str
    config: dict[str, Any]
    trl: bool
    arguments: dict[str, Any]
    rows: str
    warmup_steps: int
    result: str
    progress: str
    scratch: str


def main(path: str) -> None:
    """Measure what the spec says and write the run; an error becomes a run with its reason."""
    spec: Spec = json.loads(Path(path).read_text(encoding="utf-8"))
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    act_small()  # what is measured on a large card is what a small one does
    write_json(spec["result"], outcome(spec))


def outcome(spec: Spec) -> dict[str, Any]:
    """The figures of a run, or its status and reason."""
    from eval.shortage import is_shortage
    from finetune.shortage import OutOfMemory

    try:
        return {"status": "ok", "reason": None, **measure(spec)}
    except (InputError, JobFailed) as e:
        status = "out of memory" if isinstance(e, OutOfMemory) else "failed"
        return {"status": status, "reason": " ".join(e.lines())}
    except Exception as e:
        traceback.print_exc()  # into the log
        reason = f"{type(e).__name__}: {str(e).strip().splitlines()[0] if str(e).strip() else ''}"
        return {"status": "out of memory" if is_shortage(e) else "failed", "reason": reason}


def measure(spec: Spec) -> dict[str, Any]:
    """Train and return the figures of a run.

    Raises:
        JobFailed: Unsloth is in a plain arm's process, or nothing steady could be timed.
    """
    import psutil

    from benchmarks.shapes import placed, read_rows, shuffle
    from finetune.device import detect, family_of, precision
    from finetune.models import load, prepare_backend
    from finetune.packing import make_packing
    from tooltune.pretrained import load_tokenizer

    config = Config.model_validate(spec["config"])
    refuse_unsloth(config)
    device = detect()
    folder = Path(config.model.name)
    family = family_of(folder)
    dtype, _ = precision(config.model.dtype, device, config.model.backend, family)
    prepare_backend(config, device)

    from benchmarks.stopwatch import Stopwatch
    from finetune.library_internals import use_row_order
    from finetune.rate import count_flops, measure_ceiling
    from finetune.trainer import TrainingJob, build_trainer

    train = config.train
    tokenizer = load_tokenizer(folder)
    effective = train.micro_batch * train.accumulation
    rows = placed(read_rows(Path(spec["rows"])), effective, train.seed)
    stopwatch = Stopwatch(psutil.Process().create_time(), cuda=device.kind == "cuda")
    ceiling = measure_ceiling(config, folder, dtype, device)
    loaded = load(config, folder, dtype, device)
    packing = make_packing(config, device, dtype, family, rows)
    trainer = build_trainer(
        TrainingJob(config, device, loaded, tokenizer, rows, rows[:1], packing),  # the validation row is not evaluated
        output_dir=spec["scratch"],
        warmup_steps=round(train.warmup * (train.max_steps or 0)),
        callbacks=[stopwatch, _progress(Path(spec["progress"]))],
        trl=spec["trl"],
        extra_arguments=spec["arguments"],
    )
    adapter = start_alike(trainer.model, train.seed)
    # One order for all arms: what shares prefixes would put the repeated rows of the warm-up together.
    use_row_order(trainer, shuffle(len(rows), effective, train.seed))
    flops = count_flops(trainer.model, checkpointing=train.gradient_checkpointing != "off")
    trainer.data_collator = stopwatch.watch(trainer.data_collator, flops)
    trainer.train()
    refuse_unsloth(config)
    return _figures(spec, config, ceiling, trainer, stopwatch, device) | {"adapter_sha256": adapter}


def refuse_unsloth(config: Config) -> None:
    """A plain arm must be plain: importing Unsloth patches transformers, trl and peft.

    Raises:
        JobFailed: it is imported.
    """
    if config.model.backend == "hf" and "unsloth" in sys.modules:
        raise JobFailed("unsloth is imported in a plain Hugging Face arm, so this arm is not plain")


def start_alike(model: Any, seed: int) -> str:
    """Draw the adapter anew, a module at a time in order of name, so that every arm starts from the same one.

    The distributions are PEFT's own: A is Kaiming-uniform with a = √5, B is zero.

    Returns:
        SHA-256 over the adapter's weights.
    """
    import math

    import torch

    from finetune.runs import tensors_digest

    adapter = {name: p for name, p in sorted(model.named_parameters()) if "lora_A" in name or "lora_B" in name}
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in adapter.items():
            drawn = torch.zeros(parameter.shape)
            if "lora_A" in name:
                torch.nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
            parameter.copy_(drawn)
    return tensors_digest(adapter)


def _figures(spec: Spec, config: Config, ceiling: Any, trainer: Any, stopwatch: Any, device: Any) -> dict[str, Any]:
    from benchmarks.fused import fused_layers, unfused_warnings
    from finetune.device import GIB
    from finetune.rate import make_meter
    from finetune.system import peak_memory

    accumulation = config.train.accumulation
    end = next(event for event in reversed(trainer.state.log_history) if "train_runtime" in event)
    steps = stopwatch.by_step(accumulation)
    peak = peak_memory(device)
    meter = make_meter(config, trainer.model, ceiling)
    rates = stopwatch.rates(accumulation, spec["warmup_steps"], ceiling.rate)
    unsloth_gpu = config.model.backend == "unsloth" and device.kind == "cuda"
    fused = fused_layers(trainer.model) if unsloth_gpu else None
    return {
        "losses": stopwatch.losses,
        "step_seconds": [round(seconds, 5) for seconds in stopwatch.seconds],
        "step_tokens": [step.tokens for step in steps],
        "step_padded": [step.computed for step in steps],
        "step_supervised": [step.supervised for step in steps],
        "train_samples_per_second": end["train_samples_per_second"],
        **{name: round(rate, 5) for name, rate in rates.items()},
        **meter.facts,
        "peak_allocated_gib": peak["gpu_allocated_gib"],
        "peak_reserved_gib": peak["gpu_reserved_gib"],
        "workspace_gib": peak["gpu_workspace_gib"],
        "driver_used_gib": round(stopwatch.driver_used / GIB, 3) if device.kind == "cuda" else None,
        "peak_rss_gib": peak["rss_gib"],
        "time_to_first_step_s": round(stopwatch.first_step, 2),
        "compile_seconds": round(stopwatch.compiling(), 2),
        "fused": fused,
        "batches_sha256": stopwatch.digest.hexdigest(),
        "warnings": unfused_warnings(trainer.model, config, fused) if fused else [],
    }


def _progress(path: Path) -> Any:
    from transformers import TrainerCallback

    class Progress(TrainerCallback):
        """A line a step for whoever waits."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            with path.open("a", encoding="utf-8") as f:
                f.write(dump_json({"step": state.global_step, "at": time.time()}) + "\n")

    return Progress()


if __name__ == "__main__":
    main(sys.argv[1])
