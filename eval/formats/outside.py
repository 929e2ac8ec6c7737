"""What surrounds an answer: byte-order marks, end-of-sequence tokens, reasoning (parsing policy, rule 1)."""

import re
from bisect import bisect_right

END_TOKENS = (
    "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|eom|>", "</s>",
    "<eos>", "<end_of_turn>", "<turn|>", "<|end|>", "<|return|>", "<|call|>", "<|message_sep|>", "<|endofturn|>",
    "[|endofturn|]", "[EOS]", "<｜end▁of▁sentence｜>", "<|end_of_sentence|>", "<|END_OF_TURN_TOKEN|>", "<seed:eos>",
    "[e~[", "<|assistant_end|>", "<|user|>", "<|observation|>", "<start_function_response>", "<|tool_response>",
    "<SPECIAL_12>", "<|stop|>", "<|eos|>", "<|pad|>", "<pad>", "[PAD]", "<|finetune_right_pad_id|>",
    "<|plamo:tag|>",
)  # fmt: skip
"""Tokens that end a turn or fill a batch, of all families."""

_GOES_ON = ("<|end|>", "<|call|>", "<|message_sep|>", "<|plamo:tag|>", "<|pad|>", "<pad>", "[PAD]",
            "<|finetune_right_pad_id|>")  # fmt: skip
"""Those of them behind which some families' answers go on."""
_ENDS = re.compile(
    f"(?:{'|'.join(re.escape(token) for token in END_TOKENS if token not in _GOES_ON)})"
    r"(?<!</s>(?=[^\S\n]?[^\s<\[]))"  # also HTML: `<s>old</s> new` is text that goes on
    r"(?!\s?<\|im_start\|>assistant ?-> tool/)"  # HyperCLOVA X: the call is a turn of its own
)

_REASONING = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",  # EXAONE Deep
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|channel>thought": "<channel|>",
    "<|plamo:begin_think:plamo|>": "<|plamo:end_think:plamo|>",
}
_INVISIBLE = "\ufeff\u200b\u2060"
_TAG = re.compile("|".join(re.escape(tag) for pair in _REASONING.items() for tag in pair))
_FIRST_TAG = re.compile(r"[Tt]hink|THINK|inner_|channel|thought>|reasoning>")


def trim(text: str) -> str:
    """Take off the byte-order mark and the white space at both ends, and all end tokens at the end."""
    start, end = 0, len(text)
    while start < end and (text[start] in _INVISIBLE or (text[start].isspace() and text[start] not in " \n")):
        start += 1
    while end > start:
        if text[end - 1].isspace():
            end -= 1
        elif text[end - 1] in ">][" and text.endswith(END_TOKENS, start, end):
            end -= next(len(token) for token in END_TOKENS if text.endswith(token, start, end))
        else:
            break
    return text[start:end]


def cut_run_on(text: str, calls: list[tuple[int, int]]) -> str | None:
    """The text up to the token that ends the answer, where more was written behind it; None where there is no more.

    Args:
        calls: as in `cut_reasoning`.
    """
    starts = [start for start, _ in calls]
    begins = len(text) - len(text.lstrip())
    for end in _ENDS.finditer(text, begins + 1):
        at = bisect_right(starts, end.start()) - 1
        if not (at >= 0 and end.start() < calls[at][1]):
            return trim(text[: end.start()])
    return None


def has_reasoning(text: str) -> bool:
    """A quick look that spares ordinary answers the rest of this module."""
    return _FIRST_TAG.search(text) is not None


def skip_reasoning(text: str) -> tuple[int, bool]:
    """Where the answer starts behind leading reasoning blocks, and whether the last block was never closed."""
    pos = 0
    while True:
        start = len(text) - len(text[pos:].lstrip()) if pos < len(text) else pos
        opened = next((tag for tag in _REASONING if text.startswith(tag, start)), None)
        if opened is None:
            return pos, False
        close = text.find(_REASONING[opened], start + len(opened))
        if close < 0:
            return len(text), True
        pos = close + len(_REASONING[opened])


def cut_reasoning(text: str, calls: list[tuple[int, int]]) -> tuple[str, bool] | None:
    """The text without reasoning further in, and whether that was never closed; None when there is none.

    A lone close tag ends reasoning that the prompt opened: everything before the last such tag goes.

    Args:
        calls: spans of calls that were read; a tag inside one is a character string and nothing else.
    """
    starts = [start for start, _ in calls]
    cuts: list[tuple[int, int]] = []
    opened: int | None = None
    for tag in _TAG.finditer(text):
        at = bisect_right(starts, tag.start()) - 1
        if at >= 0 and tag.start() < calls[at][1]:
            continue
        if tag.group() in _REASONING:
            opened = tag.start() if opened is None else opened
        elif opened is not None:
            cuts.append((opened, tag.end()))
            opened = None
        else:
            cuts = [(0, tag.end())]
    if opened is not None:
        cuts.append((opened, len(text)))
    if not cuts:
        return None
    pieces, at = [], 0
    for start, end in cuts:
        pieces.append(text[at:start])
        at = end
    pieces.append(text[at:])
    return "\n".join(pieces).strip(), opened is not None
