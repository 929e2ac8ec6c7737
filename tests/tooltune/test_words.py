"""Sentences in two languages: every `words.yaml` has both with the same figures, and a phrase fills them in."""

import io
import string
from pathlib import Path

import pytest
import yaml
from markupsafe import Markup, escape
from rich.console import Console

from tooltune.words import Phrase, in_language

ROOT = Path(__file__).parents[2]
FILES = [path for path in ROOT.glob("*/**/words.yaml") if ".venv" not in path.parts and path.parent.name != "diagnose"]


def holes(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("path", FILES, ids=[str(path.parent.relative_to(ROOT)) for path in FILES])
def test_both_languages_are_there_and_name_the_same_figures(path: Path) -> None:
    words = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert all(len(both) == 2 and all(isinstance(text, str) for text in both) for both in words.values())
    library = {key: both[0] for key, both in words.items() if both[1] == "{message}"}  # jsonschema's own English
    assert {key: both for key, both in words.items() if key not in library and holes(both[0]) != holes(both[1])} == {}
    assert {key: text for key, text in library.items() if not holes(text) <= {"instance", "value", "named"}} == {}


def test_a_phrase_may_hold_another_and_formats_its_own_numbers() -> None:
    inner = Phrase(["{n:,}행", "{n:,} rows"], {"n": 1200})
    whole = Phrase(["{rows}에 {minutes:.1f}분", "{minutes:.1f} min for {rows}"], {"rows": inner, "minutes": 2.04})
    assert whole.text("ko") == "1,200행에 2.0분" and str(whole) == "2.0 min for 1,200 rows"


@pytest.mark.parametrize("value", ["<b>", "{0} {x}", "[bold]", "\u202e"])
def test_what_fills_a_phrase_stays_text(value: str) -> None:
    said = Phrase(["값 {v}", "value {v}"], {"v": value})
    assert str(said) == f"value {value}" and said.text("ko", lambda text: text.upper()) == f"값 {value.upper()}"
    page = escape(said)
    assert isinstance(page, Markup) and "<b>" not in page and "\u202e" not in page and 'lang="ko">값 ' in page


def test_what_is_no_phrase_is_text_in_any_language() -> None:
    assert in_language(3, "ko") == in_language("3", "en") == "3"


def test_a_console_without_a_language_shows_the_sentence() -> None:
    """Not the fields of the object, and what stands in brackets in a value is no markup."""
    console = Console(file=io.StringIO(), width=80)
    console.print(Phrase(["{x}와 끝", "{x} and an end"], {"x": "[bold]a"}))
    assert console.file.getvalue() == "[bold]a and an end\n"  # type: ignore[attr-defined]
