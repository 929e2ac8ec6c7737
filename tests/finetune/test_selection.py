"""Which checkpoint is the best: the one that `eval.select_by` names, with the weights that it was measured with."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data import InputError, Record
from finetune.device import Device
from finetune.generation_metrics import scorer
from finetune.runs import adapter_digest
from tests import forked
from tests.tiny import TINY, environment
from tooltune.config import load_config
from tooltune.files import read_jsonl

RATES = {"exact_match": [0.25, 0.5, 0.5], "tool_name_accuracy": [0.9, 0.5, 0.2], "balanced": [0.1, 0.4, 0.3]}
"""At the three evaluations; the loss meanwhile falls, so by it the last one is the best."""
SCRIPT = """
import sys
import finetune.train
from finetune.cli import app
rates = {rates}
def scorer(config, device, prepared, records, warn):
    given = [dict(zip(rates, row)) for row in zip(*rates.values())]
    return lambda model: given.pop(0) if len(records) > 2 else given[0]
finetune.train.scorer = scorer
app(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "step"), [("exact_match", 16), ("tool_name_accuracy", 8), ("balanced", 16)])
def test_best_follows_the_chosen_metric(tmp_path: Path, tiny_model: Path, metric: str, step: int) -> None:
    arguments = [*TINY, f"model.name={tiny_model}", "model.backend=hf", "train.epochs=3", "eval.generate=4"]
    arguments += [f"eval.select_by={metric}", "train.learning_rate=0.005"]
    words = ["-c", SCRIPT.format(rates=RATES), "train", "cpu", "name=run", *arguments]
    done = forked.run(words, cwd=tmp_path, env=environment(tmp_path), unsloth=False)
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "runs" / "run"
    best = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["best"]
    table = [row for _, row in read_jsonl(run / "epochs.jsonl")]
    losses = [row["eval_loss"] for row in table]
    assert losses == sorted(losses, reverse=True) and losses[0] > losses[-1]
    assert [row["step"] for row in table if row["best"]] == [best["step"]] == [step]
    assert best["metric"] == f"eval_{metric}" and best["value"] == pytest.approx(max(RATES[metric]))
    assert adapter_digest(run / "best") == best["sha256"] != adapter_digest(run / "last")


@pytest.mark.parametrize("called", [True, False])
def test_balanced_needs_rows_of_both_kinds_to_be_scored(called: bool) -> None:
    """Told before training: the trainer would miss the figure after the first epoch."""
    call = {"type": "function", "function": {"name": "go", "arguments": {}}}
    answer = {"role": "assistant", "content": "?", **({"tool_calls": [call]} if called else {})}
    rows = [Record(str(i), [{"role": "user", "content": "go"}, answer], [], {}) for i in range(3)]
    prepared: Any = SimpleNamespace(scored=rows)
    device = Device("cpu", "", (0, 0), 8.0, bf16=False)
    with pytest.raises(InputError, match="the 3 validation rows") as error:
        scorer(load_config("cpu", ["eval.select_by=balanced"]), device, prepared, rows[:2], print)
    assert error.value.where == "eval.select_by=balanced"
