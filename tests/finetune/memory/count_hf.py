"""Peak bytes of one training step of transformers + PEFT + bitsandbytes, counted on the meta device.

Reads cases as JSON from standard input, writes one JSON line each. A process of its own: the plain arm never
imports Unsloth.
"""

import gc
import json
import sys
from typing import Any

import torch

from tests.finetune.memory.live_bytes import LiveBytes
from tests.finetune.memory.meta_models import build, count_resident, fresh_gradients, optimizer_state

TILE_TOKENS, TILE_VOCAB = 4096, 16384  # trl/kernels/chunked_logprob.py, and its caller's chunk_size


class FusedHead(torch.autograd.Function):
    """The allocations of trl.kernels.ChunkedLogProbFunction (a Triton kernel, which needs a GPU)."""

    @staticmethod
    def forward(ctx: Any, hidden: Any, weight: Any) -> Any:
        n = hidden.shape[0]
        statistics = [torch.empty(n, device="meta") for _ in range(7)]
        tile = hidden.new_empty(min(n, TILE_TOKENS), TILE_VOCAB)
        ctx.save_for_backward(hidden, statistics[0])
        del tile
        return statistics[1].sum()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        hidden, _ = ctx.saved_tensors
        total = torch.zeros(hidden.shape, device="meta", dtype=torch.float32)
        tile = hidden.new_empty(min(hidden.shape[0], TILE_TOKENS), TILE_VOCAB)
        result = total.to(hidden.dtype)
        del tile
        return result, None


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
            kept_rows = hidden.reshape(rows * length, -1)
            if labelled < rows * length:
                kept_rows = kept_rows[torch.zeros(labelled, dtype=torch.long, device="meta")]
            del hidden
            counter.phase = "head"
            loss = FusedHead.apply(kept_rows, base.lm_head.weight)
            del kept_rows
        counter.phase = "backward"
        loss.backward()
        del loss, outputs
    return {"resident": resident + state, "peak": counter.peak + state, "phase": counter.peak_phase}


def main() -> None:
    torch.set_num_threads(1)
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
