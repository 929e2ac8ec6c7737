"""What the pages show of the benchmarks is what the result files say."""

import re
from pathlib import Path

import pytest

from benchmarks import publish
from data import InputError
from tests.benchmarks import report_results
from tooltune import blocks
from tooltune.blocks import PAGES, Language, fill_blocks
from tooltune.files import write_json


@pytest.mark.parametrize(("language", "page"), [(language, page) for language in PAGES for page in PAGES[language]])
def test_blocks_are_those_of_the_results(language: Language, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    results = publish.read_results()
    assert set(re.findall(r"<!-- bench: (\S+) -->", text)) <= results.keys()
    assert publish.filled(text, language, results) == text, "run `python -m benchmarks record` again"


def test_a_block_is_filled_in_its_language_and_nothing_else_changes() -> None:
    text = "before\n<!-- bench: a -->\nold\n<!-- end -->\nbetween\n<!-- bench: b -->\nkept\n<!-- end -->\nafter\n"
    results = {"a": report_results.train()}
    english, korean = (publish.filled(text, language, results) for language in ("en", "ko"))
    assert "unsloth trains 1.57× as fast as hf-trainer" in english and "1.57배" in korean and "old" not in english
    for filled in (english, korean):
        assert filled.startswith("before\n<!-- bench: a -->\n") and "\nkept\n" in filled and filled.endswith("after\n")
        assert publish.filled(filled, "en" if filled is english else "ko", results) == filled


def test_an_invalid_result_says_so_on_the_page() -> None:
    text = publish.filled("<!-- bench: a -->\n<!-- end -->", "en", {"a": report_results.ALL["invalid"]()})
    assert "**INVALID.**" in text and "1.57" not in text


def test_backslashes_of_a_block_stay() -> None:
    assert (
        fill_blocks("<!-- k: n -->\n<!-- end -->", "k", {"n": r"a \1 \g<0>"})
        == "<!-- k: n -->\na \\1 \\g<0>\n<!-- end -->"
    )


def test_both_pages_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {language: tmp_path / f"results.{language}.md" for language in ("en", "ko")}
    for page in pages.values():
        page.write_text("<!-- bench: a -->\n<!-- end -->\n", encoding="utf-8")
    results = {"a": report_results.train(), "b": report_results.length()}
    monkeypatch.setattr(blocks, "PAGES", {language: (page,) for language, page in pages.items()})
    monkeypatch.setattr(publish, "read_results", lambda: results)
    assert publish.record() == (["a"], ["b"])
    assert "샘플/초" in pages["ko"].read_text(encoding="utf-8") and "samples/s" in pages["en"].read_text("utf-8")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "good.json", {"kind": "train"})
    assert list(publish.read_results(tmp_path)) == ["good"]
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="bad"):
        publish.read_results(tmp_path)
