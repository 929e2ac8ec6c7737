"""The evaluation loss: token-weighted, and split by what the tokens are."""

from collections.abc import Sequence
from typing import Any

from data.render import Example, Role

HEAD_ROWS = 128
"""Supervised tokens that meet the LM head at once: with a vocabulary of 150,000 their logits take 190 MiB, where
those of a batch of long answers would take gigabytes, and a run that trained well would be out of memory at its
evaluation."""


def evaluation_loss(model: Any, examples: Sequence[Example], micro_batch: int, pad_token_id: int) -> dict[str, float]:
    """Mean negative log-likelihood (nats) over all supervised tokens of `examples`, and the same by role.

    Every token counts once, whatever the batch it falls in: a mean of batch means would change with the batch size.
    Only the hidden states of supervised positions meet the LM head, `HEAD_ROWS` at a time, so no
    [tokens × vocabulary] tensor of a batch is ever built. Batches are taken by length.

    Args:
        model: in evaluation mode.

    Returns:
        `eval_loss`, and `eval_loss_name`, `…_arguments`, `…_format`, `…_text` for the roles that occur. The parts,
        weighted by their tokens (`eval_tokens_name`, …), sum to the whole.
    """
    import torch

    from finetune.batching import collate

    base = model.get_base_model()
    head = base.get_output_embeddings()
    device = next(model.parameters()).device
    nll: dict[int, float] = {}
    count: dict[int, int] = {}
    order = sorted(range(len(examples)), key=lambda i: -len(examples[i].input_ids))
    for start in range(0, len(order), micro_batch):
        rows = [examples[i] for i in order[start : start + micro_batch]]
        batch = collate([{"input_ids": r.input_ids, "labels": r.labels} for r in rows], pad_token_id)
        hidden = base.model(
            input_ids=batch["input_ids"].to(device), attention_mask=batch["attention_mask"].to(device), use_cache=False
        )[0]
        targets = batch["labels"][:, 1:]
        width = batch["labels"].shape[1]
        roles = torch.tensor([[*r.roles[1:], *[0] * (width - len(r.roles))] for r in rows])
        keep = targets != -100
        states, answers = hidden[:, :-1][keep.to(device)], targets[keep].to(device)
        blocks = zip(states.split(HEAD_ROWS), answers.split(HEAD_ROWS), strict=True)
        losses = torch.cat(
            [torch.nn.functional.cross_entropy(head(x).float(), y, reduction="none").double().cpu() for x, y in blocks]
        )
        for role in roles[keep].unique().tolist():
            chosen = losses[roles[keep] == role]
            nll[role] = nll.get(role, 0.0) + chosen.sum().item()
            count[role] = count.get(role, 0) + len(chosen)
    metrics = {"eval_loss": sum(nll.values()) / sum(count.values())}
    for role in sorted(nll):
        name = Role(role).name.lower()
        metrics[f"eval_loss_{name}"] = nll[role] / count[role]
        metrics[f"eval_tokens_{name}"] = count[role]
    return metrics
