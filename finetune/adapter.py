"""What a run hands over: `best/` and `last/`, loadable by plain peft + transformers."""

import json
import shutil
from pathlib import Path
from typing import Any

from finetune.checkpoints import ADAPTER, fault, last_checkpoint
from finetune.rows import Prepared
from finetune.runs import adapter_digest, tensors_digest
from tooltune.config import Config
from tooltune.errors import JobFailed
from tooltune.files import patiently, user_path, write_json
from tooltune.licence import copy_licence
from tooltune.pretrained import embedded


def keep_best(config: Config, run: Path, trainer: Any, prepared: Prepared) -> Path:
    """Write `best/` (the restored best adapter, proven by digest) and `last/`, loadable by plain peft + transformers.

    Raises:
        JobFailed: the best checkpoint's files have changed, or the trainer did not restore what they hold.
    """
    from peft import get_peft_model_state_dict

    best_checkpoint = trainer.state.best_model_checkpoint
    if best_checkpoint is None:
        raise JobFailed("no evaluation gave a best checkpoint", "see metrics.jsonl")
    if found := fault(Path(best_checkpoint), ADAPTER):
        raise JobFailed(f"{best_checkpoint}: {found}", "run the same command again: it goes on from before it")
    wanted = adapter_digest(Path(best_checkpoint))
    restored = tensors_digest(get_peft_model_state_dict(trainer.model))
    if restored != wanted:
        raise JobFailed(
            f"the restored adapter ({restored[:12]}) is not the best checkpoint's ({wanted[:12]})",
            f"its files are in {best_checkpoint}",
        )
    last = last_checkpoint(run)
    for name, source in (("best", Path(best_checkpoint)), ("last", last)):
        assert source is not None
        _save_adapter(config, source, run / name, prepared)
    if adapter_digest(run / "best") != wanted:
        raise JobFailed("best/ does not hold the best checkpoint's weights", f"its files are in {best_checkpoint}")
    return Path(best_checkpoint)


def _save_adapter(config: Config, checkpoint: Path, folder: Path, prepared: Prepared) -> None:
    """Copy a checkpoint's adapter, with the tokenizer and template that it was trained with and the base's licence."""
    temporary = folder.with_name(f".{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    shutil.copy(checkpoint / "adapter_model.safetensors", temporary)
    adapter = json.loads((checkpoint / "adapter_config.json").read_text(encoding="utf-8"))
    local = embedded(config.model.name) is not None or user_path(config.model.name).exists()
    adapter["base_model_name_or_path"] = str(prepared.folder) if local else config.model.name
    adapter["inference_mode"] = True
    write_json(temporary / "adapter_config.json", adapter)
    prepared.tokenizer.chat_template = prepared.template.source
    prepared.tokenizer.save_pretrained(temporary)
    copy_licence(prepared.folder, temporary)
    shutil.rmtree(folder, ignore_errors=True)
    patiently(lambda: temporary.replace(folder))
