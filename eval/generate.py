"""Ask a model for its answers: many at a time, greedy.

On a CPU `eval.decoding` reads once what prompts have in common. transformers' own generation, which answers on a GPU,
reads every prompt whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eval.decoding import decode, decodes, slots_that_fit


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

    The longest prompts come first, so that an out-of-memory shows at once and little is padding. On a CPU the answers
    come from `eval.decoding` where that knows the model, else (and for a batch of 1) from transformers.

    Args:
        model: in evaluation mode, with `generate`.
        batch: prompts at a time; `usual_batch` where nobody says.
        done: told each prompt's number and output when it, or its batch, is finished.
    """
    outputs: dict[int, Output] = {}

    def ended(i: int, new: list[int]) -> None:
        outputs[i] = _read(tokenizer, new)
        done(i, outputs[i])

    _answer(model, tokenizer, prompts, max_new_tokens, batch, ended)
    return [outputs[i] for i in range(len(prompts))]


def usual_batch(model: Any, prompts: Sequence[list[int]], *, max_new_tokens: int) -> int:
    """How many prompts to answer at a time where nobody says: 16, or on a CPU what fits in its memory, at most 64.

    Decoding on a CPU reads all weights for each step; they are read once for all the answers of a batch.
    """
    if not decodes(model):
        return 16
    return min(64, slots_that_fit(model, max(map(len, prompts)) + max_new_tokens))


TIE = 0.5
"""Logits. Two tokens closer than this may swap places when a batch's shape changes the order of rounding."""


def safe_batch(
    model: Any, tokenizer: Any, prompts: Sequence[list[int]], *, batch: int, warn: Callable[[str], None]
) -> int:
    """The batch size to generate with: `batch`, or 1 where a batch of four changes what the model writes.

    Left padding has broken batched generation in several releases of the libraries; four prompts of different lengths
    show it in seconds, and on a CPU hold `eval.decoding` to what transformers writes. A first difference between two
    tokens that are as good as tied (`TIE`) is rounding, not a fault.
    """
    if batch == 1 or len(prompts) < 4:
        return batch
    spread = sorted(prompts, key=len)
    chosen = [spread[i * (len(spread) - 1) // 3] for i in range(4)]
    together: dict[int, list[int]] = {}
    _answer(model, tokenizer, chosen, 16, 4, together.__setitem__)
    for i, prompt in enumerate(chosen):
        if not _agree(_run(model, tokenizer, [prompt], 16), len(prompt), together[i]):
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


def _answer(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    batch: int,
    ended: Callable[[int, list[int]], None],
) -> None:
    """Tell `ended` each prompt's number and new tokens, up to the end token."""
    if batch > 1 and decodes(model):
        end = tokenizer.eos_token_id
        decode(model, prompts, end=end, max_new_tokens=max_new_tokens, slots=batch, done=ended)
        return
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    for start in range(0, len(order), batch):
        numbers = order[start : start + batch]
        longest = len(prompts[numbers[0]])
        sequences = _run(model, tokenizer, [prompts[i] for i in numbers], max_new_tokens, scores=False).sequences
        for i, row in zip(numbers, sequences[:, longest:].tolist(), strict=True):
            ended(i, _until(row, tokenizer.eos_token_id))


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
        repetition_penalty=1.0,  # else the model's own applies (Qwen2.5 brings one), and a call must repeat the prompt
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        return_dict_in_generate=True,
        output_scores=scores,
    )
    device = next(model.parameters()).device
    with torch.no_grad():
        return model.generate(input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=config)


def _until(new: list[int], end: int) -> list[int]:
    return new[: new.index(end) + 1] if end in new else new


def _read(tokenizer: Any, new: list[int]) -> Output:
    text = tokenizer.decode(new, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return Output(text, len(new), truncated=tokenizer.eos_token_id not in new)
