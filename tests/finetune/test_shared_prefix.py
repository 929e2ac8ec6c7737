"""Rows behind one copy of their prefix: the loss and the gradients are those of separate rows, for each family."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.families import SHORTEST
from data.render import IGNORED, Example
from finetune import attention
from finetune.attention import ordinary_attention, use_packed_attention
from finetune.batching import EpochOrder
from finetune.losses import training_loss
from finetune.shared_prefix import computed_tokens, pack, passes, prefix_families
from tests import forked
from tests.finetune.shared_rows import FAMILIES, PASSES, compare, make, make_rows
from tests.tiny import ROOT, environment, random_model


@pytest.mark.parametrize("most", PASSES)
@pytest.mark.parametrize(("checkpointing", "on_gpu"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_are_those_of_separate_rows(
    family: str, checkpointing: bool, on_gpu: bool, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "_runs_on_gpu", lambda _: on_gpu)  # the kernels that a GPU has, on this processor
    model = make(family)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
    compare(model, most)


@pytest.mark.parametrize("family", ["qwen2", "gemma3_text"])
def test_on_a_gpu_all_is_on_the_gpu_and_nothing_waits_for_it(family: str) -> None:
    """A pretended card: tensors without content on "cuda", where an operation on tensors of two devices is an error."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils._python_dispatch import TorchDispatchMode

    called: list[str] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            called.append(str(func))
            return func(*args, **(kwargs or {}))

    with FakeTensorMode():
        model = make(family)
        for module in model.modules():
            for parts in (module._parameters, module._buffers):
                for name, tensor in [pair for pair in parts.items() if pair[1] is not None]:
                    moved = tensor.detach().to("cuda")
                    parts[name] = torch.nn.Parameter(moved) if parts is module._parameters else moved
        use_packed_attention(model)
        with Watch():
            loss = training_loss(SimpleNamespace(get_base_model=lambda: model), pack(make_rows(), 1000), 24)
    assert loss.device.type == "cuda"
    assert any("index_copy" in name for name in called)
    assert not any("_local_scalar_dense" in name or "nonzero" in name for name in called)


def test_a_model_that_trains_packed_generates_as_before() -> None:
    model = random_model("qwen2", 2)
    prompts: Any = {
        "input_ids": torch.tensor([[0, 5, 6, 7], [9, 8, 7, 6]]),
        "attention_mask": torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]]),
    }
    wanted = model.generate(**prompts, max_new_tokens=6, do_sample=False, pad_token_id=0)
    use_packed_attention(model)
    with ordinary_attention(model):
        assert torch.equal(model.generate(**prompts, max_new_tokens=6, do_sample=False, pad_token_id=0), wanted)
    assert model.config._attn_implementation == attention.NAME


@pytest.mark.slow
def test_unsloths_own_forward_passes_compute_packed_rows_as_separate_ones() -> None:
    """In a process of its own, since Unsloth changes the libraries' classes."""
    words = ["-m", "tests.finetune.unsloth_forward", *attention.UNSLOTH_FAMILIES]
    done = forked.run(words, cwd=ROOT, env=environment(ROOT), unsloth=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [line for line in done.stdout.splitlines() if line.endswith(" equal")] == [
        f"{family} equal" for family in attention.UNSLOTH_FAMILIES
    ]


def test_families_are_found_whatever_the_order() -> None:
    rows = make_rows()
    for order in itertools.permutations(range(len(rows))):
        examples = [Example(str(i), rows[i]["input_ids"], rows[i]["labels"]) for i in order]
        families: dict[int, set[int]] = {}
        for number, row in zip(prefix_families(examples), order, strict=True):
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
    order = EpochOrder(lengths, size, seed=1, group=True, families=families)
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
    again = EpochOrder(lengths, size, seed=1, group=True, families=families)
    again.set_epoch(epoch)
    assert again.order() == rows


@given(st.integers(1, 2000), st.lists(st.integers(1, 2000), max_size=20))
def test_suffixes_are_cut_into_neighbours_at_no_more_than_the_cost_of_one_batch(
    prefix: int, lengths: list[int]
) -> None:
    def cost(batches: list[Any]) -> int:
        return sum(len(b) * max(b) * (prefix + max(b)) + attention.BATCH_COST for b in batches)

    batches = attention.cut_by_length(prefix, tuple(lengths))
    assert [length for batch in batches for length in batch] == lengths
    assert cost(batches) <= cost([lengths] if lengths else [])


def test_one_long_suffix_stands_by_itself() -> None:
    assert attention.cut_by_length(700, (70, 75, 80, 900)) == [(70, 75, 80), (900,)]


def test_what_stands_between_the_products_is_compiled_once_and_for_one_row_again() -> None:
    """More often than torch allows, and the rest of the run computes it unfused: a fifth slower."""
    from torch._dynamo.testing import CompileCounter

    counter = CompileCounter()
    slopes = torch.compile(attention._slopes, backend=counter, dynamic=True)
    like = torch.zeros(1)
    for prefix, longest, rows, window in itertools.product((48, 70), (5, 16), (1, 2, 7), (None, 40)):
        for start, end, batch in ((0, prefix, 1), (prefix, prefix + longest, rows)):
            bias = attention._bias(start, end, window, like, 4)
            products = torch.randn(batch, 4 * (end - start), end)
            slopes(products, products, bias, 0.5)
    assert counter.frame_count <= 2
