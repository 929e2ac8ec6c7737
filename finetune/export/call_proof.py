"""The proof that llama.cpp's own parser reads calls as the model was trained to write them.

Where it does not, a server hands out calls as text. The model has no part in this: the trained answer is given to the
server as the beginning of its answer, and the end token is made certain.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from data.record import Record, calls_of
from data.render import answers, render
from eval.endpoint.answers import read_message, request
from eval.parsed import ToolCall
from finetune.export.llama_cpp import post
from tooltune.errors import JobFailed

if TYPE_CHECKING:
    from eval.trained import Trained

CERTAIN = 1000.0
"""Added to the logit of the end token."""


def calling(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if calls_of(record.messages[-1])]


def prove_calls(trained: "Trained", records: Iterable[Record], url: str) -> None:
    """Have llama.cpp read the trained answer of each row, and hold its calls to the row's.

    Args:
        records: whose answers are calls.
        url: of a server that has the run's GGUF.

    Raises:
        JobFailed: one is read otherwise, or not at all.
    """
    tokenizer = trained.tokenizer
    for record in records:
        *_, answer = answers(record, tokenizer, trained.template)
        written = answer.text.removesuffix(tokenizer.eos_token)
        body = request(record)
        body["messages"] = [*body["messages"], {"role": "assistant", "content": written}]
        settled = {"max_tokens": 1, "temperature": 0, "logit_bias": [[tokenizer.eos_token_id, CERTAIN]]}
        message = post(url, "/v1/chat/completions", body | settled)["choices"][0]["message"]
        wanted = [ToolCall(call["name"], call["arguments"]) for call in calls_of(record.messages[-1])]
        if (found := read_message(message).calls) != wanted:
            raise JobFailed(
                f"llama.cpp does not read calls as {trained.template.family} writes them: row {record.id}, "
                f"{written[:200]!r}, read as {found}",
                "python -m finetune export RUN --to vllm serves it; --no-proof writes a GGUF all the same",
            )


def context_for(trained: "Trained", records: Sequence[Record]) -> int:
    """Tokens that a server needs to have for these rows."""
    return max(len(render(record, trained.tokenizer, trained.template).input_ids) for record in records) + 16
