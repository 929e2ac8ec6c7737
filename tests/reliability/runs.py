"""Whole runs of the tiny model, with and without a fault, and what of them must be the same to the last bit."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.checkpoints import last_checkpoint, step_of
from tests import forked
from tests.tiny import TINY, environment
from tooltune.files import read_jsonl
from tooltune.run import read_manifest

SETTINGS = (
    *TINY,
    *("train.epochs=2", "eval.every=3", "train.logging_steps=2", "train.accumulation=2", "train.micro_batch=2"),
    *("eval.generate=4", "eval.max_new_tokens=8", "lora.dropout=0.1", "report.tensorboard=false"),
)
"""16 steps, an evaluation with generation after each third and the last; a logged mean lies across checkpoints, and
dropout makes each step depend on the random state."""
CLOCK = ("runtime", "per_second")


@dataclass(frozen=True)
class Bench:
    """Where runs are made, and of which model."""

    cwd: Path
    model: Path

    def train(self, name: str, *more: str, fault: str = "") -> "subprocess.CompletedProcess[str]":
        """The command that a user gives, and gives again after a kill."""
        what = ["tests.reliability.faults", fault] if fault else ["finetune"]
        words = ["-m", *what, "train", "cpu", f"name={name}", f"model.name={self.model}", *SETTINGS, *more]
        return forked.run(words, cwd=self.cwd, env=environment(self.cwd), unsloth=True)

    def finish(self, name: str, *more: str) -> str:
        """Give the command once more, see that it ends well, and return what it printed."""
        done = self.train(name, *more)
        assert done.returncode == 0, done.stdout + done.stderr + self.log(name)
        return done.stdout

    def run(self, name: str) -> Path:
        """A run's folder."""
        return self.cwd / "runs" / name

    def log(self, name: str) -> str:
        """The end of what the libraries wrote."""
        path = self.run(name) / "log.txt"
        return path.read_text(encoding="utf-8")[-3000:] if path.exists() else ""

    def steps(self, name: str) -> list[int]:
        """The steps of its checkpoints."""
        return sorted(step_of(p) for p in (self.run(name) / "checkpoints").glob("checkpoint-*"))

    def at_step(self, name: str) -> int:
        """Where it would go on."""
        newest = last_checkpoint(self.run(name))
        return step_of(newest) if newest else 0


def figures(run: Path) -> dict[str, Any]:
    """All that a run has learnt and measured, times and loads of the machine left out."""
    manifest = read_manifest(run)
    paths = [path for folder in ("best", "last") for path in sorted((run / folder).iterdir())]
    adapters = {f"{path.parent.name}/{path.name}": path.read_bytes() for path in paths}
    kept = ("loss", "grad_norm", "learning_rate", "train_loss", "total_flos", "global_step")

    def lasting(row: dict[str, Any]) -> dict[str, Any]:
        """Evaluations whole but for the clock; steps and the end as far as they are not of the machine."""
        if "eval_loss" in row:
            return {key: value for key, value in row.items() if not key.endswith(CLOCK)}
        return {key: value for key, value in row.items() if key in ("step", "epoch", *kept)}

    tables = {name: [lasting(row) for _, row in read_jsonl(run / name)] for name in ("metrics.jsonl", "epochs.jsonl")}
    return {"best": manifest["best"], **tables, **adapters}


def same(one: Path, other: Path) -> None:
    """See that two runs agree to the last bit, part by part so that a difference is named."""
    found, wanted = figures(one), figures(other)
    assert found.keys() == wanted.keys()
    for part in wanted:
        assert found[part] == wanted[part], part
