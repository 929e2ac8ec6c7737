"""The LM head in the plan: how many rows meet it, on which card and by whose loss."""

import pytest
import torch

from finetune.head import BLOCK, PART, summed_loss
from finetune.memory import head
from finetune.memory.setup import Engine, Setup
from finetune.memory.shapes import KNOWN
from tests.finetune.memory.live_bytes import LiveBytes

QWEN = KNOWN["Qwen2.5-0.5B"]


@pytest.mark.parametrize("engine", ["unsloth", "trl"])
def test_only_labelled_tokens_meet_the_head(engine: Engine) -> None:
    """The gradient of all hidden states aside, which Unsloth's head returns."""
    whole, tenth = (Setup(QWEN, engine, length=2000, labelled=labelled) for labelled in (1.0, 0.1))
    gradient = 2 * whole.tokens * QWEN.hidden if engine == "unsloth" else 0
    gathered = 2 * tenth.labels * QWEN.hidden if engine == "unsloth" else 0
    assert (head.loss(tenth) - gradient - gathered) * 10 == head.loss(whole) - gradient


def test_full_logits_are_of_all_tokens() -> None:
    whole, tenth = (Setup(QWEN, "full", length=2000, labelled=labelled) for labelled in (1.0, 0.1))
    assert head.loss(whole) == head.loss(tenth)


def test_large_cards_take_blocks_of_whole_logits_until_4096_rows_are_labelled() -> None:
    def tiled(labels: int, *, large_card: bool, turing: bool = False) -> bool:
        return head.tiled(Setup(QWEN, length=labels, large_card=large_card, turing=turing))

    assert tiled(4095, large_card=False) and not tiled(4095, large_card=True)
    assert tiled(4096, large_card=True) and not tiled(4096, large_card=False, turing=True)


@pytest.mark.parametrize(
    ("model", "length", "rows"),
    [
        ("Qwen2.5-0.5B", 512, 512),
        ("Qwen2.5-0.5B", 300, 300),
        ("Qwen2.5-0.5B", 4000, 512),
        ("Llama-3.2-1B", 2048, 512),
        ("SmolLM2-135M", 2048, 1024),
        ("gemma-3-270m", 2048, 512),
    ],
)
def test_rows_of_a_block(model: str, length: int, rows: int) -> None:
    """Against unsloth_zoo's `fused_linear_rows(n, H, V)`, called once for each."""
    assert head.block_rows(Setup(KNOWN[model], length=length)) == rows


def test_a_card_is_large_above_24_5_gib_unless_it_acts_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSLOTH_FUSED_LINEAR_FLASH_MIN_ROWS", raising=False)
    assert head.acts_large(head.SMALL_CARD + 1) and not head.acts_large(head.SMALL_CARD)
    monkeypatch.setenv("UNSLOTH_FUSED_LINEAR_FLASH_MIN_ROWS", "0")
    assert not head.acts_large(80 * 2**30)


@pytest.mark.parametrize("rows", [40, BLOCK, 2 * BLOCK])
def test_this_projects_own_loss_is_planned_as_it_allocates(rows: int) -> None:
    counter = LiveBytes()
    with torch.device("meta"):
        lm_head = torch.nn.Linear(QWEN.hidden, QWEN.vocab, bias=False, dtype=torch.bfloat16)
        lm_head.requires_grad_(False)
        states = torch.empty(rows, QWEN.hidden, dtype=torch.bfloat16, requires_grad=True)
        counter.add(lm_head.weight)
        counter.add(states)
        resident = counter.live
        with counter:
            summed_loss(states, lm_head, torch.empty(rows, dtype=torch.long), torch.empty(rows)).backward()
    counted = counter.peak - resident
    assert head.loss(Setup(QWEN, length=rows, own_head=True)) == pytest.approx(counted, rel=0.02)
    assert (head.OWN_ROWS, head.OWN_PART) == (BLOCK, PART)
