"""Two processes train as one does: the same steps and figures, one folder; and what they cannot do is an error."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from finetune.together import refuse_unsupported, share_of_step
from tests.tiny import TINY, environment, finetune, losses
from tooltune.config import Config, load_config
from tooltune.errors import InputError
from tooltune.files import read_jsonl

SETTINGS = [
    *TINY,
    "model.backend=hf",
    "train.epochs=2",
    "data.limit=30",
    "eval.every=4",
    "eval.generate=5",
    "eval.max_new_tokens=8",
]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that says what a launcher would of one of so many processes."""

    def launch(processes: int, rank: int = 0) -> None:
        for name, value in {"WORLD_SIZE": processes, "RANK": rank, "LOCAL_RANK": rank}.items():
            monkeypatch.setenv(name, str(value))

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return launch


def config(*changes: str, backend: str = "hf") -> Config:
    return load_config("cpu", [f"model.backend={backend}", *changes])


@pytest.mark.parametrize(
    ("micro", "accumulation", "processes", "share"),
    [(8, 1, 1, (8, 1)), (8, 1, 2, (4, 1)), (1, 8, 2, (1, 4)), (4, 3, 2, (3, 2)), (2, 4, 8, (1, 1)), (5, 2, 2, (5, 1))],
)
def test_the_effective_batch_is_kept(
    launched: Any, micro: int, accumulation: int, processes: int, share: tuple[int, int]
) -> None:
    launched(processes)
    wanted = config(f"train.micro_batch={micro}", f"train.accumulation={accumulation}")
    assert share_of_step(wanted) == share
    assert share[0] * share[1] * processes == micro * accumulation


def test_a_batch_that_cannot_be_divided_is_refused(launched: Any) -> None:
    launched(3)
    with pytest.raises(InputError, match="8 rows cannot be divided among 3 processes") as e:
        refuse_unsupported(config("train.micro_batch=8"))
    assert "train.micro_batch" in e.value.where and "multiple of 3" in e.value.fix


@pytest.mark.parametrize("cards", ["0,1", "GPU-1,GPU-2,GPU-3"])
def test_several_cards_without_a_launcher_are_refused(monkeypatch: pytest.MonkeyPatch, cards: str) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", cards)
    count = cards.count(",") + 1
    with pytest.raises(InputError, match=f"{count} cards are visible") as e:
        refuse_unsupported(config(backend="unsloth"))
    assert f"torchrun --nproc-per-node {count} -m finetune train" in e.value.fix
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    refuse_unsupported(config(backend="unsloth"))


def test_unsloth_in_several_processes_is_refused(launched: Any) -> None:
    launched(2)
    refuse_unsupported(config())
    with pytest.raises(InputError, match="2 processes cannot train with Unsloth together") as e:
        refuse_unsupported(config(backend="unsloth"))
    assert e.value.fix == "set model.backend=hf"


@pytest.mark.parametrize("name", ["ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"])
def test_other_ways_to_share_a_model_are_refused(launched: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    launched(2)
    monkeypatch.setenv(name, "true")
    with pytest.raises(InputError, match="every process holds the whole model") as e:
        refuse_unsupported(config())
    assert e.value.where == name


@pytest.mark.parametrize("rows", [1, 29, 32])
@pytest.mark.parametrize(("processes", "micro", "accumulation"), [(2, 4, 2), (4, 2, 1), (2, 1, 4)])
def test_the_shares_of_a_step_are_its_rows(
    launched: Any, rows: int, processes: int, micro: int, accumulation: int
) -> None:
    from finetune.batching import EpochOrder, ShareOfSteps

    batch = micro * accumulation * processes
    order = EpochOrder(list(range(rows)), batch, seed=1, group=True)
    shares = []
    for rank in range(processes):
        launched(processes, rank)
        mine = ShareOfSteps(order, micro, accumulation)
        shares.append(list(mine))
        assert len(shares[-1]) == len(mine) == -(-rows // batch) * accumulation
    for step in range(-(-rows // batch)):
        at = range(step * accumulation, (step + 1) * accumulation)
        together = [row for micro_step in at for share in shares for row in share[micro_step]]
        assert together == order.order()[step * batch : (step + 1) * batch]


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node")


def launch(
    cwd: Path, *words: str, processes: int, by: Sequence[str] = TORCHRUN, **more: str
) -> "subprocess.CompletedProcess[str]":
    """Run `-m` words in so many processes over gloo, by a launcher."""
    launcher = [*by, str(processes), "-m"] * (processes > 1)
    env = environment(cwd) | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"} | more
    words = (sys.executable, "-m", *launcher, *words)
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, encoding="utf-8", timeout=600)


def train(cwd: Path, name: str, *arguments: str, processes: int, by: Sequence[str] = TORCHRUN) -> Path:
    """Train in so many processes; the run's folder."""
    done = launch(cwd, "finetune", "train", *arguments, processes=processes, by=by)
    log = cwd / "runs" / name / "log.txt"
    more = log.read_text(encoding="utf-8")[-3000:] if log.exists() else ""
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:] + more
    assert done.stdout.count("Report: ") == 1, "one process speaks"
    return cwd / "runs" / name


@pytest.mark.slow
@pytest.mark.parametrize("share_prefix", ["off", "auto"])
def test_two_processes_train_as_one(tmp_path: Path, tiny_model: Path, share_prefix: str) -> None:
    settings = [*SETTINGS, f"model.name={tiny_model}", f"train.share_prefix={share_prefix}", "train.accumulation=2"]
    finetune(tmp_path, "train", "cpu", "name=one", *settings)
    one = tmp_path / "runs" / "one"
    two = train(tmp_path, "two", "cpu", "name=two", *settings, processes=2)
    single, double = losses(one), losses(two)
    assert single.keys() == double.keys() and len(single) == 8
    assert max(abs(single[step] - double[step]) for step in single) < 1e-4
    tables = [[row for _, row in read_jsonl(run / "epochs.jsonl")] for run in (one, two)]
    for alone, shared in zip(*tables, strict=True):
        assert alone.keys() == shared.keys() and alone["step"] == shared["step"]
        for key, value in alone.items():
            if "runtime" in key or "per_second" in key:
                continue
            assert shared[key] == (pytest.approx(value, abs=1e-4) if key != "verdict" else value), key
    manifests = [json.loads((run / "manifest.json").read_text(encoding="utf-8")) for run in (one, two)]
    assert manifests[0]["effective_batch"] == manifests[1]["effective_batch"] == 8
    assert manifests[0]["best"]["step"] == manifests[1]["best"]["step"]
    names = [{str(p.relative_to(run)) for p in run.rglob("*") if "events." not in p.name} for run in (one, two)]
    files = [sorted(name for name in found if not name.startswith("plots")) for found in names]  # `one` was forked
    assert [name.replace("rng_state_0", "rng_state") for name in files[1]] == files[0], "one process writes"
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["latest", "one", "two"]


def test_nothing_is_told_without_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    from finetune.together import gathered, of_first, share, summed

    for name in ("LOCAL_RANK", "RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "4")  # a scheduler's, which starts no processes of its own
    assert share([1, 2, 3]) == gathered([1, 2, 3]) == [1, 2, 3]
    assert summed([1.5]) == [1.5] and of_first(lambda: "x") == "x"
