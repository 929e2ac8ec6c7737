"""What a row or a turn says of itself: whether it is trained, and whether it is right. One table of the spellings that
trainers and data sets use; capitals, hyphens and `is_` before them do not matter."""

import math
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Literal

from data.formats.literals import excerpt
from data.words import fault

_TABLE = {
    # 1 or true where a turn is trained; a record has the first, and only as false
    "trained": "trained trainable train training train_on_turn loss weight loss_weight loss_scale loss_mask"
    " step_loss_mask",
    # 1 or true where it is left out
    "masked": "masked ignore ignore_loss no_loss skip exclude",
    # whether an answer is a good one
    "labels": "label kto_tag correct correctness good valid success passed accepted resolved",
    # words in other keys that seem to say the same
    "leaving out": "mask masks masked ignore ignored skip skipped exclude excluded",
    "training": "train trained training trainable loss weight weights",
    "judging": "score scores reward rewards rating ratings grade feedback verdict quality",
    # what a label says of a bad answer
    "bad": "bad poor dislike disliked thumbs_down downvote"
    " rejected undesirable negative incorrect wrong fail failed failure invalid 오답 틀림 나쁨",
}
TRAINED, MASKED, LABELS, _LEAVING_OUT, _TRAINING, _JUDGING, _BAD = (set(keys.split()) for keys in _TABLE.values())
_PREFERENCE = re.compile(r"(chosen|rejected)(_(messages?|responses?|conversations?))?|(non_)?preferred_output")
_WORDS = {"true": 1.0, "yes": 1.0, "y": 1.0, "false": 0.0, "no": 0.0, "n": 0.0}


def is_mark(key: str) -> bool:
    """Whether a key says if a turn, or a row, is trained."""
    return _spelled(key) in TRAINED | MASKED


def verdict(key: str, value: Any) -> Literal["right", "wrong", "score"] | None:
    """What a key says of an answer: that it is right or wrong, or, in other numbers, how good; None for other keys."""
    label = _spelled(key) in LABELS
    if not label and not _words(key) & (_JUDGING | LABELS):
        return None
    number = _number(value)
    said = number if label or _flag(value) is not None else None
    if _spelled(str(value)[:40].strip()) in _BAD or (said is not None and said <= 0):
        return "wrong"
    if said == 1:
        return "right"
    return "score" if number is not None or isinstance(value, list) else None


def is_preference(row: dict[str, Any]) -> bool:
    """Whether a row holds an answer that was chosen or rejected."""
    return any(value is not None and _PREFERENCE.fullmatch(_spelled(key)) for key, value in row.items())


def weight_of(turn: dict[str, Any]) -> float | None:
    """The weight that a turn's marks give it, the smallest where there are several; None without a mark.

    Raises:
        InputError: a mark does not say whether the turn is trained.
    """
    found: list[float] = []
    for key, value in turn.items():
        if value in (None, "", [], {}) or not _words(key) & (_TRAINING | _LEAVING_OUT):
            continue
        number = _number(value)
        if is_mark(key):
            if number is None or not 0 <= number < float("inf"):
                raise fault("mark.value", key=key, value=excerpt(str(value)))
            found.append(number if _spelled(key) in TRAINED else float(not number))
        elif number is not None or not isinstance(value, str):
            raise fault("mark.unclear", key=key)
    return min(found, default=None)


def refuse_wrong(row: dict[str, Any], known: Collection[str]) -> None:
    """Raise InputError for a row that is no example: its answer is marked as a bad one, or it is a pair of answers.

    Keys that the row's format reads (`known`, BFCL's `excluded_function` among them) say something else.
    """
    row = {key: value for key, value in row.items() if key not in known or key == "meta"}
    for said in (row, row.get("meta"), row.get("metadata")):
        refuse_bad(said if isinstance(said, dict) else {})
    for key, value in row.items():
        leaves_out, flag = bool(_words(key) & _LEAVING_OUT), _flag(value)
        parts = isinstance(value, list) and bool(value) and (leaves_out or 0 in map(_number, value))
        guessed = bool(_words(key) & (_TRAINING | _LEAVING_OUT)) and (parts or flag == leaves_out)
        if weight_of({key: value}) == 0 if is_mark(key) else guessed:
            raise fault("row.masked", key=key, value=f"{value!s:.40}")
    if is_preference(row):
        raise fault("row.preference")


def refuse_bad(said: dict[str, Any]) -> None:
    """Raise InputError where a label says that an answer is a bad one."""
    for key, value in said.items():
        if verdict(key, value) == "wrong":
            raise fault("row.bad", key=key, value=f"{value!r:.40}")


def _number(value: Any) -> float | None:
    """A mark as a number, in whatever way tables write it: 0, "0.0", False, "no"; None where it is none."""
    if isinstance(value, str):
        value = _WORDS.get(value.strip().lower(), value)
    try:
        return float(value)
    except OverflowError:  # hundreds of digits
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        return None


def _flag(value: Any) -> float | None:
    """1 or 0 for what says yes or no, in words; None for anything else."""
    return float(value) if isinstance(value, bool) else _WORDS.get(str(value).strip().lower())


@lru_cache(maxsize=4096)
def _spelled(key: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[- ]", "_", key).lower().removeprefix("is_")


def _words(key: str) -> set[str]:
    return set(_spelled(key).split("_"))
