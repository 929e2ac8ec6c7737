"""llama.cpp as a server on this machine's loopback, from the package xllamacpp (the extra `llama`)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from eval.endpoint.client import error_text, post_json
from tooltune.errors import InputError, JobFailed


def library(otherwise: str = "; or --no-proof") -> Any:
    """The package.

    Args:
        otherwise: what can be done without it, for the error.

    Raises:
        InputError: it is not installed.
    """
    try:
        import xllamacpp
    except ModuleNotFoundError:
        raise InputError(
            "llama.cpp is not installed", where="xllamacpp", fix=f'pip install -e ".[llama]"{otherwise}'
        ) from None
    return xllamacpp


@contextmanager
def serving(model: Path, *, lora: Path | None = None, context: int) -> Iterator[str]:
    """Load a GGUF and answer on a free port of the loopback until the block ends; yields the address.

    Args:
        lora: an adapter's GGUF, applied to the model.
        context: tokens of a prompt and its answer.

    Raises:
        InputError: xllamacpp is not installed.
        JobFailed: llama.cpp cannot load the file.
    """
    xllamacpp = library()
    settings = xllamacpp.CommonParams()
    settings.model.path = str(model)
    settings.n_ctx, settings.n_parallel = context, 1
    settings.use_jinja, settings.warmup, settings.port = True, False, 0
    if lora:
        settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(lora), 1.0)]
    try:
        server = xllamacpp.Server(settings)
    except RuntimeError as e:
        raise JobFailed(f"llama.cpp cannot load {model.name}: {e}", "see what it printed above") from e
    yield str(server.listening_address)
    del server  # it stops when nothing holds it


def post(url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON that llama.cpp answers to a request.

    Raises:
        JobFailed: it refuses, with what it says.
    """
    try:
        answer: dict[str, Any] = json.loads(post_json(url + path, body, timeout=120))
    except HTTPError as e:
        raise JobFailed(
            f"llama.cpp refuses {path}: {error_text(e)}", "is the chat template within llama.cpp's Jinja?"
        ) from None
    return answer
