"""The GGUF that a run keeps: made once, again when what decides it changes, and kept only if llama.cpp reads it."""

import json
import mmap
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("xllamacpp", reason="needs the extra `llama`")

from data.splits import read_splits
from eval.trained import read_trained
from finetune.export.cached import gguf_of
from finetune.export.call_proof import calling, context_for, prove_calls
from finetune.export.llama_cpp import serving
from tests.finetune.tiny_run import make_run
from tooltune.errors import InputError, JobFailed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("cached") / "tiny", tiny_model)


def test_made_once_and_again_when_the_run_changes(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    said: list[str] = []

    def say(line: Any) -> None:
        said.append(str(line))

    file = gguf_of(read_trained(copy), "f16", say=say)
    assert said[0].startswith("Writing model-f16.gguf") and said[1].startswith("Comparing the prompts of 8 rows")
    assert "prompt, token for token, for 8 of 8 rows" in said[2] and said[3].startswith("Having llama.cpp read")
    assert "reads the calls of" in said[4] and file.is_relative_to(copy / "export")
    made = file.stat().st_mtime_ns
    said.clear()
    assert gguf_of(read_trained(copy), "f16", say=say) == file and file.stat().st_mtime_ns == made and not said
    with file.open("r+b") as f:  # as a copy that was cut off
        f.truncate(file.stat().st_size // 2)
    unfinished = file.parent.with_name(f".{file.parent.name}.unfinished")
    unfinished.mkdir()  # as a process that was killed
    assert gguf_of(read_trained(copy), "f16", say=say) == file and len(said) == 5 and not unfinished.exists()
    settings = json.loads((copy / "best" / "adapter_config.json").read_text(encoding="utf-8"))
    (copy / "best" / "adapter_config.json").write_text(json.dumps(settings | {"lora_alpha": 1}), encoding="utf-8")
    with file.open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as served:
        before = bytes(served)
        other = gguf_of(read_trained(copy), "f16", say=say)
        assert bytes(served) == before, "a server goes on with the file that it has"
    assert other != file and other.is_file() and not file.exists(), "the old one is not kept beside it"
    with pytest.raises(InputError, match="unknown type 'q3'"):
        gguf_of(read_trained(copy), "q3", say=say)


def test_what_stands_in_the_way_is_told(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "best" / "mine").mkdir()  # as by `export --out RUN/best/mine`
    file = gguf_of(read_trained(copy), "f16")
    file.with_name("bytes").unlink()
    unlink = os.unlink

    def windows(path: Any, *given: Any, **named: Any) -> None:
        if str(path).endswith(".gguf"):
            raise PermissionError(13, "The process cannot access the file", str(path))
        unlink(path, *given, **named)

    monkeypatch.setattr("os.unlink", windows)
    with pytest.raises(InputError, match="another program has this old GGUF open"):
        gguf_of(read_trained(copy), "f16")
    assert file.is_file()
    with (copy / "best" / "adapter_model.safetensors").open("r+b") as f:
        f.truncate(600)
    with pytest.raises(InputError, match="is cut off: 600 bytes"):
        read_trained(copy)


def test_calls_that_llama_cpp_would_not_read_are_told(run: Path) -> None:
    """Its parser is made from the template in the GGUF: a run whose calls have another mark gets them back as text."""
    trained = read_trained(run)
    records = calling(read_splits(trained.config.data)["validation"])[:2]
    with serving(gguf_of(trained, "f16"), context=context_for(trained, records)) as url:
        prove_calls(trained, records, url)
        source = trained.template.source.replace("<tool_call>", "<call>").replace("</tool_call>", "</call>")
        trained.__dict__["template"] = replace(trained.template, source=source)
        with pytest.raises(JobFailed, match="does not read calls as hermes writes them"):
            prove_calls(trained, records, url)
