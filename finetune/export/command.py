"""`python -m finetune export`: a run as a model for other programs, which are proven to build the trained prompts."""

import logging
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from finetune.export.merged import TEMPLATE
from finetune.export.room import check_memory, disk_needed, memory_needed, new_folder
from finetune.words import phrase
from tooltune.cli import DEBUG, LANG, Debug, TerminalLang, errors_as_lines
from tooltune.errors import InputError, JobFailed
from tooltune.files import quoted
from tooltune.words import Say, saying

if TYPE_CHECKING:
    from data.record import Record
    from eval.trained import Trained
    from finetune.export.proof import Prompt
    from finetune.export.weights import Adapter, Base
    from tooltune.console import Terminal


for _library in ("torchao", "bitsandbytes"):  # they tell of faster kernels that are not there, and are not asked for
    logging.getLogger(_library).setLevel(logging.ERROR)

Target = Literal["merged", "gguf", "lora-gguf", "ollama", "vllm"]
BY_LLAMA_CPP = ("gguf", "ollama")
SHARDED = ("merged", "vllm")
READ_ROWS = 10
"""Rows whose calls a GGUF's server is given to read."""


def export_command(
    run: Annotated[str | None, typer.Argument(help="a run's name or folder; the newest when left out")] = None,
    to: Annotated[
        Target, typer.Option(help="gguf, ollama, vllm, merged (transformers), or the adapter alone as GGUF")
    ] = "gguf",
    dtype: Annotated[str, typer.Option("--type", help="of a GGUF's matrices: bf16, f16, q8_0 or q4_k_m")] = "bf16",
    base: Annotated[
        str | None, typer.Option("--model", "--base", help="where the run's base model is now, if it moved")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="a folder that does not exist yet [RUN/export/…]")] = None,
    rows: Annotated[int, typer.Option(min=1, help="rows whose prompts are compared, spread over the split")] = 50,
    proof: Annotated[bool, typer.Option(help="compare the prompts; a GGUF's needs the extra `llama`")] = True,
    behaviour: Annotated[
        bool, typer.Option("--behaviour", help="ask the export the split's rows too, and compare the answers")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="of --behaviour: only so many rows")] = None,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Write a run's model for other programs, and prove that they build the prompts that it was trained with."""
    with errors_as_lines(debug):
        from eval.trained import base_folder, read_trained
        from finetune.export.behaviour import ask, evaluated, show
        from finetune.export.gguf_types import TYPES, llama_cpp_quantiser
        from finetune.export.llama_cpp import library
        from finetune.export.model_card import card_facts, write_card
        from finetune.export.vllm import tool_parser
        from finetune.export.weights import Adapter, Base
        from tooltune.console import say as said
        from tooltune.run import find_run

        say = saying(said, lang)
        if dtype not in TYPES:
            raise InputError(f"unknown type {dtype!r}", where="--type", fix=f"one of {', '.join(TYPES)}")
        if dtype != "bf16" and to not in BY_LLAMA_CPP:
            raise InputError("only a GGUF has a type", where="--type", fix="--to gguf or --to ollama")
        if limit and not behaviour:
            raise InputError("without --behaviour no row is asked", where="--limit", fix="add --behaviour")
        if behaviour and to == "lora-gguf":
            raise InputError("the adapter alone answers nothing", where="--behaviour", fix="export --to gguf")
        trained = read_trained(find_run(run))
        # Before minutes are spent: what would fail after them.
        if to == "vllm":
            tool_parser(trained.template.family)
        if to in BY_LLAMA_CPP and dtype == "q4_k_m":
            llama_cpp_quantiser()
        if to in BY_LLAMA_CPP and (proof or behaviour):
            library()
        before = evaluated(trained, limit) if behaviour else None
        facts = card_facts(trained)
        model = Base(base_folder(read_trained(trained.folder, base), say), trained.config.model.load_in_4bit)
        adapter = Adapter(trained.adapter)
        size = 2 * adapter.size if to == "lora-gguf" else disk_needed(model, dtype)
        if to != "lora-gguf":
            check_memory(memory_needed(model, adapter, sharded=to in SHARDED))
        folder = out or trained.folder / "export" / (f"{to}-{dtype}" if to in BY_LLAMA_CPP else to)
        found, proven = None, None
        with new_folder(folder, size, "free some space, or give --out on another disk") as making:
            file = write(to, dtype, model, adapter, making, trained.folder.name, say)
            if to == "ollama":
                write_modelfile(trained, file)
            if proof and to != "lora-gguf":
                proven = prove(trained, file, rows, say, to)
                if to == "gguf" and (read := prove_reading(trained, file, say)):
                    proven = f"{proven}; {read}"
            if before:
                found = ask(trained, file, making / "behaviour", before, to, say)
            inside = Path(file.name if file.is_file() else ".")
            use = how_to_use(to, inside, trained.template.family)
            write_card(making / "README.md", facts, to=to, use=use, proven=proven, found=found)
        if found:
            show(found, folder / "behaviour", lang)
        say(phrase("written", path=folder / inside))
        say(phrase("export.use", command=how_to_use(to, folder / inside, trained.template.family)))
        if found and found.worse:
            fix = "behaviour/changed.jsonl has each answer that changed; a GGUF of another --type may round less"
            raise JobFailed(f"the export answers worse than the run: {found.worse}", fix)


