"""Ask a model for its answers: many at a time, greedy.

What prompts begin with alike is read once (`eval.prefixes`): on a CPU by `eval.cpu_decoding`, at every level of
sharing; by transformers' own generation, which answers on a GPU, as far as all the prompts of a batch have it. Where
memory runs out, fewer prompts at a time are tried.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from eval.cpu_decoding import Restrict, decode, decodes, read_beginning, slots_that_fit
from eval.load import compute_device
from eval.memory import MOST, rows_for, tokens_kept
from eval.prefixes import Beginning, batches, common_tokens, prefixes_hold, read_by_transformers
from eval.shortage import NoRoom, is_shortage, release
from eval.words import phrase
from tooltune.words import Say

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
    kept: Beginning | None = None,
    restrict: Restrict | None = None,
) -> list[Output]:
    """Greedy answers to `prompts` (token ids), in their order.

    The longest prompt comes first, so that an out-of-memory shows at once. On a CPU the answers come from
    `eval.cpu_decoding` where that knows the model, else from transformers. A batch of 1 is transformers' alone and
    reads every prompt whole, unless `kept` is given.

    Where memory runs out, what is answered stays, and the others are asked half as many at a time.

    Args:
        model: in evaluation mode, with `generate`.
        batch: prompts at a time; `usual_batch` where nobody says.
        done: told each prompt's number and output when it, or its batch, is finished.
        shrunk: `say_shrunk`, or a function like it; None: a shortage of memory is the caller's.
        kept: what the model has read before, of `begin`.
        restrict: rules out tokens, for example those that break a call's schema (`eval.constrained`).

    Raises:
        NoRoom: memory ran out with a single prompt.
    """
    outputs: dict[int, Output] = {}

    def ended(i: int, new: list[int]) -> None:
        outputs[i] = _read(tokenizer, new)
        done(i, outputs[i])

    _answer(model, tokenizer, prompts, max_new_tokens, batch, ended, shrunk, kept, restrict)
    return [outputs[i] for i in range(len(prompts))]


def begin(model: Any, tokens: list[int]) -> Beginning | None:
    """Let the model read what prompts begin with, once for all of them; None where it cannot go on from there.

    What is more than `tokens_kept` is left out, and read with each prompt.

    Raises:
        NoRoom: memory ran out.
    """
    if not tokens or not prefixes_hold(model):
        return None
    tokens = tokens[: tokens_kept(model)]
    with _one_at_least(1, len(tokens), 0):
        return read_beginning(model, tokens) if decodes(model) else read_by_transformers(model, tokens)


def say_shrunk(say: Say) -> Shrunk:
    return lambda before, now: say(phrase("memory.short", before=before, now=now))


def usual_batch(model: Any, prompts: Sequence[list[int]], *, max_new_tokens: int) -> int:
    """How many prompts to answer at a time where nobody says: what fits in the memory that is free, at most 64.

    Decoding reads all weights for each step; they are read once for all the answers of a batch.
    """
    longest = max(map(len, prompts))
    if decodes(model):
        return min(MOST, slots_that_fit(model, longest + max_new_tokens))
    if compute_device(model).type != "cuda":
        return 16
    return rows_for(model, longest, max_new_tokens, common_tokens(prompts) if prefixes_hold(model) else 0)


TIE = 0.5
"""Logits. Two tokens closer than this may swap places when a batch's shape changes the order of rounding."""


