"""The proof of an export: the prompt that the target builds is the one that was trained, token for token."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.record import Record
from data.render import render_prompt
from data.template import Template
from eval.endpoint.answers import request
from finetune.export.llama_cpp import post
from finetune.export.ollama import as_ollama
from finetune.export.vllm import as_vllm

Prompt = Callable[[Record], list[int]]
"""The token ids that a target makes of a record's turns and tools."""

AROUND = 12
"""Tokens that are shown after a first difference, and half as many before it."""


@dataclass(frozen=True)
class Difference:
    """The first place where a target's prompt leaves the trained one; the texts around it."""

    row: str
    token: int
    trained: str
    target: str

    def __str__(self) -> str:
        return f"row {self.row}, token {self.token}: trained {self.trained!r}, the target writes {self.target!r}"


@dataclass(frozen=True)
class TemplateProof:
    """How many prompts are equal, and the first that is not."""

    rows: int
    equal: int
    first: Difference | None


def prove_template(records: Iterable[Record], tokenizer: Any, template: Template, target: Prompt) -> TemplateProof:
    """Hold a target's prompts to those that `data.render` makes, which training saw."""
    rows, equal, first = 0, 0, None
    for record in records:
        rows += 1
        trained, found = render_prompt(record, tokenizer, template), target(record)
        equal += trained == found
        if trained != found and first is None:
            first = _difference(record.id, tokenizer, trained, found)
    return TemplateProof(rows, equal, first)


def llama_cpp_prompt(url: str) -> Prompt:
    """llama.cpp's own prompt: its chat template, its tokenizer, over its server's `/apply-template` and `/tokenize`."""

    def prompt(record: Record) -> list[int]:
        text = post(url, "/apply-template", request(record))["prompt"]
        ids = post(url, "/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]
        return [int(i) for i in ids]

    return prompt


def transformers_prompt(folder: Path) -> Prompt:
    """What transformers, and vLLM through it, build from a folder's tokenizer and chat template."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    def prompt(record: Record) -> list[int]:
        asked = request(record)
        for turn in asked["messages"]:  # vLLM reads arguments into objects before its template sees them
            for call in turn.get("tool_calls") or []:
                call["function"] = call["function"] | {"arguments": json.loads(call["function"]["arguments"])}
        ids = tokenizer.apply_chat_template(
            asked["messages"], tools=asked.get("tools"), add_generation_prompt=True, return_dict=False
        )
        return list(ids)

    return prompt


def as_sent(to: str) -> Callable[[Record], Record]:
    """What a target makes of a record before its chat template sees it."""
    return {"ollama": as_ollama, "vllm": as_vllm}.get(to, lambda record: record)


def _difference(row: str, tokenizer: Any, trained: list[int], found: list[int]) -> Difference:
    pairs = zip(trained, found, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(trained), len(found)))
    start, end = max(0, at - AROUND // 2), at + AROUND
    return Difference(row, at, tokenizer.decode(trained[start:end]), tokenizer.decode(found[start:end]))
