"""`python -m finetune serve`: a run's model behind OpenAI's chat completions, by llama.cpp's server."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from finetune.words import phrase
from tooltune.cli import DEBUG, LANG, BaseModel, Debug, TerminalLang, errors_as_lines
from tooltune.errors import InputError
from tooltune.files import quoted
from tooltune.words import Phrase, saying

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve_command(
    run: Annotated[str | None, typer.Argument(help="a run's name or folder; the newest when left out")] = None,
    host: Annotated[str, typer.Option(help="where to listen; 0.0.0.0 is the whole network")] = LOOPBACK[0],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one")] = 8080,
    dtype: Annotated[str, typer.Option("--type", help="of the GGUF's matrices, as in export")] = "bf16",
    context: Annotated[
        int | None, typer.Option(min=64, help="tokens of a conversation and its answer [4096, or what the model takes]")
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, help="requests that are answered side by side")] = 1,
    model: BaseModel = None,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Serve a run's model: OpenAI-compatible chat completions with tools, streamed or not.

    Its GGUF is made and proven the first time. The environment variable TOOLTUNE_API_KEY sets a key to ask for.
    """
    with errors_as_lines(debug):
        from tooltune.console import say as said
        from tooltune.run import find_run

        say, folder = saying(said, lang), find_run(run)
        check_free(host, port)
        say(phrase("ask.loading"))
        from eval.backend import context_length
        from eval.trained import base_folder, read_trained
        from finetune.export.cached import gguf_of
        from finetune.export.llama_cpp import Listen, bounded, serving
        from finetune.export.merged import TEMPLATE

        trained = read_trained(folder, model)
        most = context_length(base_folder(trained, say))
        if context and context > most:  # memory would be filled for tokens that no request may have
            raise InputError(f"the model takes {most} tokens at most", where="--context", fix="give fewer")
        file = gguf_of(trained, dtype, say=say)
        context = context or min(4096, most)
        template = bounded((trained.adapter / TEMPLATE).read_text(encoding="utf-8"), context)
        listen = Listen(host, port, name=folder.name, parallel=parallel)
        with serving(file, context=context, listen=listen, template=template) as url:
            for line in started(url, folder, host):
                say(line)
            wait()
            say(phrase("serve.ended"))
            leave()


def check_free(host: str, port: int) -> None:
    """See that a port can be listened on.

    Raises:
        InputError: another program has it, or there is no such address here.
    """
    import socket

    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as e:
        raise InputError(
            f"cannot listen there: {e.strerror or e}", where=f"{host}:{port}", fix="give another --port or --host"
        ) from None


def started(url: str, run: Path, host: str) -> list[Phrase]:
    """What is said when the server listens."""
    reach = phrase("serve.here" if host in LOOPBACK else "serve.network")
    return [
        phrase("serve.at", run=run.name, url=url, reach=reach),
        phrase("serve.held"),
        phrase("ask.valid"),
        phrase("serve.many", run=quoted(run.name)),
    ]


def wait() -> None:
    """Until Ctrl-C, which is how a server is meant to end."""
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def leave() -> NoReturn:
    """End now: llama.cpp would finish what it computes first, which can take minutes, and hold Python meanwhile."""
    sys.stdout.flush()
    os._exit(0)
