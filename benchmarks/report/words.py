"""What the reports say, in Korean and English."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from tooltune.metrics import BY_KIND, names
from tooltune.page import in_both, read_words
from tooltune.page.text import short

LANGUAGES = ("ko", "en")


@cache
def words() -> dict[str, list[str]]:
    """Key → [Korean, English], as `words.yaml` has them, and the names of metrics."""
    rates = names("rate.", ("tool_name_accuracy", *BY_KIND, "json_validity"))
    return rates | read_words(Path(__file__).with_name("words.yaml"))


@dataclass(frozen=True)
class Phrase:
    """A sentence of `words.yaml` with its values; a value may be a phrase itself."""

    key: str
    values: Mapping[str, Any]

    def text(self, lang: str, escape: Callable[[str], str] = short) -> str:
        """The sentence in one language; values pass through `escape`, the project's own words do not."""
        filled = {name: render(value, lang, escape) for name, value in self.values.items()}
        return words()[self.key][LANGUAGES.index(lang)].format(**filled)

    def __html__(self) -> Markup:
        """Both languages as two spans, of which the page shows one."""
        return in_both(*(Markup(self.text(lang, _html)) for lang in LANGUAGES))  # noqa: S704 - values are escaped


def say(key: str, **values: Any) -> Phrase:
    """The phrase of a key.

    Raises:
        KeyError: `words.yaml` has no such key.
    """
    words()[key]
    return Phrase(key, values)


def render(value: Any, lang: str, escape: Callable[[str], str]) -> str:
    """A phrase in one language, or any other value as escaped text."""
    return value.text(lang, escape) if isinstance(value, Phrase) else escape(str(value))


def _html(text: str) -> str:
    return str(escape(short(text)))
