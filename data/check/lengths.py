"""How long rows are in a model's tokens. The only part of a check that needs transformers."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data.check.words import phrase
from data.record import Record
from data.template import ToolsStyle, apply, project_template
from tooltune.words import Say

LIMITS = (1024, 2048, 4096)


@dataclass(frozen=True)
class Lengths:
    """Lengths in tokens.

    Attributes:
        tokenizer: whose tokens.
        styles: for each way of writing the tools (signature, json): median, p95, longest, and `over`, which maps a
            limit to the number of rows that exceed it.
    """

    tokenizer: str
    styles: dict[str, dict[str, Any]]


def find_tokenizer(name: str | None, say: Say) -> Any | None:
    """The tokenizer to measure with; None where there is none.

    Args:
        name: a model folder, "embedded" or a hub name; None: the embedded model where it is converted already; "none".

    Raises:
        InputError: it cannot be found or loaded.
    """
    from tooltune.embedded import converted

    if name is None and not converted():
        say(phrase("no_lengths"))
        return None
    if name == "none":
        return None
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from tooltune.pretrained import EMBEDDED, load_tokenizer, resolve

    return load_tokenizer(resolve(name or EMBEDDED, say, weights=False), say)


def row_lengths(records: Sequence[Record], tokenizer: Any, style: ToolsStyle) -> list[int]:
    """Tokens of each whole row in the project's template; a model's own template differs by a few tokens a turn."""
    template = project_template(tokenizer, style)
    counts: list[int] = []
    for start in range(0, len(records), 256):
        part = records[start : start + 256]
        texts = [apply(template, tokenizer, r.messages, r.tools, generation_prompt=False) for r in part]
        counts += [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    return counts


def summarised(counts: Sequence[int]) -> dict[str, Any]:
    counts = sorted(counts)
    last = len(counts) - 1
    return {
        "median": counts[last // 2],
        "p95": counts[round(0.95 * last)],
        "longest": counts[-1],
        "over": {limit: sum(n > limit for n in counts) for limit in LIMITS},
    }
