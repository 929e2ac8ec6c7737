"""Rows behind one copy of their prefix: the loss and the gradients are those of separate rows, for each family."""

import itertools
import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.render import IGNORED, Example
from finetune.attention import use_packed_attention
from finetune.batching import EpochOrder
from finetune.losses import training_loss
from finetune.shared_prefix import SHORTEST, computed_tokens, kin, pack, passes
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


@pytest.mark.parametrize("most", PASSES)
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_are_those_of_separate_rows(family: str, checkpointing: bool, most: int) -> None:
    rows = make_rows()
    items = sum(mark != IGNORED for row in rows for mark in row["labels"])
    model = make(family)
    total = 0.0
    for row in rows:
        ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
        logits = model(ids, use_cache=False).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, labels[0, 1:], ignore_index=IGNORED, reduction="sum") / items
        loss.backward()
        total += loss.item()
    head = model.get_output_embeddings().weight
    apart = {n: p.grad.clone() for n, p in model.named_parameters() if p is not head}
    model.zero_grad()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
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


def test_kin_is_found_whatever_the_order() -> None:
    rows = make_rows()
    for order in itertools.permutations(range(len(rows))):
        examples = [Example(str(i), rows[i]["input_ids"], rows[i]["labels"]) for i in order]
        families: dict[int, set[int]] = {}
        for number, row in zip(kin(examples), order, strict=True):
            families.setdefault(number, set()).add(row)
        assert sorted(map(sorted, families.values())) == [[0, 1, 2], [3], [4, 5]]


def test_nothing_that_carries_loss_is_shared() -> None:
    """Two equal conversations: what both are trained on counts twice."""
    row = {"input_ids": list(range(1, 61)), "labels": [IGNORED] * 40 + list(range(41, 61))}
    batch = pack([row, row], 100)
    assert batch["passes"][0]["layout"].groups[0].prefix == 40 and len(batch["passes"][0]["labels"]) == 40


def test_short_prefix_is_not_shared() -> None:
    rows = [{"input_ids": [1] * SHORTEST + [2 + i] * 9, "labels": [IGNORED] * SHORTEST + [5] * 9} for i in range(2)]
    (part,) = pack(rows, 1000)["passes"]
    assert part["layout"].groups[0].prefix == SHORTEST
    rows = [{"input_ids": row["input_ids"][1:], "labels": row["labels"][1:]} for row in rows]
    (part,) = pack(rows, 1000)["passes"]
    assert [g.suffixes for g in part["layout"].groups] == [(), ()]


def test_packed_tokens_are_counted() -> None:
    examples = [Example(str(i), row["input_ids"], row["labels"], []) for i, row in enumerate(make_rows())]
    for most in PASSES:
        packed = sum(part["input_ids"].shape[1] for part in pack(make_rows(), most)["passes"])
        assert computed_tokens(examples, 6, most) == packed
    assert computed_tokens(examples, 6, 1000) == 40 + 44 + 33 + 70 + 9
    assert computed_tokens(examples, 1, 1000) == sum(len(e.input_ids) for e in examples)


@given(st.lists(st.tuples(st.sampled_from([0, 40, 60]), st.integers(1, 20)), min_size=1, max_size=20))
def test_passes_hold_every_row_in_order_within_the_limit(kinds: list[tuple[int, int]]) -> None:
    rows = [
        {"input_ids": [shared] * shared + [100 + i] * n, "labels": [IGNORED] * shared + [1] * n}
        for i, (shared, n) in enumerate(kinds)
    ]
    found = passes(rows, 100)
    assert [row for one in found for _, part in one for row in part] == rows
    for one in found:
        tokens = sum(sum(len(r["input_ids"]) for r in part) - (len(part) - 1) * shared for shared, part in one)
        assert tokens <= 100


@given(st.lists(st.integers(0, 8), min_size=1, max_size=90), st.integers(1, 9), st.integers(0, 3))
def test_an_epoch_has_every_row_once_and_families_together(families: list[int], size: int, epoch: int) -> None:
    lengths = [10] * len(families)
    order = EpochOrder(lengths, size, seed=1, group=True, kin=families)
    order.set_epoch(epoch)
    rows = order.order()
    assert sorted(rows) == list(range(len(families)))
    parts = 0
    for start in range(0, len(rows), size):
        batch = [families[row] for row in rows[start : start + size]]
        runs = [family for family, _ in itertools.groupby(batch)]
        parts += len(runs)
        assert len(runs) == len(set(runs))  # a family stands together in a micro-batch
    least = sum(-(-families.count(f) // size) for f in set(families))
    assert parts <= least + -(-len(families) // size)  # at most one more cut a micro-batch
    again = EpochOrder(lengths, size, seed=1, group=True, kin=families)
    again.set_epoch(epoch)
    assert again.order() == rows
