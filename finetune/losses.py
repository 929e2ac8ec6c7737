"""The evaluation loss, split by what the tokens are, and the training loss with a weight for each role."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from data.render import IGNORED, Example, Role
from finetune.shared_prefix import prefix_families
from finetune.together import share, summed
from tooltune.config import RoleWeights
from tooltune.launch import processes

HEAD_ROWS = 128
"""Supervised tokens that meet the LM head at once in evaluation, and in `explain`, which keeps their logits: with a
vocabulary of 150,000 those take 190 MiB, where those of a batch of long answers would take gigabytes."""


def supervised_states(base: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
    """The hidden states that meet the LM head, those that predict a supervised token, and what they should predict.

    Args:
        base: a causal LM without PEFT's wrapper.
        batch: a pass of what `shared_prefix.pack` returns, or what `batching.collate` does.

    Returns:
        states [supervised, hidden] and answers [supervised].
    """
    head = base.get_output_embeddings().weight
    batch = {k: v.to(head.device, non_blocking=True) if hasattr(v, "to") else v for k, v in batch.items()}
    if "layout" in batch:
        # transformers hands `layout` on to its attention, Unsloth's forward passes `prefix_seg_info` to theirs.
        packed = {key: batch[key] for key in ("input_ids", "position_ids", "layout")}
        with _precision(head):
            hidden = base.model(**packed, prefix_seg_info=batch["layout"], use_cache=False)[0]
        return hidden[0][batch["predictors"]], batch["labels"]
    padded = {key: batch[key] for key in ("input_ids", "attention_mask")}
    with _precision(head):
        hidden = base.model(**padded, use_cache=False)[0]
    targets = batch["labels"][:, 1:]
    keep = targets != IGNORED
    return hidden[:, :-1][keep], targets[keep]


def _precision(head: Any) -> AbstractContextManager[Any]:
    """On a GPU what accelerate wraps the whole model's forward pass in, and the inner model's not: the float32 factors
    of the adapter are multiplied in bfloat16."""
    import torch

    return torch.autocast("cuda", torch.bfloat16) if head.is_cuda and head.dtype == torch.bfloat16 else nullcontext()


def evaluation_loss(
    model: Any,
    examples: Sequence[Example],
    micro_batch: int,
    join: Callable[[list[dict[str, Any]]], dict[str, Any]],
    *,
    packed: bool,
    compiled: bool = False,
) -> dict[str, float]:
    """Mean negative log-likelihood (nats) over all supervised tokens of `examples`, and the same by role.

    Every token counts once, whatever the batch it falls in: a mean of batch means would change with the batch size.
    Only the hidden states of supervised positions meet the LM head, a block at a time, so no [tokens × vocabulary]
    tensor of a batch is ever built. Batches are taken by length.

    Args:
        model: in evaluation mode.
        join: makes a batch of rows, `pack` or `collate` with its padding token.
        packed: it is `pack`: rows that share a prefix stand together, at the place of their longest.
        compiled: see `head.token_losses`.

    Returns:
        `eval_loss`, and `eval_loss_name`, `…_arguments`, `…_format`, `…_text` for the roles that occur. The parts,
        weighted by their tokens (`eval_tokens_name`, …), sum to the whole.
    """
    import torch

    from finetune.batching import features
    from finetune.head import token_losses

    base = model.get_base_model()
    head = base.get_output_embeddings()
    nll: dict[int, float] = {}
    count: dict[int, int] = {}
    families = prefix_families(examples) if packed else range(len(examples))
    longest = dict.fromkeys(families, 0)
    for number, example in zip(families, examples, strict=True):
        longest[number] = max(longest[number], len(example.input_ids))
    order = sorted(range(len(examples)), key=lambda i: (-longest[families[i]], families[i], len(examples[i].input_ids)))
    for start in share(range(0, len(order), micro_batch)):
        rows = [examples[i] for i in order[start : start + micro_batch]]
        batch = join([features(r) for r in rows])
        parts = batch.get("passes") or [batch]
        roles = torch.tensor([r.roles[t] for r in rows for t in range(1, len(r.labels)) if r.labels[t] != IGNORED])
        found = []
        for part in parts:
            states, answers = supervised_states(base, part)
            found.append(token_losses(states, head, answers, block=HEAD_ROWS, compiled=compiled))
            if packed:
                part["layout"].derived.clear()
        losses = torch.cat(found).double().cpu()
        for role in roles.unique().tolist():
            chosen = losses[roles == role]
            nll[role] = nll.get(role, 0.0) + chosen.sum().item()
            count[role] = count.get(role, 0) + len(chosen)
    if processes() > 1:
        sums = [summed([of.get(role, 0.0) for role in Role]) for of in (nll, count)]
        count = {role: int(n) for role, n in zip(Role, sums[1], strict=True) if n}
        nll = {role: sums[0][role] for role in count}
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
    import numpy as np

    counts: Any = sum(np.bincount(np.asarray(e.roles), minlength=len(Role)) for e in examples)
    counts[Role.MASKED] = 0
    mean = sum(values[role] * int(counts[role]) for role in Role) / int(counts.sum())
    return {int(role): value / mean for role, value in values.items()}


def training_loss(model: Any, batch: Mapping[str, Any], items: Any, *, compiled: bool = False) -> Any:
    """Training loss Σ w·nll / items (nats), the LM head at supervised positions only and once.

    What is packed in several passes is computed pass by pass: the gradients of all but the last are in the parameters
    when this returns, so that no more than one pass is ever in memory; the caller's backward adds the last one's.

    Args:
        model: a PEFT model in training mode.
        batch: what `shared_prefix.pack` or `batching.collate` returns; without weights every w is 1.
        items: supervised tokens of the optimizer step; None: of this batch.
        compiled: see `head.token_losses`.
    """
    import torch

    from finetune.head import summed_loss

    base = model.get_base_model()

    def loss(part: Mapping[str, Any]) -> Any:
        states, answers = supervised_states(base, part)
        weights = part["weights"].to(states.device) if "weights" in part else None
        if weights is not None and weights.dim() == 2:  # padded rows
            weights = weights[:, 1:][part["labels"].to(states.device)[:, 1:] != IGNORED]
        return summed_loss(states, base.get_output_embeddings(), answers, weights, compiled=compiled)

    if items is None:
        items = (batch["labels"] != IGNORED).sum()
    parts = batch.get("passes") or [batch]
    before = 0.0
    for part in parts[:-1]:
        one = loss(part) / items
        if torch.is_grad_enabled():
            one.backward()
        part["layout"].derived.clear()  # biases, which would stay on the card beside those of the passes to come
        before = before + one.detach()
    return loss(parts[-1]) / items + before
