"""Sentences in Korean and English. A `words.yaml` has both; the terminal shows one, a page the one of its reader."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

if TYPE_CHECKING:
    from rich.text import Text

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = ("ko", "en")
"""In the order in which a `words.yaml` has them."""

Say = Callable[[Any], None]
"""What is told a line, a phrase or a text."""


@cache
def read_words(path: Path) -> dict[str, list[str]]:
    """Key → [Korean, English], as a `words.yaml` has them; `{…}` in them are filled in by the code."""
    read: dict[str, list[str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return read


@dataclass(frozen=True)
class Phrase:
    """A sentence with its values; a value may be a phrase itself."""

    both: Sequence[str]
    values: Mapping[str, Any] = field(default_factory=dict)

    def text(self, lang: Language, escape: Callable[[str], str] = str) -> str:
        """The sentence in one language. Values pass through `escape`, but for numbers: these have their format in the
        sentence. The project's own words do not."""
        filled = {
            name: value if isinstance(value, int | float) else in_language(value, lang, escape)
            for name, value in self.values.items()
        }
        return self.both[LANGUAGES.index(lang)].format(**filled)

    def __str__(self) -> str:
        """The sentence in English, for what prints it without a language: a script, a log, a test."""
        return self.text("en")

    def __rich__(self) -> "Text":
        """The same, on a console without a language: rich would show the fields of the object."""
        from rich.text import Text

        return Text(str(self))

    def __html__(self) -> str:
        """Both languages as two spans, of which the page shows one."""
        from tooltune.page import in_both
        from tooltune.page.text import short

        return in_both(*(self.text(lang, short) for lang in LANGUAGES))


def speaker(path: Path) -> Callable[..., Phrase]:
    """What makes the phrase of a key of that `words.yaml` and its values."""

    def phrase(key: str, /, **values: Any) -> Phrase:
        return Phrase(read_words(path)[key], values)

    return phrase


def joined(values: Sequence[Any], by: str = "; ") -> Phrase:
    """Phrases, or other values, one after the other."""
    return Phrase([by.join(f"{{v{i}}}" for i in range(len(values)))] * 2, {f"v{i}": v for i, v in enumerate(values)})


def to_data(value: Any) -> Any:
    """A phrase, or any other value, as JSON has it."""
    if isinstance(value, Phrase):
        return {"both": [*value.both], "values": {name: to_data(v) for name, v in value.values.items()}}
    return value if isinstance(value, int | float) else str(value)


def from_data(data: Any) -> Any:
    """What `to_data` was given, text in place of other objects."""
    if isinstance(data, dict):
        return Phrase(data["both"], {name: from_data(value) for name, value in data["values"].items()})
    return data


def in_language(value: Any, lang: Language, escape: Callable[[str], str] = str) -> str:
    """A phrase in one language, or any other value as escaped text."""
    return value.text(lang, escape) if isinstance(value, Phrase) else escape(str(value))


def saying(say: Callable[[str], None], lang: Language) -> Say:
    return lambda line: say(in_language(line, lang))


def system_language() -> Language:
    """Korean where the system speaks it: Windows' display language, or LC_ALL, LC_MESSAGES, LANG elsewhere."""
    if sys.platform == "win32":
        import ctypes

        return "ko" if ctypes.windll.kernel32.GetUserDefaultUILanguage() & 0x3FF == 0x12 else "en"
    said = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "ko" if said.startswith("ko") else "en"
