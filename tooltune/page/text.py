"""Text of models and users made fit to be shown: nothing invisible, nothing endless."""

import json
import unicodedata
from typing import Any

MAX_TEXT = 4000
"""Characters of one text that the page carries; what lies beyond is counted, not shown."""

MAX_VALUE = 300
"""Characters of one argument's value."""

MAX_NAME = 80
"""Characters of a name: a tool, a bucket, a phenomenon; as many as the scores keep."""

_JOINER = "\u200d"
"""Holds composed emoji together; the one invisible character that is left alone."""


def visible(text: str) -> str:
    """Control, direction and zero-width characters and lone surrogates written out, as ‹U+202E›.

    They would otherwise hide or reorder what the model wrote; surrogates could not even be saved.
    """
    return "".join(f"‹U+{ord(c):04X}›" if _hidden(c) else c for c in text.replace("\r\n", "\n"))


def shorten(text: str, limit: int = MAX_TEXT) -> tuple[str, int]:
    """The text made visible, cut to `limit` characters of its own, and how many were left out."""
    return visible(text[:limit]), max(0, len(text) - limit)


def short(text: str, limit: int = MAX_VALUE) -> str:
    """The text made visible, with an ellipsis where it was cut to `limit` characters."""
    return visible(text if len(text) <= limit else text[: limit - 1] + "…")


def value_text(value: Any) -> str:
    """A value as JSON; what was too deep to compare as an ellipsis."""
    return short(json.dumps(value, ensure_ascii=False, default=lambda _: "…"))


def one_line(text: str, limit: int = MAX_TEXT) -> str:
    """The text made visible, on one line, cut in the middle: its own newlines as ↵, so that none passes for ours."""
    cut = text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}"
    return visible(cut).replace("\n", "↵")


def shown_json(value: Any, indent: int | None = None) -> str:
    """JSON for a terminal or a program: the same values, with escapes for what `visible` writes out."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return "".join(json.dumps(c)[1:-1] if _hidden(c) else c for c in text)


def script_json(value: Any) -> str:
    """JSON that cannot end or change the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for c in "<>&\u2028\u2029":
        text = text.replace(c, f"\\u{ord(c):04x}")
    return text


def _hidden(c: str) -> bool:
    if c in "\n\t" or c == _JOINER:
        return False
    return unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
