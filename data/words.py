"""Why a row is refused and what records lose of their rows, in Korean and English."""

from pathlib import Path
from typing import Any

from tooltune.errors import InputError
from tooltune.words import read_words, speaker

_WORDS = Path(__file__).with_name("words.yaml")
phrase = speaker(_WORDS)


def has_words(key: str) -> bool:
    return key in read_words(_WORDS)


def fault(key: str, /, where: str = "", **values: Any) -> InputError:
    """What is wrong with a row; what to do about it has the same key with `.fix` behind it, where there is advice."""
    fix = f"{key}.fix"
    advice = phrase(fix, **values) if has_words(fix) else ""
    return InputError(phrase(key, **values), where=where, fix=advice)
