"""Ask a model for its answers: batched, left-padded, greedy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Output:
    """What a model wrote for one prompt.

    Attributes:
        text: decoded with its special tokens, the end token included if it came.
        tokens: how many were generated.
        truncated: no end token within the limit.
    """

    text: str
    tokens: int
    truncated: bool


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    max_new_tokens: int,
    batch: int,
    done: Callable[[int, Output], None] = lambda i, output: None,
) -> list[Output]:
    """Greedy answers to `prompts` (token ids), in their order.

    Prompts are taken by length, longest first, so that an out-of-memory shows at once and little is padding.

    Args:
        model: in evaluation mode, with `generate`.
        done: told each prompt's number and output when its batch is finished.
    """
    outputs: dict[int, Output] = {}
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    for start in range(0, len(order), batch):
        numbers = order[start : start + batch]
        for i, output in zip(
            numbers, _batch(model, tokenizer, [prompts[i] for i in numbers], max_new_tokens), strict=True
        ):
            outputs[i] = output
            done(i, output)
    return [outputs[i] for i in range(len(prompts))]


TIE = 0.5
"""Logits. Two tokens closer than this may swap places when a batch's shape changes the order of rounding."""


def safe_batch(
    model: Any, tokenizer: Any, prompts: Sequence[list[int]], *, batch: int, warn: Callable[[str], None]
) -> int:
    """The batch size to generate with: `batch`, or 1 where a batch of four changes what the model writes.

    Left padding has broken batched generation in several releases of the libraries; four prompts of different lengths
    show it in seconds. A first difference between two tokens that are as good as tied (`TIE`) is rounding, not a fault.
    """
    if batch == 1 or len(prompts) < 4:
        return batch
    spread = sorted(prompts, key=len)
    chosen = [spread[i * (len(spread) - 1) // 3] for i in range(4)]
    together = [row.tolist() for row in _run(model, tokenizer, chosen, 16).sequences]
    for prompt, row in zip(chosen, together, strict=True):
        alone = _run(model, tokenizer, [prompt], 16)
        if not _agree(alone, len(prompt), row[max(map(len, chosen)) :]):
            warn("a batch of 4 prompts gives other answers than the prompts one by one: generating one by one (slower)")
            return 1
    return batch


def _agree(alone: Any, start: int, batched: list[int]) -> bool:
    """Whether the batched answer follows the single one up to a tie. `alone` holds sequences and scores of one row."""
    for step, (token, other) in enumerate(zip(alone.sequences[0, start:].tolist(), batched, strict=False)):
        if token != other:
            scores = alone.scores[step][0]
            return bool(scores[token] - scores[other] < TIE)
    return True


def _batch(model: Any, tokenizer: Any, prompts: list[list[int]], max_new_tokens: int) -> list[Output]:
    longest = max(map(len, prompts))
    sequences = _run(model, tokenizer, prompts, max_new_tokens, scores=False).sequences
    return [_read(tokenizer, row[longest:].tolist()) for row in sequences.cpu()]


def _run(model: Any, tokenizer: Any, prompts: list[list[int]], max_new_tokens: int, *, scores: bool = True) -> Any:
    """transformers' generation output: `sequences` [rows, longest + new] and, a step, `scores` [rows, vocabulary]."""
    import torch
    from transformers import GenerationConfig

    longest = max(map(len, prompts))
    ids = torch.tensor([[tokenizer.pad_token_id] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        use_cache=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        return_dict_in_generate=True,
        output_scores=scores,
    )
    device = next(model.parameters()).device
    with torch.no_grad():
        return model.generate(input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=config)


def _read(tokenizer: Any, new: list[int]) -> Output:
    ended = tokenizer.eos_token_id in new
    if ended:
        new = new[: new.index(tokenizer.eos_token_id) + 1]
    text = tokenizer.decode(new, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return Output(text, len(new), not ended)
