"""`python -m finetune export`: a run as a model for other programs, which are proven to build the trained prompts."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from finetune.export.merged import TEMPLATE
from tooltune.cli import DEBUG, Debug, errors_as_lines
from tooltune.errors import InputError, JobFailed
from tooltune.files import writable

if TYPE_CHECKING:
    from eval.trained import Trained
    from finetune.export.proof import Prompt
    from finetune.export.weights import Adapter, Base

Target = Literal["merged", "gguf", "lora-gguf"]
Say = Callable[[str], None]
ROOM = 1.1
"""Free disk that is asked for, as a multiple of what will be written."""


def export_command(
    run: Annotated[str | None, typer.Argument(help="a run's name or folder; the newest when left out")] = None,
    to: Annotated[
        Target, typer.Option(help="merged (transformers, vLLM), gguf, or the adapter alone as GGUF")
    ] = "gguf",
    dtype: Annotated[str, typer.Option("--type", help="of a GGUF's matrices: bf16, f16 or q8_0")] = "bf16",
    base: Annotated[
        str | None, typer.Option("--model", "--base", help="the 16-bit base model, if not the run's own model.name")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="a folder that does not exist yet [RUN/export/…]")] = None,
    rows: Annotated[int, typer.Option(min=1, help="rows whose prompts are compared, spread over the split")] = 50,
    proof: Annotated[bool, typer.Option(help="compare the prompts; a GGUF's needs the extra `llama`")] = True,
    debug: Debug = DEBUG,
) -> None:
    """Write a run's model for other programs, and prove that they build the prompts that it was trained with."""
    with errors_as_lines(debug):
        from eval.trained import read_trained
        from finetune.export.gguf_model import TYPES
        from finetune.export.llama_cpp import library
        from finetune.export.weights import Adapter, Base
        from tooltune.pretrained import resolve
        from tooltune.run import find_run

        if dtype not in TYPES:
            raise InputError(f"unknown type {dtype!r}", where="--type", fix=f"one of {', '.join(TYPES)}")
        trained = read_trained(find_run(run))
        if proof and to == "gguf":
            library()  # before minutes are spent on what could not be proven
        model = Base(resolve(base or trained.config.model.name, typer.echo))
        folder = out or trained.folder / "export" / (to if to != "gguf" else f"gguf-{dtype}")
        with new_folder(folder, model.size) as making:
            file = write(to, dtype, model, Adapter(trained.adapter), making, trained.folder.name)
            if proof and to != "lora-gguf":
                prove(trained, file, rows, typer.echo)
        typer.echo(f"Written: {folder / file.name if file.is_file() else folder}")
        typer.echo(how_to_use(to, folder, trained.template.family))


@contextmanager
def new_folder(folder: Path, size: int) -> Iterator[Path]:
    """A folder that gets its name when the block ends well, so that a half written export is never found.

    Args:
        size: bytes that will be written, about.

    Raises:
        InputError: it exists already, or the disk has too little room.
    """
    if folder.exists():
        raise InputError("this folder exists already", where=str(folder), fix="delete it, or give another --out")
    making = folder.with_name(f".{folder.name}")
    shutil.rmtree(making, ignore_errors=True)
    writable(folder, folder=True)
    making.mkdir(parents=True)
    if (free := shutil.disk_usage(making).free) < ROOM * size:
        making.rmdir()
        raise InputError(
            f"{free / 1e9:.1f} GB are free on the disk, the export needs {ROOM * size / 1e9:.1f} GB",
            where=str(folder),
            fix="free some space, or give --out on another disk",
        )
    try:
        yield making
        making.replace(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def write(to: Target, dtype: str, base: "Base", adapter: "Adapter", folder: Path, name: str) -> Path:
    """Write the export; returns the file or folder that programs load."""
    from finetune.export.gguf_model import write_gguf, write_lora_gguf
    from finetune.export.merged import write_merged
    from tooltune.console import Terminal, progress
    from tooltune.licence import copy_licence

    if to == "merged":
        typer.echo(f"Merging into {base.folder.name}'s own 16-bit weights …")
        write_merged(base, adapter, folder)
        return folder
    copy_licence(base.folder, folder)
    if to == "lora-gguf":
        shutil.copyfile(adapter.folder / TEMPLATE, folder / TEMPLATE)
        write_lora_gguf(base, adapter, folder / "adapter.gguf", name)
        return folder / "adapter.gguf"
    with progress(Terminal()) as bar:
        task = bar.add_task("tensors", total=sum(map(len, base.files.values())), note="")
        file = folder / f"model-{dtype}.gguf"
        write_gguf(base, adapter, file, dtype, name, lambda done: bar.update(task, completed=done))
    return file


def prove(trained: "Trained", file: Path, rows: int, say: Say) -> None:
    """Compare the prompts that a program makes with this export with those that were trained.

    Raises:
        JobFailed: one differs, with the first difference.
    """
    from data.load import evenly_spaced, read_splits
    from finetune.export.llama_cpp import serving
    from finetune.export.proof import llama_cpp_prompt, prove_template, transformers_prompt

    splits = read_splits(trained.config.data)
    records = evenly_spaced(splits["test"] or splits["validation"], rows)

    def compared(target: "Prompt", who: str) -> None:
        found = prove_template(records, trained.tokenizer, trained.template, target)
        if found.first:
            raise JobFailed(
                f"{who} builds other prompts than were trained: {found.rows - found.equal} of {found.rows} rows; "
                f"{found.first}",
                "the model would be asked what it never learnt; --no-proof writes the export all the same",
            )
        say(f"Proof: {who} builds the trained prompt, token for token, for {found.equal} of {found.rows} rows")

    if file.is_dir():
        compared(transformers_prompt(file), "the chat template in transformers and vLLM")
        return
    with serving(file, context=512) as url:  # prompts are written, none is answered
        compared(llama_cpp_prompt(url), "llama.cpp")


def how_to_use(to: Target, folder: Path, family: str) -> str:
    """The command that serves the export.

    Args:
        family: of its tool calls; vLLM has a parser of the same name for the project's own template (hermes).
    """
    if to == "merged":
        parser = family if family == "hermes" else f"(vLLM's parser for {family})"
        return (
            f"Serve it: vllm serve {folder} --enable-auto-tool-choice --tool-call-parser {parser} "
            f"--chat-template {folder / TEMPLATE}"
        )
    if to == "gguf":
        return f"Serve it: llama-server --jinja -m {next(folder.glob('*.gguf'))}"
    return (
        f"Serve it: llama-server --jinja -m BASE.gguf --lora {folder / 'adapter.gguf'} "
        f"--chat-template-file {folder / TEMPLATE}"
    )
