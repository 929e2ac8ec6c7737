"""The runbook's commands in miniature, on this machine: every step of the short list and of the longer one."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu.steps import LONGER, OPEN, STEPS
from tests.tiny import ROOT
from tooltune.embedded import SMOLLM2, models_dir


def rehearse(out: Path, models: Path, *steps: str) -> dict[str, Any]:
    """The rehearsal in a process of its own, with a folder of models that has SmolLM2's tokenizer and no weights."""
    tokenizer = models / SMOLLM2.folder
    tokenizer.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(models_dir() / SMOLLM2.folder / name, tokenizer / name)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *steps, "--rehearse", "--out", str(out)],
        cwd=ROOT,
        env=os.environ | {"TOOLTUNE_MODELS": str(models)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=1500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    whole: dict[str, Any] = json.loads((out / "gpu.json").read_text(encoding="utf-8"))
    return whole


needs_tokenizer = pytest.mark.skipif(
    not (models_dir() / SMOLLM2.folder / "tokenizer.json").is_file(), reason="SmolLM2 is not converted yet"
)


@pytest.mark.slow
@needs_tokenizer
def test_the_rehearsal_goes_through(tmp_path: Path) -> None:
    whole = rehearse(tmp_path / "out", tmp_path / "models")
    assert [s["step"] for s in whole["steps"]] == list(STEPS)
    assert all(ran["status"] == "ok" for s in whole["steps"] for ran in s["commands"])
    found = {s["step"]: s["figures"] for s in whole["steps"]}
    for name in ("train", "roles", "offload", "float16", "memory", "recovery"):
        (run,) = found[name]
        assert run["finite"] and run["finished"] and run["allocated_gib"] is None
    assert found["evaluate"] == [{"evaluation": "test-limit-4", "run": "tiny", "rows": {"scored": 4, "of": 250}}]
    assert "compute the same" in found["prefix"][0]["verdict"]
    for name in ("speed", "prefix"):
        assert found[name][0]["complete"] and {line["status"] for line in found[name][1:]} == {"ok"}
    with tarfile.open(tmp_path / "out" / "gpu.tar.gz") as tar:
        names = tar.getnames()
    assert "train/runs/tiny/manifest.json" in names and not [n for n in names if n.endswith(".safetensors")]
    assert (tmp_path / "out" / "gpu.tar.gz").stat().st_size < 2**20


@pytest.mark.slow
@needs_tokenizer
def test_what_is_open_rehearses_too(tmp_path: Path) -> None:
    whole = rehearse(tmp_path / "out", tmp_path / "models", "--open")
    assert [s["step"] for s in whole["steps"]] == list(OPEN)
    assert all(ran["status"] == "ok" for s in whole["steps"] for ran in s["commands"])


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The commands of each of the longer steps, rehearsed in one going through."""
    folder = tmp_path_factory.mktemp("longer")
    whole = rehearse(folder / "out", folder / "models", "--longer")
    return {s["step"]: s["commands"] for s in whole["steps"]}


@pytest.mark.slow
@needs_tokenizer
@pytest.mark.parametrize("name", list(LONGER))
def test_the_longer_steps_rehearse_too(longer: dict[str, list[Any]], name: str) -> None:
    assert longer[name] and {ran["status"] for ran in longer[name]} == {"ok"}
