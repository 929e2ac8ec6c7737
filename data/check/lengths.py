"""How long rows are in a model's tokens. The only part of a check that needs transformers."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from data.check.words import phrase
from data.record import Record
from data.template import apply, project_template, signature
from tooltune.files import dump_json
from tooltune.words import Say

LIMITS = (1024, 2048, 4096)
TOOLS = 5_000
"""Different tools whose lengths are remembered."""


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
    say(phrase("counting"))
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from tooltune.pretrained import EMBEDDED, load_tokenizer, resolve

    return load_tokenizer(resolve(name or EMBEDDED, say, weights=False), say)


def row_lengths(records: Iterable[Record], tokenizer: Any) -> list[int]:
    """Tokens of each whole row in the project's template with tools as signatures; a model's own template differs by a
    few tokens a turn."""
    template = project_template(tokenizer, "signature")
    counts: list[int] = []
    coming = iter(records)
    while part := list(islice(coming, 256)):
        texts = [apply(template, tokenizer, r.messages, r.tools, generation_prompt=False) for r in part]
        counts += [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    return counts


def json_lengths(records: Iterable[Record], lengths: Sequence[int], tokenizer: Any) -> list[int]:
    """`row_lengths` where tools are written as JSON: the rows are not tokenised again, each different tool is once.

    Args:
        lengths: of the rows with tools as signatures.
    """

    @lru_cache(TOOLS)
    def longer(tool: str) -> int:
        lines = [f"{tool}\n", f"{signature(json.loads(tool)['function'])}\n"]
        schema, line = tokenizer(lines, add_special_tokens=False)["input_ids"]
        return len(schema) - len(line)

    return [
        length + sum(longer(dump_json(tool)) for tool in record.tools)
        for record, length in zip(records, lengths, strict=True)
    ]


def summarised(counts: Sequence[int]) -> dict[str, Any]:
    counts = sorted(counts)
    last = len(counts) - 1
    return {
        "median": counts[last // 2],
        "p95": counts[round(0.95 * last)],
        "longest": counts[-1],
        "over": {limit: sum(n > limit for n in counts) for limit in LIMITS},
    }
