"""The order in which prompts are read, and what is left of each to read."""

import random

import pytest

from eval.prefixes import BLOCK, batches, common_tokens, reading_order, shared_tokens


def made(seed: int) -> list[list[int]]:
    """Prompts of three tool lists under two system turns, some of them the same, requests of few different tokens."""
    source = random.Random(seed)

    def some(n: int) -> list[int]:
        return [source.randrange(3) for _ in range(n)]

    systems = [some(100), some(70)]
    lists = [(source.choice(systems) + some(source.randrange(300))) for _ in range(3)]
    prompts = [source.choice([*systems, *lists]) + some(1 + source.randrange(20)) for _ in range(40)]
    return prompts + prompts[:3]


def to_read(prompts: list[list[int]], order: list[int]) -> int:
    before: list[int] = []
    tokens = 0
    for i in order:
        tokens += len(prompts[i]) - shared_tokens(before, prompts[i])
        before = prompts[i]
    return tokens


@pytest.mark.parametrize("seed", range(5))
def test_no_whole_block_that_prompts_share_is_read_twice(seed: int) -> None:
    prompts = made(seed)
    order = reading_order(prompts)
    assert sorted(order) == list(range(len(prompts)))
    blocks = {tuple(p[:end]) for p in prompts for end in range(BLOCK, len(p) + 1, BLOCK)}
    own = sum(len(p) % BLOCK or 1 for p in prompts)  # at most: after its whole blocks, or the last token
    assert to_read(prompts, order) <= len(blocks) * BLOCK + own < to_read(prompts, list(range(len(prompts))))


def test_longest_comes_first_and_brings_those_that_begin_as_it_does() -> None:
    tools, others = [7] * BLOCK, [8] * BLOCK
    prompts = [[1] * 5, tools + [2] * 9, others + [3] * 90, [1] * 80, tools + [4] * 99, others + [5] * 2, [6] * 7]
    assert reading_order(prompts) == [4, 1, 2, 5, 3, 6, 0]


def test_prompts_that_share_less_than_a_block_come_by_length() -> None:
    prompts = [[7] * 50 + [i] * n for i, n in enumerate((5, 60, 13, 200, 1))]
    assert reading_order(prompts) == [3, 1, 2, 0, 4]


@pytest.mark.parametrize(
    ("before", "prompt", "shared"),
    [
        ([], [1, 2], 0),
        ([1, 2, 3], [1, 2, 4, 5], 2),
        ([1, 2], [1, 2, 3], 2),
        ([1, 2, 3], [1, 2, 3], 2),  # equal: the last token gives the logits
        ([1, 2, 3], [1, 2], 1),
        ([2, 2], [1, 2], 0),
    ],
)
def test_shared_tokens(before: list[int], prompt: list[int], shared: int) -> None:
    assert shared_tokens(before, prompt) == shared


def test_nothing_to_order() -> None:
    assert reading_order([]) == []


def test_common_tokens() -> None:
    tools = [7] * BLOCK
    assert common_tokens([[*tools, 1, 2], [*tools, 1]]) == BLOCK
    assert common_tokens([tools, tools]) == 0  # the last token is read for its logits: less than a block is left
    assert common_tokens([[*tools, 1], [*tools, 1]]) == BLOCK
    assert common_tokens([[*tools, 1], [8, *tools]]) == 0


def test_batches_go_by_length_unless_beginnings_save_more() -> None:
    tools, others = [7] * 600, [8] * 590
    prompts = [(tools if n % 2 else others) + [n] * 3 * n for n in range(1, 9)]
    assert batches(prompts, 4, shared=True) == [[6, 4, 2, 0], [7, 5, 3, 1]]
    assert batches(prompts, 4, shared=False) == [[6, 4, 7, 2], [5, 0, 3, 1]]
    prompts = [[*tools[: 70 * n], n] for n in range(1, 9)]
    assert batches(prompts, 4, shared=True) == [[7, 6, 5, 4], [3, 2, 1, 0]]
    assert batches([], 4, shared=True) == []
