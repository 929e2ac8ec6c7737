"""llama.cpp as a server on this machine's loopback, from the package xllamacpp (the extra `llama`)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from eval.endpoint.client import api_key, error_text, post_json
from tooltune.errors import InputError, JobFailed

ERRORS = 1
"""llama.cpp's level of messages: it warns of each prompt that leaves its cache, and of a token of every Gemma."""
PATIENCE = 600
"""Seconds for an answer; 120 were too few on a busy machine."""
KEPT = 512
"""MiB of prompts that a server keeps for later, 22 each of Gemma 3 270M; llama.cpp's own 8,192 fill a small machine."""


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


@dataclass(frozen=True)
class Listen:
    """Where a server listens, and to how many.

    Attributes:
        port: 0 for any that is free.
        parallel: requests that are answered side by side.
    """

    host: str = "127.0.0.1"
    port: int = 0
    name: str = "model"
    parallel: int = 1


@contextmanager
def serving(
    model: Path,
    *,
    lora: Path | None = None,
    context: int,
    listen: Listen = Listen(),
    template: str = "",
) -> Iterator[str]:
    """Load a GGUF and answer until the block ends, greedily unless a request says otherwise; yields the address.

    Thinking is off, as in training (`data.template.apply`). The environment variable `KEY` sets a key to ask for. No
    page of a browser is answered, for the one that asks may be anybody's.

    Args:
        lora: an adapter's GGUF, applied to the model.
        context: tokens of a prompt and its answer.
        listen: a free port of the loopback when left out.
        template: Jinja; the GGUF's own when left out.

    Raises:
        InputError: xllamacpp is not installed.
        JobFailed: llama.cpp cannot load the file.
    """
    import torch

    xllamacpp = library()
    settings = xllamacpp.CommonParams()
    settings.model.path = str(model)
    settings.n_ctx, settings.n_parallel = context * listen.parallel, listen.parallel
    settings.hostnames, settings.port, settings.model_alias = [listen.host], listen.port, {listen.name}
    settings.use_jinja, settings.warmup, settings.ui, settings.endpoint_slots = True, False, False, False
    settings.enable_reasoning, settings.sampling.temp = 0, 0.0
    settings.cors_origins, settings.cors_origins_explicit = "", True
    # Its own count is the machine's; torch's keeps to OMP_NUM_THREADS and to the processors that this process may use.
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = torch.get_num_threads()
    settings.cache_ram_mib, settings.verbosity = KEPT, ERRORS
    if key := api_key():
        settings.api_keys = [key]
    if template:
        settings.chat_template = template
    if lora:
        settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(lora), 1.0)]
    try:
        server = xllamacpp.Server(settings)
    except RuntimeError as e:
        raise JobFailed(f"llama.cpp cannot load {model.name}: {e}", "see what it printed above") from e
    try:
        url = str(server.listening_address)
        # One that is stopped before its loop begins never ends, and holds Python: the answer shows that it has begun.
        post(url, "/completion", {"prompt": ".", "n_predict": 0})
        yield url
    finally:
        del server  # it stops, and lets go of the file, when nothing holds it


def bounded(template: str, context: int) -> str:
    """A chat template that refuses more turns and tools than a context has room for.

    llama.cpp counts tokens only after it has written the prompt, which takes it minutes for 20,000 turns. A turn takes
    two tokens at the least: what begins it, and what ends it.
    """
    most = context // 2
    said = f"more than {most} turns and tools exceed the context size ({context} tokens)"
    refusal = f"{{{{- raise_exception('{said}') }}}}"
    return f"{{%- if messages|length + (tools or [])|length > {most} %}}{refusal}{{%- endif %}}\n{template}"


def post(url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON that llama.cpp answers to a request.

    Raises:
        JobFailed: it refuses, with what it says, or does not answer.
    """
    try:
        answer: dict[str, Any] = json.loads(post_json(url + path, body, timeout=PATIENCE))
    except HTTPError as e:
        fix = "is the chat template within llama.cpp's Jinja?" if path == "/apply-template" else ""
        raise JobFailed(f"llama.cpp refuses {path}: {error_text(e)}", fix) from None
    except TimeoutError:
        raise JobFailed(f"llama.cpp: no answer to {path} in {PATIENCE} s", "the machine is busy: try later") from None
    except (OSError, HTTPException) as e:
        raise JobFailed(f"llama.cpp does not answer {path}: {e}", "see what it printed above") from None
    return answer
