"""A run's answers through llama.cpp: its GGUF, asked with the token ids that it was trained on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eval.generate import Output
from eval.trained import MANIFEST, Trained
from finetune.export.cached import gguf_of
from finetune.export.llama_cpp import post, serving
from tooltune.console import Terminal
from tooltune.run import read_manifest
from tooltune.words import Say

CONTEXT = 8192
"""Tokens of a prompt and its answer."""


class LlamaCpp:
    """A server that has a run's GGUF; what a prompt has in common with the one before it, it does not read again."""

    def __init__(self, url: str, tokenizer: Any, limit: int) -> None:
        self.url, self.tokenizer, self.limit = url, tokenizer, limit

    def read(self, tokens: list[int]) -> None:
        self._complete(tokens, 0)

    def write(self, prompts: Sequence[list[int]], tools: list[dict[str, Any]]) -> list[Output]:
        return [self._complete(prompt, self.limit) for prompt in prompts]

    def _complete(self, prompt: list[int], limit: int) -> Output:
        body = {"prompt": prompt, "n_predict": limit, "temperature": 0, "cache_prompt": True, "return_tokens": True}
        answer = post(self.url, "/completion", body)
        tokens = answer["tokens"]
        text = self.tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return Output(text, len(tokens), truncated=answer["stop_type"] == "limit")


@contextmanager
def llama_cpp(trained: Trained, say: Say, console: Terminal | None = None) -> Iterator[LlamaCpp]:
    """llama.cpp with a run's GGUF, which is made where there is none.

    Raises:
        InputError: the extra `llama` is not installed, or the run cannot be exported.
        JobFailed: llama.cpp builds other prompts than were trained, or cannot load the file.
    """
    with serving(gguf_of(trained, say=say, console=console), context=CONTEXT) as url:
        yield LlamaCpp(url, trained.tokenizer, trained.config.eval.max_new_tokens)


def has_gguf(run: Path) -> bool:
    """Whether a GGUF of a run that trained without a GPU has been made, and llama.cpp is installed to load it."""
    from importlib.util import find_spec

    on_cpu = read_manifest(run, MANIFEST)["device"]["kind"] == "cpu"
    made = any((run / "export" / "llama.cpp").glob("*/*.gguf"))
    return on_cpu and made and find_spec("xllamacpp") is not None