def safe_batch(model: Any, tokenizer: Any, prompts: Sequence[list[int]], *, batch: int, warn: Say) -> int:
    """The batch size to generate with: `batch`, or 1 where a batch of four changes what the model writes.

    Left padding has broken batched generation in several releases of the libraries; four prompts of different lengths
    (asked two at a time where `batch` is 2) show it in seconds, and on a CPU hold `eval.cpu_decoding` to what
    transformers writes. A first difference between two tokens that are as good as tied (`TIE`) is rounding, no
    fault.
    """
    if batch == 1 or len(prompts) < 4:
        return batch
    by_length = sorted(prompts, key=len)
    chosen = [by_length[i * (len(by_length) - 1) // 3] for i in range(4)]
    together: dict[int, list[int]] = {}
    _answer(model, tokenizer, chosen, 16, min(batch, 4), together.__setitem__, say_shrunk(warn))
    for i, prompt in enumerate(chosen):
        if not _agree(_run(model, tokenizer, [prompt], 16), len(prompt), together[i]):
            warn(phrase("batch.differs"))
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
    kept: Beginning | None = None,
    restrict: Restrict | None = None,
) -> None:
    """Tell `ended` each prompt's number and new tokens, up to the end token; halve the batch where memory runs out."""
    left = dict(enumerate(prompts))

    def answered(i: int, new: list[int]) -> None:
        del left[i]
        ended(i, new)

    while left:
        batch = min(batch, len(left))
        try:
            _ask(model, tokenizer, dict(left), max_new_tokens, batch, answered, kept, restrict)
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
    kept: Beginning | None,
    restrict: Restrict | None,
) -> None:
    numbers, texts = list(prompts), list(prompts.values())
    if (batch > 1 or kept) and decodes(model):
        with _one_at_least(batch, max(map(len, texts)), max_new_tokens):
            decode(
                model,
                texts,
                end=tokenizer.eos_token_id,
                max_new_tokens=max_new_tokens,
                slots=batch,
                done=lambda k, new: ended(numbers[k], new),
                kept=kept,
                restrict=_renumbered(restrict, numbers),
            )
        return
    end = tokenizer.eos_token_id
    for part in batches(texts, batch, shared=batch > 1 and prefixes_hold(model)):
        asked = [texts[k] for k in part]
        told = _renumbered(restrict, [numbers[k] for k in part])
        sequences = _run(model, tokenizer, asked, max_new_tokens, scores=False, kept=kept, restrict=told).sequences
        for k, row in zip(part, sequences[:, max(map(len, asked)) :].tolist(), strict=True):
            ended(numbers[k], row[: row.index(end) + 1] if end in row else row)


def _renumbered(restrict: Restrict | None, numbers: Sequence[int]) -> Restrict | None:
    """As `restrict`, for who counts the prompts from 0: `numbers` has the number of each."""
    if restrict is None:
        return None
    return lambda logits, places, answers: restrict(logits, [numbers[place] for place in places], answers)


def _drop_decode_buffers(model: Any) -> None:
    """Unsloth's decoding keeps each layer's keys and values on the layer until the next prompts are read."""
    for module in model.modules():
        for name in ("paged_attention", "paged_attention_K", "paged_attention_V"):
            module.__dict__.pop(name, None)


def _run(
    model: Any,
    tokenizer: Any,
    prompts: list[list[int]],
    max_new_tokens: int,
    *,
    scores: bool = True,
    kept: Beginning | None = None,
    restrict: Restrict | None = None,
) -> Any:
    """transformers' generation output: `sequences` [rows, longest + new], and `scores` [rows, vocabulary] of each step.

    What all prompts of a batch begin with is read once; a single prompt is read whole, but for what is `kept`.

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
    with _one_at_least(len(prompts), longest, max_new_tokens), torch.no_grad():
        more = _begun(model, prompts, kept) | (_processors(restrict, longest) if restrict else {})
        return model.generate(
            input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=config, **more
        )


def _processors(restrict: Restrict, start: int) -> dict[str, Any]:
    """The argument of `generate` that asks `restrict` before each token; answers start behind `start` tokens."""
    from transformers import LogitsProcessorList

    def process(ids: Any, scores: Any) -> Any:
        restrict(scores, range(len(ids)), ids[:, start:].tolist())
        return scores

    return {"logits_processor": LogitsProcessorList([process])}


@contextmanager
def _one_at_least(rows: int, longest: int, new: int) -> Iterator[None]:
    """Where memory runs out with a single row, a `NoRoom` says so; with more rows, fewer can be asked."""
    try:
        yield
    except Exception as e:
        if rows > 1 or not is_shortage(e):
            raise
        raise NoRoom(
            f"out of memory with a single prompt of {longest} tokens and up to {new} new ones",
            "shorten the prompt (fewer tools: data.max_tools), ask for fewer new tokens (eval.max_new_tokens), or "
            "close other programs that use memory",
        ) from e


def _begun(model: Any, prompts: list[list[int]], kept: Beginning | None) -> dict[str, Any]:
    """The argument of `generate` that holds what all prompts begin with; none where that is too little to share."""
    if not kept and len(prompts) > 1 and prefixes_hold(model):
        kept = begin(model, prompts[0][: common_tokens(prompts)])
    cache = kept.cache(model, prompts) if kept else None
    return {"past_key_values": cache} if cache else {}


def _read(tokenizer: Any, new: list[int]) -> Output:
    text = tokenizer.decode(new, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return Output(text, len(new), truncated=tokenizer.eos_token_id not in new)
