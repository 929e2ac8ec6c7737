"""Embedded models from PyPI: fetched in pieces, checked, joined, converted once. A small one; the index is a folder."""

import hashlib
import os
import shutil
import threading
import time
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from tooltune import embedded
from tooltune.embedded import wheels
from tooltune.embedded.table import MODELS, EmbeddedModel, Wheel
from tooltune.errors import InputError, JobFailed

GGUF = os.urandom(3_000)


def wheel_file(index: Path, package: str, files: dict[str, bytes]) -> tuple[Path, str]:
    """Write a wheel that pip takes, and give its SHA-256."""
    info = f"{package}-1.0.0.dist-info"
    path = index / f"{package}-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, all that pip may look at; the models folder is another."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("TOOLTUNE_MODELS", str(tmp_path / "models"))
    return folder


@pytest.fixture
def model(index: Path) -> EmbeddedModel:
    """An entry of two pieces, the second with the licence; its converter keeps what it was given."""
    parts = []
    for number, piece in enumerate((GGUF[:1_000], GGUF[1_000:]), start=1):
        package = f"tiny_part{number}"
        files = {f"{package}/piece": piece, f"{package}/TERMS.html": b"terms"}
        path, digest = wheel_file(index, package, files)
        licence = ((f"{package}/TERMS.html", "TERMS.html"),) if number == 2 else ()
        requirement = f"tiny-part{number}==1.0.0"
        parts.append(Wheel(requirement, path.name, path.stat().st_size, digest, f"{package}/piece", licence))
    return EmbeddedModel(
        names=("tiny",),
        title="Tiny",
        folder="tiny-model",
        wheels=tuple(parts),
        sha256=hashlib.sha256(GGUF).hexdigest(),
        gguf_size=len(GGUF),
        size=len(GGUF),
        terms="is under terms.",
        notice="Tiny is under terms.\n",
        convert=keep,
    )


def keep(gguf: Path, folder: Path, say: wheels.Say) -> None:
    say("tokenizer")
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(gguf.read_bytes())
    (folder / "config.json").write_text("{}", encoding="utf-8")


def left_over() -> list[str]:
    return sorted(p.name for p in embedded.models_dir().iterdir() if not p.name.endswith(".lock"))


def test_pieces_are_joined_in_order_with_the_licence(model: EmbeddedModel) -> None:
    said: list[str] = []
    folder = embedded.embedded_model(model, lambda line: said.append(str(line)))
    assert folder == embedded.models_dir() / "tiny-model" == embedded.converted(model)
    assert (folder / "model.safetensors").read_bytes() == GGUF
    assert (folder / "TERMS.html").read_text() == "terms" and (folder / "NOTICE").read_text() == model.notice
    assert [line for line in said if "is under terms" in line and str(folder) in line]
    assert [line.split()[1] for line in said if line.startswith("Fetching")] == [w.requirement for w in model.wheels]
    assert left_over() == ["tiny-model"], "wheels and temporary folders are gone"


def test_a_second_call_fetches_and_says_nothing(model: EmbeddedModel, index: Path) -> None:
    folder = embedded.embedded_model(model)
    shutil.rmtree(index)
    assert embedded.embedded_model(model, lambda line: pytest.fail(line)) == folder


def test_a_folder_without_weights_gives_its_tokenizer_and_nothing_to_train(model: EmbeddedModel) -> None:
    folder = embedded.models_dir() / model.folder
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    assert embedded.embedded_model(model, weights=False) == folder
    with pytest.raises(InputError, match="no weights") as error:
        embedded.embedded_model(model)
    assert str(folder) in str(error.value) and "delete it" in error.value.fix


def test_a_cut_download_goes_on_where_it_was(model: EmbeddedModel, index: Path) -> None:
    """Also: by hand, a file put into the folder is taken; what is missing is named, and what is there is not."""
    second = index / model.wheels[1].file
    aside = second.rename(index.parent / second.name)
    with pytest.raises(InputError) as error:
        embedded.embedded_model(model)
    text = "\n".join(error.value.lines())
    assert "tiny-part2==1.0.0" in text and second.name in text and str(embedded.models_dir()) in text
    assert model.wheels[0].file not in text and "Could not find a version" in text
    assert left_over() == [model.wheels[0].file] and embedded.converted(model) is None
    (index / model.wheels[0].file).unlink()
    aside.rename(embedded.models_dir() / second.name)
    said: list[str] = []
    assert (
        embedded.embedded_model(model, lambda line: said.append(str(line))) / "model.safetensors"
    ).read_bytes() == GGUF
    assert not [line for line in said if "Fetching" in line]


