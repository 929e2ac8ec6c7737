"""Ask a model for its answers: many at a time, greedy.

On a CPU `eval.decoding` reads once what prompts have in common. transformers' own generation, which answers on a GPU,
reads every prompt whole. Where memory runs out, fewer prompts at a time are tried.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eval.decoding import decode, decodes, slots_that_fit
from eval.load import compute_device
from eval.memory import MOST, rows_for
from eval.shortage import NoRoom, is_shortage, release

Shrunk = Callable[[int, int], None]
"""Told how many prompts were asked at a time when memory ran out, and how many are asked from now on."""


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
    shrunk: Shrunk | None = None,
) -> list[Output]:
    """Greedy answers to `prompts` (token ids), in their order.

    The longest prompts come first, so that an out-of-memory shows at once and little is padding. On a CPU the answers
    come from `eval.decoding` where that knows the model, else (and for a batch of 1) from transformers.

    Where memory runs out, what is answered stays, and the others are asked half as many at a time.

    Args:
        model: in evaluation mode, with `generate`.
        batch: prompts at a time; `usual_batch` where nobody says.
        done: told each prompt's number and output when it, or its batch, is finished.
        shrunk: `saying`, or a function like it; None: a shortage of memory is the caller's.

    Raises:
        NoRoom: memory ran out with a single prompt.
    """
    outputs: dict[int, Output] = {}

    def ended(i: int, new: list[int]) -> None:
        outputs[i] = _read(tokenizer, new)
        done(i, outputs[i])

    _answer(model, tokenizer, prompts, max_new_tokens, batch, ended, shrunk)
    return [outputs[i] for i in range(len(prompts))]


def saying(say: Callable[[str], None]) -> Shrunk:
    """A `shrunk` that says one line."""
    return lambda before, now: say(f"out of memory: answering {now} prompts at a time instead of {before}")


def usual_batch(model: Any, prompts: Sequence[list[int]], *, max_new_tokens: int) -> int:
    """How many prompts to answer at a time where nobody says: what fits in the memory that is free, at most 64.

    Decoding reads all weights for each step; they are read once for all the answers of a batch.
    """
    longest = max(map(len, prompts))
    if decodes(model):
        return min(MOST, slots_that_fit(model, longest + max_new_tokens))
    return rows_for(model, longest, max_new_tokens) if compute_device(model).type == "cuda" else 16


TIE = 0.5
"""Logits. Two tokens closer than this may swap places when a batch's shape changes the order of rounding."""


def safe_batch(
    model: Any, tokenizer: Any, prompts: Sequence[list[int]], *, batch: int, warn: Callable[[str], None]
) -> int:
    """The batch size to generate with: `batch`, or 1 where a batch of four changes what the model writes.

    Left padding has broken batched generation in several releases of the libraries; four prompts of different lengths
    (asked two at a time where `batch` is 2) show it in seconds, and on a CPU hold `eval.decoding` to what transformers
    writes. A first difference between two tokens that are as good as tied (`TIE`) is rounding, not a fault.
    """
    if batch == 1 or len(prompts) < 4:
        return batch
    spread = sorted(prompts, key=len)
    chosen = [spread[i * (len(spread) - 1) // 3] for i in range(4)]
    together: dict[int, list[int]] = {}
    _answer(model, tokenizer, chosen, 16, min(batch, 4), together.__setitem__, saying(warn))
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
    shrunk: Shrunk | None,
) -> None:
    """Tell `ended` each prompt's number and new tokens, up to the end token; halve the batch where memory runs out."""
    left = dict(enumerate(prompts))

    def answered(i: int, new: list[int]) -> None:
        del left[i]
        ended(i, new)

    while left:
        batch = min(batch, len(left))
        try:
            _ask(model, tokenizer, dict(left), max_new_tokens, batch, answered)
        except Exception as e:
            if shrunk is None or batch == 1 or not is_shortage(e):
                raise
        else:
            return
        _drop_decode_buffers(model)
        release()  # here the error is gone, and with it the frames that held the batch
        shrunk(batch, batch // 2)
        batch //= 2


def _ask(
    model: Any,
    tokenizer: Any,
    prompts: dict[int, list[int]],
    max_new_tokens: int,
    batch: int,
    ended: Callable[[int, list[int]], None],
) -> None:
    """Ask every prompt, `batch` at a time."""
    if batch > 1 and decodes(model):
        numbers, texts = list(prompts), list(prompts.values())
        end = tokenizer.eos_token_id
        decode(
            model,
            texts,
            end=end,
            max_new_tokens=max_new_tokens,
            slots=batch,
            done=lambda k, new: ended(numbers[k], new),
        )
        return
    order = sorted(prompts, key=lambda i: -len(prompts[i]))
    for start in range(0, len(order), batch):
        asked = order[start : start + batch]
        longest = len(prompts[asked[0]])
        sequences = _run(model, tokenizer, [prompts[i] for i in asked], max_new_tokens, scores=False).sequences
        for i, row in zip(asked, sequences[:, longest:].tolist(), strict=True):
            ended(i, _until(row, tokenizer.eos_token_id))


def _drop_decode_buffers(model: Any) -> None:
    """Unsloth's decoding keeps each layer's keys and values on the layer until the next prompts are read."""
    for module in model.modules():
        for name in ("paged_attention", "paged_attention_K", "paged_attention_V"):
            module.__dict__.pop(name, None)


def _run(model: Any, tokenizer: Any, prompts: list[list[int]], max_new_tokens: int, *, scores: bool = True) -> Any:
    """transformers' generation output: `sequences` [rows, longest + new] and, a step, `scores` [rows, vocabulary].

    Raises:
        NoRoom: memory ran out with one prompt.
    """
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
    device = compute_device(model)
    try:
        with torch.no_grad():
            return model.generate(input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=config)
    except Exception as e:
        if len(prompts) > 1 or not is_shortage(e):
            raise
        raise NoRoom(
            f"out of memory with a single prompt of {longest} tokens and up to {max_new_tokens} new ones",
            "shorten the prompt (fewer tools: data.max_tools), ask for fewer new tokens (eval.max_new_tokens), or "
            "close what else uses the memory",
        ) from e


def _until(new: list[int], end: int) -> list[int]:
    return new[: new.index(end) + 1] if end in new else new


def _read(tokenizer: Any, new: list[int]) -> Output:
    text = tokenizer.decode(new, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return Output(text, len(new), truncated=tokenizer.eos_token_id not in new)
