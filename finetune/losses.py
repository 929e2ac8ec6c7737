"""The evaluation loss, split by what the tokens are, and the training loss with a weight a role."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from data.render import IGNORED, Example, Role
from finetune.config import RoleWeights

HEAD_ROWS = 128
"""Supervised tokens that meet the LM head at once: with a vocabulary of 150,000 their logits take 190 MiB, where
those of a batch of long answers would take gigabytes, and a run that trained well would be out of memory at its
evaluation."""


def supervised_states(base: Any, ids: Any, mask: Any, labels: Any) -> tuple[Any, Any, Any]:
    """The hidden states that meet the LM head, those that predict a supervised token, and what they should predict.

    Args:
        base: a causal LM without PEFT's wrapper.
        ids, mask, labels: [rows, tokens] on its device; mask None: nothing is padding.

    Returns:
        states [supervised, hidden], answers [supervised], and where they lie, as a mask [rows, tokens - 1].
    """
    hidden = base.model(input_ids=ids, attention_mask=mask, use_cache=False)[0]
    targets = labels[:, 1:]
    keep = targets != IGNORED
    return hidden[:, :-1][keep], targets[keep], keep


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

    from finetune.batching import collate, features

    base = model.get_base_model()
    head = base.get_output_embeddings()
    device = next(model.parameters()).device
    nll: dict[int, float] = {}
    count: dict[int, int] = {}
    order = sorted(range(len(examples)), key=lambda i: -len(examples[i].input_ids))
    for start in range(0, len(order), micro_batch):
        rows = [examples[i] for i in order[start : start + micro_batch]]
        batch = collate([features(r) for r in rows], pad_token_id)
        inputs = (batch[key].to(device) for key in ("input_ids", "attention_mask", "labels"))
        states, answers, keep = supervised_states(base, *inputs)
        width = batch["labels"].shape[1]
        roles = torch.tensor([[*r.roles[1:], *[0] * (width - len(r.roles))] for r in rows])[keep.cpu()]
        blocks = zip(states.split(HEAD_ROWS), answers.split(HEAD_ROWS), strict=True)
        losses = torch.cat(
            [torch.nn.functional.cross_entropy(head(x).float(), y, reduction="none").double().cpu() for x, y in blocks]
        )
        for role in roles.unique().tolist():
            chosen = losses[roles == role]
            nll[role] = nll.get(role, 0.0) + chosen.sum().item()
            count[role] = count.get(role, 0) + len(chosen)
    metrics = {"eval_loss": sum(nll.values()) / sum(count.values())}
    for role in sorted(nll):
        name = Role(role).name.lower()
        metrics[f"eval_loss_{name}"] = nll[role] / count[role]
        metrics[f"eval_tokens_{name}"] = count[role]
    return metrics


def scaled_weights(wanted: RoleWeights, examples: Sequence[Example]) -> dict[int, float] | None:
    """A weight for each role, scaled so that the mean over the examples' supervised tokens is 1; None when all are 1.

    With a mean of 1 the size of the gradient, and so the learning rate, means what it means without weights.
    """
    values = {Role.MASKED: 0.0} | {role: getattr(wanted, role.name.lower()) for role in Role if role != Role.MASKED}
    if all(value == 1 for role, value in values.items() if role != Role.MASKED):
        return None
    counts = Counter(role for e in examples for role in e.roles if role != Role.MASKED)
    mean = sum(values[Role(role)] * n for role, n in counts.items()) / sum(counts.values())
    return {int(role): value / mean for role, value in values.items()}


def weighted_loss(model: Any, batch: dict[str, Any], items: Any) -> Any:
    """Training loss Σ w·nll / items (nats), without the logits of a whole batch: they are made again when needed.

    Args:
        model: a PEFT model in training mode.
        batch: input_ids, attention_mask, labels and weights, each [rows, tokens].
        items: supervised tokens of the optimizer step; None: of this batch.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    base = model.get_base_model()
    head = base.get_output_embeddings()
    states, answers, keep = supervised_states(base, batch["input_ids"], batch["attention_mask"], batch["labels"])

    def block(states: Any, answers: Any, weights: Any) -> Any:
        losses = torch.nn.functional.cross_entropy(head(states).float(), answers, reduction="none")
        return (losses * weights).sum()

    parts = (states, answers, batch["weights"][:, 1:][keep])
    blocks = zip(*(part.split(HEAD_ROWS) for part in parts), strict=True)
    total = torch.stack([checkpoint(block, *each, use_reentrant=False) for each in blocks]).sum()
    return total / (keep.sum() if items is None else items)
