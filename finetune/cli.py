"""The command line of `python -m finetune`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from finetune.arguments import config_from, named
from finetune.ask import ask_command
from finetune.chat.command import chat_command
from finetune.doctor.command import doctor
from finetune.export.command import export_command
from finetune.inspect.command import explain_command, preview_command
from finetune.memory.command import plan
from finetune.report.command import report_command
from finetune.runs_table import runs_command
from finetune.serve import serve_command
from finetune.words import phrase
from tooltune.cli import DEBUG, LANG, Debug, TerminalLang, errors_as_lines, new_app
from tooltune.console import say
from tooltune.errors import InputError
from tooltune.launch import by_make

app = new_app()


@app.callback()
def main() -> None:
    """Teach a small language model to call tools on a small graphics card."""


@app.command()
def train(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PRESET|FILE] [KEY=VALUE ...]", help="a preset or YAML file, then overrides"),
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="resume this run (a name, a folder, or 'latest') from its last checkpoint")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="resume although settings, data, model or versions have changed")
    ] = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Train. Without a preset: 6gb where there is CUDA, cpu where there is none."""
    with errors_as_lines(debug):
        from finetune.train import train as run_training
        from tooltune.run import find_run, read_config

        if resume is None and os.environ.get("RESUME", "0") not in ("", "0"):
            resume = "latest"
        if resume is not None:
            source, overrides = named(arguments)
            if source is not None:
                raise InputError(
                    "a preset or file cannot be given with --resume",
                    where=source,
                    fix="leave it out: a run is resumed with its own config.yaml",
                )
            folder = find_run(resume)
            run_training(read_config(folder, overrides), folder.name, resume=folder, force=force, lang=lang)
            return
        source, config = config_from(arguments, say, lang)
        if source == "cpu" and named(arguments)[0] is None:
            longer = "make train ARGS=cpu-long" if by_make() else "python -m finetune train cpu-long"
            say(phrase("preset.longer", command=longer).text(lang))
        run_training(config, Path(source).stem, force=force, lang=lang)


@app.command()
def record(
    run: Annotated[str | None, typer.Argument(help="a run's name or folder; the newest when left out")] = None,
    debug: Debug = DEBUG,
) -> None:
    """Put a finished and evaluated run's figures into docs/measured/, docs/results.md and the README."""
    with errors_as_lines(debug):
        from finetune.publish_results import record as write_record
        from tooltune.run import find_run

        changed = write_record(find_run(run))
        say("Written: " + ", ".join(map(str, changed)) if changed else "Nothing changed: it is all there already")


app.command("ask")(ask_command)
app.command("chat")(chat_command)
app.command()(plan)
app.command()(doctor)
app.command("runs")(runs_command)
app.command("preview")(preview_command)
app.command("explain")(explain_command)
app.command("report")(report_command)
app.command("export")(export_command)
app.command("serve")(serve_command)
