"""Random models of the families that share prefixes, and rows that do, as two cuts of passes lay them out."""

import random
from types import SimpleNamespace
from typing import Any

from data.render import IGNORED
from tests.tiny import random_model

FAMILIES = ("llama", "qwen2", "qwen3", "gemma3_text", "mistral")


def make(family: str) -> Any:
    """A random model of three layers, with a sliding window where the family has one."""
    sliding: dict[str, Any] = {"sliding_window": 24} if family in ("gemma3_text", "mistral") else {}
    if family == "gemma3_text":
        sliding["layer_types"] = ["sliding_attention", "full_attention", "sliding_attention"]
    return random_model(family, 3, attention="eager", **sliding)


def make_rows(seed: int = 0) -> list[dict[str, list[int]]]:
    """Three rows behind one prefix, one with two assistant turns; a row alone; two rows behind another prefix."""
    rng = random.Random(seed)

    def tokens(n: int) -> list[int]:
        return [rng.randrange(1, 100) for _ in range(n)]

    first, second = tokens(40), tokens(70)
    rows = [
        first + tokens(9),
        first + tokens(30),
        first + tokens(5),
        tokens(33),
        second + tokens(8),
        second + tokens(1),
    ]
    labels = [[IGNORED] * (len(row) - 4) + row[-4:] for row in rows]
    labels[1][45:50] = rows[1][45:50]  # an earlier turn of the assistant
    labels[5] = [IGNORED] * 70 + rows[5][70:]  # the prefix's last token predicts the first one of the suffix
    return [{"input_ids": ids, "labels": marks} for ids, marks in zip(rows, labels, strict=True)]


PASSES = {
    1000: [[(40, (9, 30, 5)), (33, ()), (70, (8, 1))]],
    83: [[(40, (9, 30))], [(45, ()), (33, ())], [(70, (8, 1))]],
}


def compare(model: Any, most: int) -> None:
    """Hold loss and gradients of packed rows, on the device that the model is on, to those of the same rows apart.

    Args:
        most: of a pass, a key of `PASSES`.
    """
    import pytest
    import torch

    from finetune.attention import use_packed_attention
    from finetune.losses import training_loss
    from finetune.shared_prefix import pack

    rows = make_rows()
    items = sum(mark != IGNORED for row in rows for mark in row["labels"])
    total, head = 0.0, model.get_output_embeddings().weight
    for row in rows:
        ids, labels = (torch.tensor([row[key]], device=head.device) for key in ("input_ids", "labels"))
        logits = model(ids, use_cache=False).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, labels[0, 1:], ignore_index=IGNORED, reduction="sum") / items
        loss.backward()
        total += loss.item()
    apart = {n: p.grad.clone() for n, p in model.named_parameters() if p is not head}
    model.zero_grad()
    use_packed_attention(model)
    batch = pack(rows, most)
    groups = [[(g.prefix, g.suffixes) for g in part["layout"].groups] for part in batch["passes"]]
    assert groups == PASSES[most]
    assert (batch["labels"][..., 1:] != IGNORED).sum() == items  # as the trainer counts them
    loss = training_loss(SimpleNamespace(get_base_model=lambda: model), batch, items)
    loss.backward()
    assert loss.item() == pytest.approx(total, abs=1e-5)
    for name, gradient in apart.items():
        found = dict(model.named_parameters())[name].grad
        if "embed" not in name:  # tied to the head, which is frozen in training
            torch.testing.assert_close(found, gradient, atol=1e-5, rtol=1e-3)
