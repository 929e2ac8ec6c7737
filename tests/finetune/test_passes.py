"""What attention derives from a pass's layout goes with the pass: no more than one is ever in memory."""

from types import SimpleNamespace
from typing import Any

import pytest

from finetune import losses
from finetune.attention import use_packed_attention
from finetune.losses import training_loss
from finetune.shared_prefix import pack
from tests.finetune.shared_rows import make, make_rows


def test_a_step_keeps_nothing_of_the_passes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = make("qwen2"), pack(make_rows(), 83)
    use_packed_attention(model)
    held, states = [], losses.supervised_states

    def noted(base: Any, part: Any) -> Any:
        found = states(base, part)
        held.append(sum(bool(each["layout"].derived) for each in batch["passes"]))
        return found

    monkeypatch.setattr(losses, "supervised_states", noted)
    training_loss(SimpleNamespace(get_base_model=lambda: model), batch, 20).backward()
    assert held == [1, 1, 1]