def test_a_damaged_piece_is_named_deleted_and_fetched_again(model: EmbeddedModel) -> None:
    embedded.models_dir().mkdir()
    damaged = embedded.models_dir() / model.wheels[0].file
    damaged.write_bytes(b"half a whe")
    said: list[str] = []
    assert (
        embedded.embedded_model(model, lambda line: said.append(str(line))) / "model.safetensors"
    ).read_bytes() == GGUF
    assert [line for line in said if str(damaged) in line and "damaged" in line]
    assert [line.split()[1] for line in said if line.startswith("Fetching")] == [w.requirement for w in model.wheels]


def test_another_file_from_the_index_is_refused(model: EmbeddedModel, index: Path) -> None:
    wheel_file(index, "tiny_part1", {"tiny_part1/piece": b"something else"})
    with pytest.raises(InputError, match="another file than PyPI") as error:
        embedded.embedded_model(model)
    assert error.value.where == model.wheels[0].file and not left_over()


def test_a_wrong_whole_is_no_model(model: EmbeddedModel) -> None:
    swapped = replace(model, wheels=model.wheels[::-1])
    with pytest.raises(JobFailed, match="joined file"):
        embedded.embedded_model(swapped)
    assert left_over() == sorted(wheel.file for wheel in model.wheels)


def test_a_converter_that_fails_leaves_no_model_and_keeps_the_pieces(model: EmbeddedModel) -> None:
    def fail(gguf: Path, folder: Path, say: wheels.Say) -> None:
        keep(gguf, folder, say)
        raise MemoryError

    with pytest.raises(MemoryError):
        embedded.embedded_model(replace(model, convert=fail))
    assert embedded.converted(model) is None and left_over() == sorted(wheel.file for wheel in model.wheels)


def test_what_a_killed_process_left_is_cleared_away(model: EmbeddedModel) -> None:
    for name in (".converting-tiny-model", f".fetching-{model.wheels[0].file}"):
        (embedded.models_dir() / name).mkdir(parents=True)
        (embedded.models_dir() / name / "rest").write_bytes(b"x")
    embedded.embedded_model(model)
    assert left_over() == ["tiny-model"]


def test_processes_at_once_convert_once(model: EmbeddedModel) -> None:
    """Threads stand for processes: each has a lock of its own on the same file."""
    calls, said, found = [], [], []

    def slow(gguf: Path, folder: Path, say: wheels.Say) -> None:
        calls.append(folder)
        deadline = time.monotonic() + 30
        while not any("Another process" in line for line in said) and time.monotonic() < deadline:
            time.sleep(0.02)
        keep(gguf, folder, say)

    shared = replace(model, convert=slow)
    threads = [
        threading.Thread(
            target=lambda: found.append(embedded.embedded_model(shared, lambda line: said.append(str(line))))
        )
        for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and found == [embedded.models_dir() / "tiny-model"] * 2
    assert sum("Another process" in line for line in said) == 1


def test_a_full_disk_is_said_before_anything_is_fetched(model: EmbeddedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    needed = sum(w.size for w in model.wheels) + max(w.size for w in model.wheels) + 2 * len(GGUF)
    monkeypatch.setattr(wheels.shutil, "disk_usage", lambda folder: usage(needed - 1))
    with pytest.raises(InputError, match="of disk"):
        embedded.embedded_model(model)
    assert not left_over()
    monkeypatch.setattr(wheels.shutil, "disk_usage", lambda folder: usage(needed))
    assert embedded.embedded_model(model).is_dir()


def test_a_folder_that_is_no_model_is_named(model: EmbeddedModel) -> None:
    (embedded.models_dir() / "tiny-model").mkdir(parents=True)
    with pytest.raises(InputError, match="not a whole model") as error:
        embedded.embedded_model(model)
    assert error.value.where == str(embedded.models_dir() / "tiny-model")


def test_what_pip_has_written_moves_the_bar(tmp_path: Path) -> None:
    (tmp_path / "pip-unpack-1").mkdir()
    (tmp_path / "pip-unpack-1" / "part.whl").write_bytes(bytes(700))
    (tmp_path / "pip.log").write_bytes(bytes(20))
    assert wheels._written(tmp_path) == 700


def test_the_table_is_consistent() -> None:
    names = [name for model in MODELS for name in model.names]
    assert len(set(names)) == len(names) and len({model.folder for model in MODELS}) == len(MODELS)
    assert embedded.embedded("embedded") is embedded.embedded("gemma3") is embedded.GEMMA3
    assert embedded.embedded("smollm2") is embedded.SMOLLM2 and embedded.embedded("Qwen/Qwen3-0.6B") is None
    for model in MODELS:
        for wheel in model.wheels:
            package, version = wheel.requirement.split("==")
            assert wheel.file.startswith(f"{package.replace('-', '_')}-{version}-") and len(wheel.sha256) == 64
        assert any(wheel.gguf for wheel in model.wheels) and any(wheel.licence for wheel in model.wheels)