def write(
    to: Target,
    dtype: str,
    base: "Base",
    adapter: "Adapter",
    folder: Path,
    name: str,
    say: Say,
    console: "Terminal | None" = None,
) -> Path:
    """Write the export; returns the file or folder that programs load.

    Args:
        console: for the bar; standard error when left out.
    """
    from finetune.export.gguf_model import write_gguf, write_lora_gguf
    from finetune.export.merged import write_merged
    from tooltune.console import Terminal, ticking
    from tooltune.licence import copy_licence

    bar = ticking(console or Terminal(stderr=True), "tensors", len(base.shapes))
    if to in SHARDED:
        say(phrase("export.merging", model=base.folder.name))
        with bar as tick:
            write_merged(base, adapter, folder, tick=tick)
        return folder
    copy_licence(base.folder, folder)
    copy_licence(adapter.folder, folder)
    if to == "lora-gguf":
        shutil.copyfile(adapter.folder / TEMPLATE, folder / TEMPLATE)
        write_lora_gguf(base, adapter, folder / "adapter.gguf", name)
        return folder / "adapter.gguf"
    file = folder / f"model-{dtype}.gguf"
    with bar as tick:
        write_gguf(base, adapter, file, dtype, name, tick)
    return file


def write_modelfile(trained: "Trained", gguf: Path) -> None:
    """Write Ollama's Modelfile beside the GGUF: room for the longest row and its answer, the trained end token."""
    from finetune.export.ollama import modelfile

    context = trained.manifest["longest_row"] + trained.config.eval.max_new_tokens
    text = modelfile(gguf, context=-(-context // 256) * 256, end=trained.tokenizer.eos_token)
    (gguf.parent / "Modelfile").write_text(text, encoding="utf-8", newline="\n")


def prove(
    trained: "Trained", file: Path, rows: int, say: Say, to: Target = "gguf", console: "Terminal | None" = None
) -> str:
    """Compare the prompts that a program makes with this export with those that were trained; returns what was found.

    Args:
        file: a GGUF, or a merged model's folder.
        console: for the bar; standard error when left out.

    Raises:
        JobFailed: one differs, with the first difference.
    """
    from data.load import evenly_spaced
    from finetune.export.llama_cpp import serving
    from finetune.export.proof import llama_cpp_prompt, transformers_prompt

    records = evenly_spaced(_held_out(trained), rows)
    say(phrase("export.proving", n=len(records)))
    if file.is_dir():
        return _compared(trained, records, transformers_prompt(file), to, say, console)
    with serving(file, context=512) as url:  # prompts are written, none is answered
        return _compared(trained, records, llama_cpp_prompt(url), to, say, console)


def prove_reading(trained: "Trained", file: Path, say: Say, console: "Terminal | None" = None) -> str | None:
    """Have llama.cpp read the calls of `READ_ROWS` rows from their trained answers; returns what was found, None where
    no row has a call.

    Raises:
        JobFailed: it does not read one.
    """
    from data.load import evenly_spaced
    from finetune.export.call_proof import calling, context_for, prove_calls
    from finetune.export.llama_cpp import serving
    from tooltune.console import watched

    records = evenly_spaced(calling(_held_out(trained)), READ_ROWS)
    if not records:
        return None
    say(phrase("export.proving_calls", n=len(records)))
    with (
        serving(file, context=context_for(trained, records)) as url,
        closing(watched(records, "rows", console)) as rows,
    ):
        prove_calls(trained, rows, url)
    said = phrase("export.reads", n=len(records))
    say(phrase("export.proof", said=said))
    return str(said)


def _held_out(trained: "Trained") -> "Sequence[Record]":
    """The rows that proofs are of: the test split, or validation where there is none."""
    from data.splits import read_splits

    splits = read_splits(trained.config.data)
    return splits["test"] or splits["validation"]


def _compared(
    trained: "Trained",
    records: list["Record"],
    prompt: "Prompt",
    to: Target,
    say: Say,
    console: "Terminal | None",
) -> str:
    from finetune.export.proof import as_sent, prove_template
    from tooltune.console import watched

    who, otherwise = {
        "merged": ("transformers", ""),
        "vllm": ("vLLM's chat template", ""),
        "gguf": ("llama.cpp", ""),
        "ollama": (
            "Ollama",
            "Ollama drops what its structs have no place for (additionalProperties, const, $ref, default, …): "
            "serve the GGUF with llama-server, or train on schemas without; ",
        ),
    }[to]
    sent = as_sent(to)
    with closing(watched(records, "rows", console)) as rows:
        found = prove_template(rows, trained.tokenizer, trained.template, lambda record: prompt(sent(record)))
    if found.first:
        raise JobFailed(
            f"{who} builds other prompts than were trained: {found.rows - found.equal} of {found.rows} rows; "
            f"{found.first}",
            f"the model would be asked what it never learnt. {otherwise}--no-proof writes the export all the same",
        )
    said = phrase("export.builds", who=who, equal=found.equal, rows=found.rows)
    say(phrase("export.proof", said=said))
    return str(said)


def how_to_use(to: Target, result: Path, family: str) -> str:
    """The command that serves the export.

    Args:
        result: the file or folder that programs load.
        family: of its tool calls.
    """
    from finetune.export import vllm

    match to:
        case "vllm":
            return vllm.command(result, vllm.tool_parser(family))
        case "merged":
            return f"AutoModelForCausalLM.from_pretrained({str(result)!r})"
        case "ollama":
            return f"ollama create NAME -f {quoted(result.parent / 'Modelfile')}"
        case "gguf":
            return f"llama-server --jinja -m {quoted(result)}"
        case "lora-gguf":
            template = quoted(result.parent / TEMPLATE)
            return f"llama-server --jinja -m BASE.gguf --lora {quoted(result)} --chat-template-file {template}"
