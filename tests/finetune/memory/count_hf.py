"""Peak bytes of one training step of transformers + PEFT + bitsandbytes, counted on the meta device.

Reads cases as JSON from standard input, writes one JSON line each. A process of its own: the plain arm never
imports Unsloth.
"""

import gc
import json
import sys
from typing import Any

import torch
from trl.kernels import chunked_logprob
from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE

from tests.finetune.memory.live_bytes import LiveBytes
from tests.finetune.memory.meta_models import build, count_resident, fresh_gradients, optimizer_state


class Launched:
    """In place of a Triton kernel: it writes into what it is given, and allocates nothing."""

    def __getitem__(self, grid: Any) -> Any:
        return lambda *_, **__: None


chunked_logprob._forward_kernel = chunked_logprob._backward_kernel = Launched()
chunked_logprob._addmm_fp32 = lambda acc, a, b: None  # one kernel on a card, without float32 copies
torch.is_autocast_enabled = lambda *_: False
OUTPUTS = ("log_probs", "entropy", "is_top1")  # what trl.SFTTrainer asks of `add_fused_lm_head`


def fused_head(hidden: Any, weight: Any, labelled: int) -> Any:
    """The loss of `trl.trainer.utils.add_fused_lm_head`: the rows that have a label, gathered, then TRL's function.

    Args:
        hidden: [tokens, H].
    """
    rows = torch.zeros(labelled, dtype=torch.long, device="meta")  # what a mask selects is in no tensor without values
    per_token = chunked_logprob.ChunkedLogProbFunction.apply(
        hidden[rows], weight, None, rows, 1.0, _CHUNKED_LOGPROB_CHUNK_SIZE, None, 1.0, OUTPUTS
    )
    return -per_token[0].sum()


def count(model: Any, case: dict[str, Any]) -> dict[str, Any]:
    """One step: forward, loss, backward; gradients, adapter and optimizer state included."""
    fresh_gradients(model)
    element = 4 if case.get("kbit") else 2
    state, kept = optimizer_state(model, case.get("optimizer", "adamw_8bit"), element)
    del kept
    counter = LiveBytes()
    count_resident(counter, model)
    resident = counter.live
    rows, length = case["micro_batch"], case["length"]
    ids = torch.zeros((rows, length), dtype=torch.long, device="meta")
    with torch.device("meta"), counter:
        counter.phase = "forward"
        outputs = None
        if case["head"] == "full":
            outputs = model(input_ids=ids, labels=ids)  # held, logits and all, until after the backward
            loss = outputs.loss
        else:
            base = model.get_base_model()
            hidden = base.model(input_ids=ids)[0]
            labelled = max(1, int(rows * length * case.get("labelled", 1.0)))
            counter.phase = "head"
            loss = fused_head(hidden.reshape(rows * length, -1), base.lm_head.weight, labelled)
            del hidden
        counter.phase = "backward"
        loss.backward()
        del loss, outputs
    return {"resident": resident + state, "peak": counter.peak + state, "phase": counter.peak_phase}


def main() -> None:
    torch.set_num_threads(1)
    gc.freeze()  # the libraries need not be looked through for every case
    last: Any = None
    model: Any = None
    for case in json.load(sys.stdin):
        recipe = {k: v for k, v in case.items() if k not in ("micro_batch", "length", "head", "labelled")}
        if recipe != last:
            model = None
            gc.collect()
            model, last = build(case), recipe
            if case.get("checkpointing", "on") == "on":
                model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            model.enable_input_require_grads()
            model.train()
        print(json.dumps(count(model, case)), flush=True)


if __name__ == "__main__":
    main()
