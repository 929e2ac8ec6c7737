"""The GGUF of a run, for what answers through llama.cpp: made and proven once, kept in the run's folder."""

import hashlib
import shutil
from pathlib import Path

from eval.trained import Trained, base_folder
from finetune.export.command import prove, prove_reading, write
from finetune.export.gguf_model import TYPES
from finetune.export.llama_cpp import library
from finetune.export.room import UNFINISHED, disk_needed, new_folder
from finetune.export.weights import Adapter, Base
from finetune.words import phrase
from tooltune.console import Terminal
from tooltune.errors import InputError
from tooltune.files import dump_json, file_digest, writable
from tooltune.words import Say

PROVEN_ROWS = 50
"""Rows whose prompts are compared."""
SIZE = "bytes"
"""The file beside a GGUF that holds its length."""


def gguf_of(trained: Trained, kind: str = "bf16", *, say: Say = print, console: Terminal | None = None) -> Path:
    """A run's merged model as a GGUF whose prompts are proven; made where it is not there or not of this adapter,
    chat template and base model.

    Args:
        kind: of its matrices, a key of `TYPES`.
        say: told one line before each step that takes seconds.
        console: for the bars; standard error when left out.

    Raises:
        InputError: the kind is unknown, the extra `llama` is not installed, the run cannot be exported, or nothing can
            be written in its folder.
        JobFailed: llama.cpp builds other prompts than were trained.
    """
    from filelock import FileLock, Timeout

    if kind not in TYPES:
        raise InputError(f"unknown type {kind!r}", where="--type", fix=f"one of {', '.join(TYPES)}")
    library()
    base = Base(base_folder(trained, say), trained.config.model.load_in_4bit)
    adapter, run = Adapter(trained.adapter), trained.folder
    kept = run / "export" / "llama.cpp"
    folder = kept / f"{kind}-{_digest(base, adapter)}"
    file = folder / f"model-{kind}.gguf"
    if _whole(file):  # also where nothing can be written
        return file
    writable(kept, folder=True)
    kept.mkdir(parents=True, exist_ok=True)
    lock = FileLock(kept / f".{kind}.lock")  # two that begin together make it once
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(phrase("export.waits", file=file.name, run=run.name))
        lock.acquire()
    try:
        if _whole(file):
            return file
        for old in [*kept.glob(f"{kind}-*"), *kept.glob(f".{kind}-*{UNFINISHED}")]:
            shutil.rmtree(old, ignore_errors=True)  # Windows keeps what a server has open
        if folder.exists():
            raise InputError(
                "another program has this old GGUF open", where=str(folder), fix="end each serve and chat of the run"
            )
        say(phrase("export.once", file=file.name, run=run.name))
        with new_folder(folder, disk_needed(base, kind)) as making:
            made = write("gguf", kind, base, adapter, making, run.name, say, console)
            prove(trained, made, PROVEN_ROWS, say, console=console)
            prove_reading(trained, made, say, console)
            (making / SIZE).write_text(str(made.stat().st_size), encoding="ascii")
    finally:
        lock.release()
    return file


def _whole(file: Path) -> bool:
    """Whether the file has all its bytes: a copy of the run's folder may have been cut off."""
    size = file.with_name(SIZE)
    return file.is_file() and size.is_file() and size.read_text(encoding="ascii") == str(file.stat().st_size)


def _digest(base: Base, adapter: Adapter) -> str:
    """What decides the file: the adapter's files, the base model's (weights by size and time: they may be large), and
    the code that writes it."""
    code = Path(__file__).parent.glob("*.py")
    files = [base.folder / "config.json", *sorted(filter(Path.is_file, adapter.folder.iterdir())), *sorted(code)]
    weights = [(name, (stat := (base.folder / name).stat()).st_size, stat.st_mtime_ns) for name in base.files]
    facts = [[(path.name, file_digest(path)) for path in files], weights]
    return hashlib.sha256(dump_json(facts).encode()).hexdigest()[:16]
