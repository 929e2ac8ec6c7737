"""Training with a weight a role: the same loss when all weigh alike, and the formula when they do not."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from data.render import Example, Role
from finetune.batching import collate, features
from finetune.head import BLOCK
from finetune.losses import scaled_weights, supervised_states, training_loss
from tests.tiny import TINY, finetune, losses
from tooltune.config import RoleWeights

ALIKE = [f"loss.role_weights.{role}=2" for role in ("name", "arguments", "format", "text")]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["unsloth", "hf"])
def test_equal_weights_change_nothing(tmp_path: Path, tiny_model: Path, backend: str) -> None:
    common = ["train", "cpu", *TINY, f"model.name={tiny_model}", f"model.backend={backend}", "train.accumulation=2"]
    finetune(tmp_path, *common, "name=plain")
    finetune(tmp_path, *common, "name=weighted", *ALIKE)
    plain, weighted = losses(tmp_path / "runs" / "plain"), losses(tmp_path / "runs" / "weighted")
    assert max(abs(plain[s] - weighted[s]) for s in plain) < 1e-4


def example(roles: list[int]) -> Example:
    labels = [i % 7 if role else -100 for i, role in enumerate(roles)]
    return Example("a", input_ids=[i % 7 for i in range(len(roles))], labels=labels, roles=roles)


def test_weights_have_mean_one_over_the_supervised_tokens() -> None:
    rows = [example([0, Role.NAME, Role.FORMAT, Role.FORMAT]), example([0, 0, Role.ARGUMENTS, Role.TEXT])]
    weights = scaled_weights(RoleWeights(name=4, arguments=2, format=1, text=1), rows)
    assert weights is not None
    supervised = [weights[role] for e in rows for role in e.roles if role]
    assert sum(supervised) / len(supervised) == pytest.approx(1)
    assert weights[Role.NAME] == pytest.approx(4 * weights[Role.TEXT])
    assert scaled_weights(RoleWeights(name=1, arguments=1, format=1, text=1), rows) is None


def test_loss_is_the_weighted_sum_over_the_items() -> None:
    torch.manual_seed(0)
    embedding, head = torch.nn.Embedding(7, 5), torch.nn.Linear(5, 7)
    base = SimpleNamespace(get_output_embeddings=lambda: head, model=lambda input_ids, **_: (embedding(input_ids),))
    model = SimpleNamespace(get_base_model=lambda: base)
    roles = [0, *[Role.NAME, Role.FORMAT, Role.TEXT] * (BLOCK // 2)]  # more than one block
    rows = [example(roles), example(roles[: len(roles) // 2])]
    weights = {0: 0.0, int(Role.NAME): 3.0, int(Role.FORMAT): 0.5, int(Role.TEXT): 1.0}
    batch = collate([features(e, weights) for e in rows], pad_token_id=0)
    expected = 0.0
    for e in rows:
        for at in range(1, len(e.roles)):
            logits = head(embedding(torch.tensor(e.input_ids[at - 1])))
            expected += weights[e.roles[at]] * -torch.log_softmax(logits, 0)[e.labels[at]].item()
    loss = training_loss(model, batch, torch.tensor(50))
    assert loss.item() == pytest.approx(expected / 50, rel=1e-5)
    loss.backward()
    wanted = torch.zeros_like(embedding.weight)
    for e in rows:
        for at in range(1, len(e.roles)):
            state = embedding.weight[e.input_ids[at - 1]].detach().requires_grad_()
            loss = -torch.log_softmax(head(state), 0)[e.labels[at]] * weights[e.roles[at]] / 50
            loss.backward()
            wanted[e.input_ids[at - 1]] += state.grad
    torch.testing.assert_close(embedding.weight.grad, wanted, atol=1e-6, rtol=1e-4)


def test_a_batch_goes_to_where_the_head_is() -> None:
    """Not to that of an embedding in main memory."""
    head = torch.nn.Linear(5, 7, device="meta")
    base = SimpleNamespace(get_output_embeddings=lambda: head, model=lambda input_ids, **_: [input_ids[None]])
    keys = ("input_ids", "position_ids", "layout", "predictors", "labels")
    found = supervised_states(base, dict.fromkeys(keys, torch.zeros(3, dtype=torch.long)))
    assert all(x.is_meta for x in found)
